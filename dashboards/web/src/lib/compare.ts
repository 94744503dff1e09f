// What is different between two times: for every value of every field, and every log statement, how often it came in each.
// Ranked by how surprising the two counts are if nothing had changed: the log-likelihood ratio G² (Dunning 1993).

import { ask, type Facets, type Field, type Patterns } from './api';
import { clause } from './query';
import { isEnvelope, plain } from './record';

export interface Difference {
  field: string;
  /** As shown; the condition is what finds its lines. */
  value: string;
  condition: string;
  before: number;
  after: number;
  /** Shares of all lines of their time, 0 to 1. */
  shareBefore: number;
  shareAfter: number;
  /** G²; negative where it became less. */
  score: number;
}

/** How surprising `a` of `totalA` and `b` of `totalB` are if the share were the same; 0 where it is the same. */
export function surprise(a: number, totalA: number, b: number, totalB: number): number {
  const total = totalA + totalB;
  if (total === 0) return 0;
  const term = (seen: number, expected: number) => (seen > 0 ? seen * Math.log(seen / expected) : 0);
  const [share, rest] = [(a + b) / total, (total - a - b) / total];
  const sum = term(a, share * totalA) + term(b, share * totalB) + term(totalA - a, rest * totalA) + term(totalB - b, rest * totalB);
  const g2 = Math.max(0, 2 * sum);
  return b / Math.max(1, totalB) < a / Math.max(1, totalA) ? -g2 : g2;
}

interface Counted {
  value: string;
  condition: string;
  count: number;
}
/** The values of one field in one time. `whole`: there are no others. */
interface Side {
  values: Counted[];
  whole: boolean;
}

/** The differences of one field. A value that one side may have left out for want of room is not judged. */
export function differences(field: string, before: Side, after: Side, totals: [number, number]): Difference[] {
  const found = new Map<string, { one: Counted; before: number | null; after: number | null }>();
  for (const one of before.values) found.set(one.value, { one, before: one.count, after: null });
  for (const one of after.values) found.set(one.value, { one, before: found.get(one.value)?.before ?? null, after: one.count });
  return [...found.values()].flatMap(({ one, before: a, after: b }) => {
    if ((a === null && !before.whole) || (b === null && !after.whole)) return [];
    const [x, y] = [a ?? 0, b ?? 0];
    return [{
      field, value: one.value, condition: one.condition, before: x, after: y, shareBefore: x / Math.max(1, totals[0]), shareAfter: y / Math.max(1, totals[1]),
      score: surprise(x, totals[0], y, totals[1]),
    }];
  });
}

const FIELDS_MAX = 32;
const VALUES_MAX = 1000;
/** G² from which a difference is told: chance gives 15 once in some ten thousand values. */
const SCORE_MIN = 15;
type Bounds = { from: string; to: string };

/** Fields worth comparing: those that have few values, as far as their type tells. */
export function comparable(fields: Field[]): string[] {
  const useful = fields.filter((field) => !isEnvelope(field.name) && (field.type === 'keyword' || field.type === 'boolean' || /code|status/.test(field.name)));
  // What is parsed and where it runs stands before the many pairs of structured lines.
  const rank = (name: string) => (name.startsWith('kv.') ? 2 : name === 'log.file.path' ? 3 : name.includes('.') ? 1 : 0);
  return useful.map((field) => field.name).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b)).slice(0, FIELDS_MAX);
}

export interface Comparison {
  totals: [number, number];
  fields: Difference[];
  statements: Difference[];
  partial: boolean;
}

export async function compare(q: string, before: Bounds, after: Bounds, fields: string[], signal: AbortSignal): Promise<Comparison> {
  const facets = (bounds: Bounds) => ask<Facets>('api/v1/facets', { q, ...bounds, fields: fields.join(','), limit: VALUES_MAX }, signal);
  const patterns = (bounds: Bounds) => ask<Patterns>('api/v1/patterns', { q, ...bounds, limit: VALUES_MAX }, signal);
  const [facetsA, facetsB, patternsA, patternsB] = await Promise.all([facets(before), facets(after), patterns(before), patterns(after)]);
  const totals: [number, number] = [facetsA.total, facetsB.total];
  const side = (facet: Facets['facets'][number]): Side => ({
    whole: facet.other === 0,
    values: facet.values.map(({ value, count }) => ({ value: plain(value), condition: clause(facet.field, typeof value === 'number' ? value : plain(value)), count })),
  });
  const statements = (found: Patterns): Side => ({
    whole: found.patterns.length >= found.templates,
    values: found.patterns.map((each) => ({ value: each.text ?? each.example ?? String(each.id), condition: clause('template', each.id), count: each.count })),
  });
  const told = (all: Difference[]) => all.filter((each) => Math.abs(each.score) >= SCORE_MIN).sort((a, b) => Math.abs(b.score) - Math.abs(a.score));
  return {
    totals,
    fields: told(facetsA.facets.flatMap((facet, i) => differences(facet.field, side(facet), side(facetsB.facets[i]!), totals))),
    statements: told(differences('template', statements(patternsA), statements(patternsB), totals)),
    partial: facetsA.partial || facetsB.partial || patternsA.partial || patternsB.partial,
  };
}
