import { expect, test } from 'vitest';
import { isAnomaly, labelOf, quoted, servicesOf, timeline, type Delivery, type Finding, type Incident } from './incidents';

const at = (minute: number) => new Date(Date.UTC(2026, 10, 22, 10, minute)).toISOString();
const finding = (service: string, since: number, last: number): Finding => ({
  id: 'aa', rule: 'anomalies', service, severity: 'major', score: 60, sentence: '', labels: { detector: 'p95', field: 'duration' }, actual: 1, typical: 0, since: at(since), last: at(last),
});
const incident = (over: Partial<Incident> = {}): Incident => ({
  id: 'i', state: 'open', severity: 'major', title: '', labels: {}, since: at(0), last: at(10), opened: at(1), updated: at(1),
  findings: [finding('web', 0, 4), finding('db', 2, 10), finding('web', 3, 5)], findings_total: 3, findings_open: 0, storm: false, muted: 0, ...over,
});

test('the picture holds all findings, and the deploy before them', () => {
  const shown = timeline(incident({ deploys: [{ at: at(-4), service: 'web', version: 'v2', by: '', url: '' }], history: [{ at: at(1), text: 'opened' }] }), []);
  expect(shown.marks.map((mark) => mark.text)).toEqual(['deploy web v2', 'opened']);
  expect(shown.from).toBeLessThan(Date.parse(at(-4)));
  expect(shown.to).toBeGreaterThan(Date.parse(at(10)));
});

test('what was done half a day later does not press the findings to a dot', () => {
  const shown = timeline(incident({ history: [{ at: at(700), text: 'opened' }] }), []);
  expect(shown.marks).toEqual([]);
  expect(shown.to).toBeLessThan(Date.parse(at(30)));
});

test('a message that nobody took is told apart', () => {
  const delivery = (state: Delivery['state']) => ({ seq: 1, id: '', receiver: 'pager', state, notice: { kind: 'open', key: '', title: '', incidents: [] }, created: at(1), next_at: at(1), attempts_total: 1, attempts: [] }) as Delivery;
  expect(timeline(incident(), [delivery('delivered'), delivery('dead')]).marks.map((mark) => [mark.kind, mark.text])).toEqual([['told', 'open delivered to pager'], ['failed', 'open given up for pager']]);
});

test('services, ids, quotes', () => {
  expect(servicesOf(incident())).toEqual(['web', 'db']);
  expect(isAnomaly(finding('a', 0, 1))).toBe(true);
  expect(isAnomaly({ ...finding('a', 0, 1), id: 'rule/x//1' })).toBe(false);
  expect(labelOf(finding('web', 0, 1))).toBe('web p95 duration');
  expect(labelOf({ ...finding('', 0, 1), labels: {}, rule: 'failing' })).toBe('failing');
  expect(quoted('a"b\\c')).toBe('"a\\"b\\\\c"');
});
