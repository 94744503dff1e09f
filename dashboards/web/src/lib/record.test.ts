import { expect, test } from 'vitest';
import { SEVERITY_QUERIES, flatten, get, plain, severityOf, sourceOf } from './record';

const record = { a: { b: { c: 1 }, 'd.e': 'x' }, 'f.g': 2, list: ['p', 'q'], nothing: null };

test.each([['a.b.c', 1], ['a.d.e', 'x'], ['f.g', 2], ['list', ['p', 'q']], ['a.x', undefined], ['a.b.c.d', undefined]])(
  'get %s', (name, value) => expect(get(record, name)).toEqual(value));

test('flatten names what get finds', () => {
  const flat = flatten(record);
  expect(flat.map(([name]) => name)).toEqual(['a.b.c', 'a.d.e', 'f.g', 'list', 'nothing']);
  for (const [name, value] of flat) expect(get(record, name)).toEqual(value);
});

test.each([
  [{ level: 'E' }, 'error'], [{ level: 'WARN' }, 'warning'], [{ response_code: 503 }, 'error'], [{ response_code: 404 }, 'warning'],
  [{ response_code: 0 }, 'warning'], [{ response_code: 200 }, 'info'], [{ level: 'I', response_code: 503 }, 'info'], [{}, ''], [{ level: 'odd' }, ''],
])('severity %j', (r, severity) => expect(severityOf(r)).toBe(severity));

test('severity queries have no empty value', () => expect(SEVERITY_QUERIES.error).not.toMatch(/\bOR\s+OR\b|\(\s*OR\b/));

test('source', () => {
  expect(sourceOf({ kubernetes: { container: { name: 'etcd' } }, host: { name: 'n' } })).toBe('etcd');
  expect(sourceOf({ log: { file: { path: '/var/log/syslog' } } })).toBe('syslog');
  expect(plain({ a: [1] })).toBe('{"a":[1]}');
});
