import { expect, test } from 'vitest';
import { parse, quantile, rate, sum } from './metrics';

const text = (n: number) => `# HELP x y
a_total{r="ok",q="say \\"hi\\""} ${n}
a_total{r="no"} 1
b 1.5e3
h_bucket{le="0.1"} ${n}
h_bucket{le="1"} ${2 * n}
h_bucket{le="+Inf"} ${2 * n}
`;

test('reads, sums, and compares', () => {
  const [before, after] = [parse(text(10)), parse(text(30))];
  expect(after.get('a_total')![0]!.labels).toEqual({ r: 'ok', q: 'say "hi"' });
  expect(sum(after, 'a_total')).toBe(31);
  expect(sum(after, 'b')).toBe(1500);
  expect(sum(after, 'none')).toBeNull();
  expect(rate(before, after, 'a_total', 10)).toBe(2);
  expect(rate(after, before, 'a_total', 1)).toBe(11);
  expect(quantile(before, after, 'h', 0.5)).toBeCloseTo(0.1);
  expect(quantile(before, after, 'h', 0.75)).toBeCloseTo(0.55);
  expect(quantile(after, after, 'h', 0.5)).toBeNull();
});
