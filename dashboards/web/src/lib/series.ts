// The numbers of one series, asked of the stored lines: what an anomaly is about can be counted by the public API.

import { ask, address, type Anomaly, type Detector, type Histogram } from './api';
import { clause } from './query';
import { interval } from './time';

export interface Point {
  /** Unix milliseconds. */
  time: number;
  value: number | null;
}

type Series = Pick<Anomaly, 'service' | 'measure'> & { field?: string; value?: string; template?: { id: number } };

/** The lines that a series is made of, as a query; null where no query says it. */
export function queryOf(series: Series): string | null {
  const parts = [];
  if (series.service !== '(all)') {
    // A service is a container's name, else the service's, else its file.
    const quoted = (name: string) => clause(name, series.service);
    parts.push(`(${quoted('kubernetes.container.name')} OR ${quoted('service.name')} OR ${quoted('container.name')} OR ${quoted('log.file.path')})`);
  }
  if (series.template) parts.push(clause('template', series.template.id));
  else if (series.field && series.value !== undefined) parts.push(clause(series.field, series.value));
  else if (series.field) parts.push(`_exists_:${series.field}`);
  if (series.measure === 'unparsed') parts.push('NOT _exists_:grammar');
  return parts.join(' AND ');
}

/** What its numbers are, for an axis. */
export function unitOf(series: Pick<Detector, 'measure' | 'field' | 'bucket_seconds'>): string {
  const each = series.bucket_seconds === 60 ? 'a minute' : `in ${series.bucket_seconds / 60} min`;
  if (series.measure === 'median' || series.measure === 'p95') return /duration|time|latency/.test(series.field ?? '') ? 'ms' : /bytes/.test(series.field ?? '') ? 'bytes' : '';
  if (series.measure === 'distinct_count') return `different values ${each}`;
  if (series.measure === 'mix') return 'distance of the mix';
  return `lines ${each}`;
}

const PERCENTS: Record<string, number> = { median: 50, p95: 95 };

/** Its numbers between two times, a point a bucket; null where the stored lines cannot tell (the mix of a category). */
export async function points(series: Anomaly, from: number, to: number, signal: AbortSignal): Promise<Point[] | null> {
  const q = queryOf(series);
  if (q === null || series.measure === 'mix' || series.measure === 'silence') return null;
  const range = { from: String(Math.round(from)), to: String(Math.round(to)) };
  const width = interval(series.bucket_seconds * 1000);
  const percent = PERCENTS[series.measure];
  if (percent === undefined && series.measure !== 'distinct_count') {
    const found = await ask<Histogram>('api/v1/histogram', { q, ...range, interval: width }, signal);
    return found.buckets.map((bucket) => ({ time: Date.parse(bucket.time), value: bucket.count }));
  }
  const inner = percent === undefined ? { cardinality: { field: series.field } } : { percentiles: { field: series.field, percents: [percent] } };
  const aggs = { t: { date_histogram: { field: '@timestamp', fixed_interval: width }, aggs: { v: inner } } };
  interface Bucket {
    key: number;
    doc_count: number;
    v: { value?: number; values?: Record<string, number | null> };
  }
  const response = await fetch(address('api/v1/aggregate'), {
    method: 'POST', signal, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ q, ...range, aggs }),
  });
  if (!response.ok) return null;
  const body = (await response.json()) as { aggregations: { t: { buckets: Bucket[] } } };
  return body.aggregations.t.buckets.map(({ key, doc_count, v }) => {
    const value = v.value ?? Object.values(v.values ?? {})[0] ?? null;
    return { time: key, value: doc_count === 0 ? null : value };
  });
}
