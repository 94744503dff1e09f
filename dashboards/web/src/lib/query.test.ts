import { describe, expect, test } from 'vitest';
import { addCondition, both, byteToIndex, clause, conjuncts, fieldName, hasTopLevelOr, quote, splitPipes, wordAt } from './query';

describe('splitPipes', () => {
  test.each([
    ['', '', ''],
    ['level:E', 'level:E', ''],
    ['level:E | stats count() by path | top 3', 'level:E', '| stats count() by path | top 3'],
    ['"a | b"', '"a | b"', ''],
    ['"a \\" | b" | uniq by x', '"a \\" | b"', '| uniq by x'],
    ['msg:/a|b/', 'msg:/a|b/', ''],
    ['msg:/a|b/ | limit 3', 'msg:/a|b/', '| limit 3'],
    ['path:/api/v1 | limit 3', 'path:/api/v1', '| limit 3'],
    ['path:/a AND path:/b | limit 3', 'path:/a AND path:/b', '| limit 3'],
    ['a || b', 'a || b', ''],
    ['| stats count()', '', '| stats count()'],
  ])('%s', (text, filter, pipes) => expect(splitPipes(text)).toEqual({ filter, pipes }));
});

describe('hasTopLevelOr', () => {
  test.each([
    ['a OR b', true],
    ['a or b', true],
    ['(a OR b) c', false],
    ['level:(E OR W)', false],
    ['"a OR b"', false],
    ['ORDER', false],
    ['forOR b', false],
    ['a OR(b)', true],
    ['a || b', true],
  ])('%s', (text, expected) => expect(hasTopLevelOr(text)).toBe(expected));
});

describe('quote', () => {
  test.each([
    ['E', 'E'],
    ['lease.go', 'lease.go'],
    ['', '""'],
    ['a b', '"a b"'],
    ['say "hi" \\', '"say \\"hi\\" \\\\"'],
    ['AND', '"AND"'],
    ['/api', '"/api"'],
    ['10.0.0.1:8080', '"10.0.0.1:8080"'],
    ['a*', '"a*"'],
    ['größe', 'größe'],
    [503, '503'],
    [-1, '"-1"'],
    [true, 'true'],
  ])('%s', (value, expected) => expect(quote(value)).toBe(expected));

  test('names', () => {
    expect(fieldName('kubernetes.labels.app_kubernetes_io/name')).toBe('kubernetes.labels.app_kubernetes_io/name');
    expect(fieldName('kv.a b')).toBe('kv.a\\ b');
    expect(clause('path', '/a b')).toBe('path:"/a b"');
  });
});

describe('addCondition', () => {
  test.each([
    ['', 'level:E', false, 'level:E'],
    ['level:E', 'level:E', false, 'level:E'],
    ['level:E', 'level:E', true, 'NOT level:E'],
    ['NOT level:E', 'level:E', false, 'level:E'],
    ['a OR b', 'level:E', false, '(a OR b) AND level:E'],
    ['a AND NOT level:E', 'level:E', false, 'a AND level:E'],
    ['a && b', 'c', false, 'a AND b AND c'],
    ['level:(E OR W)', 'x:1', true, 'level:(E OR W) AND NOT x:1'],
    ['level:E | top 3', 'x:1', false, 'level:E AND x:1 | top 3'],
    ['"a AND b"', 'x:1', false, '"a AND b" AND x:1'],
    ['path:/a AND path:/b', 'x:1', false, 'path:/a AND path:/b AND x:1'],
  ])('%s + %s', (text, condition, negate, expected) => expect(addCondition(text, condition, negate)).toBe(expected));

  test('adding twice is adding once, whatever stands there', () => {
    for (const text of ['', 'a', 'a OR b', 'NOT a', '"x | y" z', 'p:/a|b/ | limit 2']) {
      const once = addCondition(text, 'level:E', true);
      expect(addCondition(once, 'level:E', true)).toBe(once);
    }
  });

  test('both', () => {
    expect(both('', 'a')).toBe('a');
    expect(both('x OR y | top 3', 'a')).toBe('(x OR y) AND a');
  });

  test('conjuncts', () => expect(conjuncts('a b AND (c AND d) && NOT e')).toEqual(['a b', '(c AND d)', 'NOT e']));
});

describe('wordAt', () => {
  const at = (marked: string) => {
    const cursor = marked.indexOf('^');
    return wordAt(marked.replace('^', ''), cursor);
  };
  test.each([
    ['lev^', 'lev', null, false],
    ['level:^', '', 'level', false],
    ['a AND level:E^', 'E', 'level', false],
    ['level:(E OR W^', 'W', 'level', false],
    ['response_code:>=5^', '5', 'response_code', false],
    ['msg_key:"Failed to^', 'Failed to', 'msg_key', false],
    ['level:E | sta^', 'sta', null, true],
    ['level:E | stats p99(dur^', 'dur', null, true],
    ['NOT fi^lename', 'fi', null, false],
  ])('%s', (marked, text, field, afterPipe) => expect(at(marked)).toMatchObject({ text, field, afterPipe }));
});

test('bytes and characters', () => {
  expect(byteToIndex('abc', 2)).toBe(2);
  expect(byteToIndex('äbc', 2)).toBe(1);
  expect(byteToIndex('😀b', 4)).toBe(2);
  expect(byteToIndex('ab', 9)).toBe(2);
});
