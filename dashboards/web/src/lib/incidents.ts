// Incidents and what is told of them, as the API gives them, and the picture of one over time.

import type { Level } from './api';

export interface Line {
  'event.id'?: string;
  time: string;
  line: string;
}
export interface Finding {
  id: string;
  rule: string;
  service: string;
  severity: Level;
  score: number;
  sentence: string;
  /** `detector` and `field` of an anomaly. */
  labels: Record<string, string>;
  actual: number;
  typical: number;
  since: string;
  last: string;
  ended?: string;
  lines?: Line[];
  template?: { id: number; text: string; nearest?: string; difference?: string };
  runbook?: string;
}
export interface Deploy {
  at: string;
  service: string;
  version: string;
  by: string;
  url: string;
}
export interface Incident {
  id: string;
  state: 'open' | 'acknowledged' | 'resolved' | 'merged';
  severity: Level;
  title: string;
  labels: Record<string, string>;
  since: string;
  last: string;
  opened: string;
  updated: string;
  resolved?: string;
  /** By first cause. */
  findings: Finding[];
  findings_total: number;
  findings_open: number;
  merged_into?: string;
  storm: boolean;
  muted: number;
  deploys?: Deploy[];
  history?: { at: string; by?: string; text: string }[];
}
export interface Incidents {
  total: number;
  incidents: Incident[];
}
export interface Delivery {
  seq: number;
  id: string;
  receiver: string;
  state: 'waiting' | 'delivered' | 'dead';
  notice: { kind: 'open' | 'update' | 'resolve' | 'test' | 'digest'; key: string; title: string; incidents: string[] };
  created: string;
  next_at: string;
  done?: string;
  attempts_total: number;
  attempts: { at: string; took_ms: number; status?: number; error?: string; body?: string }[];
}
export interface Deliveries {
  total: number;
  deliveries: Delivery[];
}
export interface Silence {
  id: string;
  state: 'pending' | 'active' | 'expired';
  matchers: string[];
  starts: string;
  ends: string;
  author: string;
  reason: string;
  muted_alerts: number;
}
export interface Receiver {
  name: string;
  kind: string;
  targets: string[];
  send_resolved: boolean;
  waiting: number;
  alerts: number;
  budget?: number;
  told_today?: number;
  held_today?: number;
}

export const isOpen = (incident: Incident): boolean => incident.state === 'open' || incident.state === 'acknowledged';

/** A finding that an anomaly is behind has its id; a rule's number has one of its own. */
export const isAnomaly = (finding: Finding): boolean => !finding.id.startsWith('rule/');

/** Services that take part, the first cause's in front. */
export function servicesOf(incident: Incident): string[] {
  return [...new Set(incident.findings.map((each) => each.service).filter((name) => name && name !== '(all)'))];
}

/** What tells a finding from others of its service, in a few words. */
export function labelOf(finding: Finding): string {
  const { detector, field } = finding.labels;
  return [finding.service === '(all)' ? 'everything' : finding.service || finding.rule, detector, field].filter(Boolean).join(' ');
}

/** First and last moment of a finding, Unix milliseconds. */
export function spanOf(finding: Finding): [number, number] {
  const since = Date.parse(finding.since);
  return [since, Math.max(since, Date.parse(finding.ended ?? finding.last))];
}

export interface Mark {
  at: number;
  kind: 'deploy' | 'event' | 'told' | 'failed';
  text: string;
}
export interface Timeline {
  from: number;
  to: number;
  marks: Mark[];
}

const MINUTE = 60_000;

/**
 * The time to draw. Findings are on the clock of their lines, deeds on the server's: lines that came hours late would
 * press the findings to a dot, so what was done long after is left to the list below.
 */
export function timeline(incident: Incident, deliveries: Delivery[]): Timeline {
  const spans = incident.findings.map(spanOf);
  const first = Math.min(Date.parse(incident.since), ...spans.map(([since]) => since));
  const last = Math.max(Date.parse(incident.last), ...spans.map(([, end]) => end));
  const near = Math.max(last - first, 15 * MINUTE);
  const marks: Mark[] = [
    ...(incident.deploys ?? []).map((each) => ({ at: Date.parse(each.at), kind: 'deploy' as const, text: `deploy ${each.service ? `${each.service} ` : ''}${each.version}` })),
    ...(incident.history ?? []).map((each) => ({ at: Date.parse(each.at), kind: 'event' as const, text: each.by ? `${each.text}, ${each.by}` : each.text })),
    ...deliveries.map((each) => ({
      at: Date.parse(each.done ?? each.created), kind: each.state === 'delivered' ? ('told' as const) : ('failed' as const),
      text: `${each.notice.kind} ${each.state === 'delivered' ? 'delivered to' : each.state === 'dead' ? 'given up for' : 'waits for'} ${each.receiver}`,
    })),
  ].filter((mark) => mark.at >= first - 4 * 60 * MINUTE && mark.at <= last + near);
  const start = Math.min(first, ...marks.map((mark) => mark.at));
  const end = Math.max(last, ...marks.map((mark) => mark.at));
  const pad = Math.max((end - start) * 0.04, MINUTE / 2);
  return { from: start - pad, to: end + pad, marks: marks.sort((a, b) => a.at - b.at) };
}

/** `"…"` as a matcher takes a value. */
export const quoted = (value: string): string => `"${value.replace(/["\\]/g, '\\$&')}"`;
