import { describe, expect, test } from 'vitest';
import { absolute, ago, clock, interval, label, local, stepFor, toBound, toMillis, utc, zoomOut } from './time';

const NOW = Date.parse('2026-11-23T12:00:00Z');

test.each([
  ['', null],
  ['now', NOW],
  ['now-15m', NOW - 900_000],
  ['now-2d', NOW - 172_800_000],
  ['2026-11-23T11:00:00Z', NOW - 3_600_000],
  [String(NOW), NOW],
  ['rubbish', NaN],
])('toMillis %s', (bound, expected) => expect(toMillis(bound, NOW)).toEqual(expected));

test.each([
  ['', ''],
  ['now', ''],
  ['now-3h', 'now-3h'],
  ['3h', 'now-3h'],
  ['2026-11-23T11:00:00Z', '2026-11-23T11:00:00.000Z'],
  ['yesterday-ish', null],
])('toBound %s', (typed, expected) => expect(toBound(typed)).toBe(expected));

test('a time without a zone is local', () => {
  const local = new Date(2026, 10, 23, 9, 30).toISOString();
  expect(toBound('2026-11-23 09:30')).toBe(local);
});

describe('zoomOut', () => {
  test('doubles, and does not run past now', () => {
    expect(zoomOut({ from: 'now-1h', to: '' }, NOW)).toEqual(absolute(NOW - 5_400_000, NOW));
  });
  test('an open range stays open', () => expect(zoomOut({ from: '', to: '' }, NOW)).toEqual({ from: '', to: '' }));
});

test('labels', () => {
  expect(label({ from: 'now-1h', to: '' })).toBe('Last hour');
  expect(label({ from: '', to: '' })).toBe('All time');
  expect(label({ from: 'now-2h', to: 'now-1h' })).toBe('now-2h – now-1h');
});

test('words for lengths', () => {
  expect(ago(NOW - 59_000, NOW)).toBe('59 s ago');
  expect(ago(NOW - 7_200_000, NOW)).toBe('2 h ago');
  expect(ago(NOW + 5_000, NOW)).toBe('0 s ago');
  expect(interval(60_000)).toBe('60s');
  expect(stepFor(3_600_000, 60)).toBe(60_000);
  expect(stepFor(86_400_000, 100)).toBe(900_000);
  expect(utc('2026-11-23T12:00:00.5Z')).toBe('2026-11-23 12:00:00.500 UTC');
});

test('a sentence has the reader’s own time', () => {
  const since = '2026-11-23T13:05:00Z';
  expect(local('x, since 13:05; y', since)).toBe(`x, since ${clock(since)}; y`);
  expect(local('x, since 02:00; y', since)).toBe('x, since 02:00; y');
});
