// The public API and nothing else. Addresses are relative to the page (`…/ui/logs`), so a proxy's prefix stays.

import type { Json, Rec } from './record';

/** What the API says when it cannot answer (RFC 9457). */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  parameter?: string;
  accepted?: string[];
  offset?: number;
  length?: number;
  hint?: string;
  rendered?: string;
}

export class Problem extends Error {
  body: ProblemBody;
  constructor(body: ProblemBody) {
    super(body.detail);
    this.body = body;
  }
}

export type Params = Record<string, string | number | null | undefined>;

/** The address of a path of the API. Empty parameters are left out. */
export function address(path: string, params: Params = {}): string {
  const url = new URL(`../${path}`, document.baseURI);
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== '') url.searchParams.set(name, String(value));
  }
  return url.href;
}

const RETRIES_MAX = 3;

export async function request(path: string, params: Params, init: RequestInit = {}): Promise<Response> {
  for (let tries = 0; ; tries++) {
    let response: Response;
    try {
      response = await fetch(address(path, params), init);
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new Problem({
        type: 'offline', title: 'loghound does not answer', status: 0,
        detail: 'There is no connection to the server. It may be restarting: what is shown is what was loaded before.',
      });
    }
    if (response.ok) return response;
    // As many queries as may run at once are running: it says when to come back.
    const retry = Number(response.headers.get('retry-after'));
    if (response.status === 503 && retry > 0 && tries < RETRIES_MAX && (init.method ?? 'GET') === 'GET') {
      await new Promise((resolve) => setTimeout(resolve, Math.min(retry, 5) * 1000));
      if (!init.signal?.aborted) continue;
    }
    const body = await response.json().catch(() => null);
    throw new Problem(body ?? { type: 'http', title: response.statusText, status: response.status, detail: `the server answered ${response.status}` });
  }
}

export async function ask<T>(path: string, params: Params = {}, signal?: AbortSignal): Promise<T> {
  return (await request(path, params, { signal: signal ?? null })).json() as Promise<T>;
}

/** Changes something: `method` with its parameters as JSON. */
export async function send<T>(method: 'POST' | 'DELETE', path: string, body: Record<string, unknown> = {}, signal?: AbortSignal): Promise<T> {
  const init = method === 'DELETE' ? { method } : { method, signal: signal ?? null, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  return (await request(path, {}, init)).json() as Promise<T>;
}

export interface Search {
  took_ms: number;
  total: number;
  hits: Rec[];
  columns?: string[];
  warnings?: string[];
  next_cursor: string | null;
  partial: boolean;
}
export interface Histogram {
  took_ms: number;
  total: number;
  interval_ms: number;
  buckets: { time: string; count: number }[];
  partial: boolean;
}
export interface Facet {
  field: string;
  values: { value: Json; count: number }[];
  other: number;
  missing: number;
}
export interface Facets {
  total: number;
  facets: Facet[];
  partial: boolean;
}
export interface Field {
  name: string;
  type: string;
  aliases?: string[];
}
export interface Context {
  before: Rec[];
  record: Rec;
  after: Rec[];
}
export interface SavedQuery {
  name: string;
  query: string;
  description?: string;
  from?: string;
  to?: string;
}
export interface Influencer {
  field: string;
  value: string;
  before: number;
  after: number;
  influence: number;
}
export type Level = 'warning' | 'minor' | 'major' | 'critical';
export interface Anomaly {
  id: string;
  group: string;
  series: string;
  service: string;
  measure: string;
  field?: string;
  value?: string;
  score: number;
  severity: Level;
  probability: number;
  direction: 'high' | 'low';
  actual: number;
  typical: number;
  low: number;
  high: number;
  bucket_seconds: number;
  since: string;
  last: string;
  found: string;
  ended?: string;
  state: 'open' | 'ended' | 'retracted';
  sentence: string;
  influencers: Influencer[];
  examples: { 'event.id': string; '@timestamp': string; message: string }[];
  template?: { id: number; text: string; nearest?: string; difference?: string };
  late_lines: number;
}
export interface Anomalies {
  total: number;
  anomalies: Anomaly[];
}
export interface Pattern {
  id: number;
  text: string | null;
  count: number;
  first_seen: string;
  last_seen: string;
  sparkline: number[];
  grammar: string | null;
  example: string | null;
  examples: string[][];
  new: boolean;
  nearest?: { id: number; text: string; difference: { change: 'same' | 'gone' | 'new'; text: string }[] };
}
export interface Patterns {
  took_ms: number;
  total: number;
  without: number;
  templates: number;
  sparkline_start: string;
  sparkline_interval_ms: number;
  patterns: Pattern[];
  partial: boolean;
}
export interface Difference {
  change: 'new' | 'gone' | 'more' | 'less' | 'spread';
  /** `template` for log statements. */
  field: string;
  /** Null for numbers. */
  value: string | number | boolean | null;
  /** Of a log statement. */
  text?: string | null;
  before: number;
  after: number;
  /** Shares of all lines of their time, 0 to 1. */
  share_before: number;
  share_after: number;
  /** Decimal digits of how unlikely it is by chance. */
  surprise: number;
  numbers?: { before: { p50: number; p95: number }; after: { p50: number; p95: number } };
}
export interface Comparison {
  took_ms: number;
  before: number;
  after: number;
  /** Differences, those that are not listed included. */
  total: number;
  compared: number;
  fields: string[];
  skipped: string[];
  differences: Difference[];
  partial: boolean;
}
export interface Detector {
  service: string;
  field?: string;
  kind?: string;
  measure: string;
  value?: string;
  bucket_seconds: number;
  buckets: number;
  learning: boolean;
  typical: number;
  low: number;
  high: number;
}
export interface Detectors {
  services: number;
  series: number;
  bytes: number;
  records: number;
  late: number;
  evicted: number;
  not_covered: number;
  detectors: Detector[];
}
