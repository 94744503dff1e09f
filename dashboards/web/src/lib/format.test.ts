import { expect, test } from 'vitest';
import { bytes, percent, seconds, short, three } from './format';

test.each([
  [0, '0'], [999, '999'], [9999, '9,999'], [12345, '12.3 k'], [1_200_000, '1.2 M'], [0.25, '0.25'], [-12345, '-12.3 k'],
])('short %d', (n, text) => expect(short(n)).toBe(text));
test.each([[0, '0'], [1, '1'], [1.5, '1.5'], [100.4, '100'], [0.0001, '1.0e-4'], [10, '10'], [200, '200']])(
  'three %d', (n, text) => expect(three(n)).toBe(text));
test.each([[0, '0 B'], [1023, '1,023 B'], [1024, '1 KiB'], [8 * 2 ** 30, '8 GiB']])('bytes %d', (n, text) => expect(bytes(n)).toBe(text));
test.each([[0, '0 %'], [0.0002, '< 0.1 %'], [0.034, '3.4 %'], [0.95, '95 %'], [1, '100 %']])('percent %d', (n, text) => expect(percent(n)).toBe(text));
test.each([[0.0005, '500 µs'], [0.25, '250 ms'], [3, '3 s'], [300, '5 min'], [259200, '3 days']])('seconds %d', (n, text) => expect(seconds(n)).toBe(text));
