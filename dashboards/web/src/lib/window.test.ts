import { expect, test } from 'vitest';
import { inView, topOf } from './window';

test('plain rows', () => {
  expect(inView(1000, 20, [], 0, 100, 0)).toEqual({ start: 0, end: 6, top: 0, total: 20000 });
  expect(inView(1000, 20, [], 400, 100, 2)).toEqual({ start: 18, end: 28, top: 360, total: 20000 });
  expect(inView(3, 20, [], 0, 500)).toEqual({ start: 0, end: 3, top: 0, total: 60 });
  expect(inView(0, 20, [], 0, 500)).toEqual({ start: 0, end: 0, top: 0, total: 0 });
});

test('open rows: every pixel belongs to the row that a walk finds', () => {
  const extras: [number, number][] = [[2, 300], [3, 50], [10, 120]];
  const walk = (y: number) => {
    let at = 0;
    for (let i = 0; i < 20; i++) {
      at += 20 + (extras.find(([index]) => index === i)?.[1] ?? 0);
      if (y < at) return i;
    }
    return 19;
  };
  for (let y = 0; y < 900; y += 7) {
    const view = inView(20, 20, extras, y, 1, 0);
    expect(view.start, `at ${y}`).toBe(walk(y));
    expect(view.top).toBeLessThanOrEqual(y);
  }
  expect(topOf(4, 20, extras)).toBe(430);
});
