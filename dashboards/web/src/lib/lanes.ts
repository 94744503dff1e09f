// The picture above the list of anomalies: a lane for each value of what is asked for, time to the right, and in each
// cell the worst that was there.

import type { Anomaly, Level } from './api';

export interface Cell {
  column: number;
  score: number;
  severity: Level;
  /** Worst first. */
  anomalies: Anomaly[];
}
export interface Lane {
  name: string;
  score: number;
  cells: Cell[];
}

/** What lanes can be made of, beside the names of influencers' fields. */
export const KINDS: [name: string, title: string][] = [
  ['service', 'Service'],
  ['measure', 'Measure'],
  ['field', 'Field'],
];

/** The lanes that an anomaly is in. */
export function keysOf(anomaly: Anomaly, by: string): string[] {
  if (by === 'service') return [anomaly.service];
  if (by === 'measure') return [anomaly.measure];
  if (by === 'field') return [anomaly.field ?? (anomaly.template ? 'template' : anomaly.measure)];
  return [...new Set(anomaly.influencers.filter((each) => each.field === by).map((each) => each.value))];
}

/** First and last moment, Unix milliseconds; the end of its last bucket included. */
export function spanOf(anomaly: Anomaly): [number, number] {
  return [Date.parse(anomaly.since), Date.parse(anomaly.last) + anomaly.bucket_seconds * 1000];
}

/** Worst lane first. */
export function lanes(anomalies: Anomaly[], by: string, from: number, to: number, columns: number): Lane[] {
  const found = new Map<string, Map<number, Anomaly[]>>();
  const width = Math.max(1, (to - from) / columns);
  for (const anomaly of anomalies) {
    const [start, end] = spanOf(anomaly);
    if (end < from || start > to) continue;
    const first = Math.max(0, Math.floor((start - from) / width));
    const last = Math.min(columns - 1, Math.floor((end - 1 - from) / width));
    for (const key of keysOf(anomaly, by)) {
      const lane = found.get(key) ?? new Map<number, Anomaly[]>();
      found.set(key, lane);
      for (let column = first; column <= last; column++) lane.set(column, [...(lane.get(column) ?? []), anomaly]);
    }
  }
  const out = [...found].map(([name, cells]) => {
    const all = [...cells].map(([column, inside]) => {
      const sorted = inside.sort((a, b) => b.score - a.score);
      return { column, score: sorted[0]!.score, severity: sorted[0]!.severity, anomalies: sorted };
    });
    all.sort((a, b) => a.column - b.column);
    return { name, score: Math.max(...all.map((cell) => cell.score)), cells: all };
  });
  return out.sort((a, b) => b.score - a.score || b.cells.length - a.cells.length || a.name.localeCompare(b.name));
}

/** The fields of influencers, most frequent first. */
export function influencerFields(anomalies: Anomaly[]): string[] {
  const seen = new Map<string, number>();
  for (const each of anomalies) for (const name of new Set(each.influencers.map((i) => i.field))) seen.set(name, (seen.get(name) ?? 0) + 1);
  return [...seen].sort((a, b) => b[1] - a[1]).map(([name]) => name);
}
