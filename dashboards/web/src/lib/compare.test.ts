import { describe, expect, test } from 'vitest';
import { comparable, differences, surprise } from './compare';

const side = (whole: boolean, counts: Record<string, number>) => ({
  whole, values: Object.entries(counts).map(([value, count]) => ({ value, condition: `f:${value}`, count })),
});

describe('surprise', () => {
  test('the same share is none, whatever the totals', () => {
    expect(surprise(10, 100, 100, 1000)).toBeCloseTo(0);
    expect(surprise(0, 100, 0, 100)).toBe(0);
    expect(surprise(0, 0, 0, 0)).toBe(0);
    expect(surprise(5, 5, 9, 9)).toBeCloseTo(0);
  });
  test('more is positive, less is negative, and the more lines the surer', () => {
    expect(surprise(10, 100, 30, 100)).toBeGreaterThan(0);
    expect(surprise(30, 100, 10, 100)).toBeCloseTo(-surprise(10, 100, 30, 100));
    expect(surprise(100, 1000, 300, 1000)).toBeGreaterThan(surprise(10, 100, 30, 100));
  });
  test('as the textbook has it', () => {
    // 10 of 100 against 30 of 100: 2 * (10 ln .5 + 30 ln 1.5 + 90 ln 1.125 + 70 ln .875)
    expect(surprise(10, 100, 30, 100)).toBeCloseTo(2 * (10 * Math.log(0.5) + 30 * Math.log(1.5) + 90 * Math.log(1.125) + 70 * Math.log(0.875)));
  });
});

test('what one side has not is nought there, unless it may have been left out', () => {
  const whole = differences('f', side(true, { a: 5 }), side(true, { b: 7 }), [10, 10]);
  expect(whole.map((each) => [each.value, each.before, each.after])).toEqual([['a', 5, 0], ['b', 0, 7]]);
  const cut = differences('f', side(false, { a: 5 }), side(true, { a: 1, b: 7 }), [10, 10]);
  expect(cut.map((each) => each.value)).toEqual(['a']);
});

test('fields', () => {
  const fields = [['agent.id', 'keyword'], ['kv.err', 'keyword'], ['level', 'keyword'], ['message', 'text'], ['response_code', 'number'], ['duration', 'number']];
  expect(comparable(fields.map(([name, type]) => ({ name: name!, type: type! })))).toEqual(['level', 'response_code', 'kv.err']);
});
