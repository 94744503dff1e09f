import { expect, test } from 'vitest';
import type { Anomaly } from './api';
import { influencerFields, lanes } from './lanes';
import { queryOf } from './series';

const T0 = Date.parse('2026-11-23T00:00:00Z');
const anomaly = (service: string, score: number, start: number, end: number, nodes: string[] = []) => ({
  service, score, severity: 'major', measure: 'rate', since: new Date(T0 + start * 60_000).toISOString(),
  last: new Date(T0 + end * 60_000).toISOString(), bucket_seconds: 60, influencers: nodes.map((value) => ({ field: 'node', value })),
}) as unknown as Anomaly;

test('a cell has the worst of what was there', () => {
  const all = [anomaly('a', 60, 0, 9), anomaly('a', 80, 5, 5), anomaly('b', 90, 100, 200)];
  const found = lanes(all, 'service', T0, T0 + 60 * 60_000, 6);
  expect(found.map((lane) => lane.name)).toEqual(['a']);
  expect(found[0]!.cells).toMatchObject([{ column: 0, score: 80 }]);
  expect(found[0]!.cells[0]!.anomalies).toHaveLength(2);
});

test('what began before the time is in it as long as it lasts, and ends with it', () => {
  const [lane] = lanes([anomaly('a', 60, -30, 25)], 'service', T0, T0 + 60 * 60_000, 6);
  expect(lane!.cells.map((cell) => cell.column)).toEqual([0, 1, 2]);
  const [late] = lanes([anomaly('a', 60, 55, 500)], 'service', T0, T0 + 60 * 60_000, 6);
  expect(late!.cells.map((cell) => cell.column)).toEqual([5]);
});

test('lanes of an influencer: an anomaly is in each of its values', () => {
  const all = [anomaly('a', 60, 0, 1, ['n1', 'n2']), anomaly('b', 70, 0, 1, ['n2'])];
  expect(lanes(all, 'node', T0, T0 + 600_000, 1).map((lane) => [lane.name, lane.score])).toEqual([['n2', 70], ['n1', 60]]);
  expect(influencerFields(all)).toEqual(['node']);
});

test.each([
  [{ service: '(all)', measure: 'lines' }, ''],
  [{ service: '(all)', measure: 'rate', field: 'level', value: 'E' }, 'level:E'],
  [{ service: '(all)', measure: 'unparsed' }, 'NOT _exists_:grammar'],
  [{ service: '(all)', measure: 'p95', field: 'duration' }, '_exists_:duration'],
  [{ service: '(all)', measure: 'rate', field: 'template', value: 'x', template: { id: 7 } }, 'template:7'],
])('%j', (series, query) => expect(queryOf(series)).toBe(query));
