import { expect, test } from 'vitest';
import { searched } from './words';

test.each([
  ['', []],
  ['lease', ['lease']],
  ['"Resetting endpoints" AND level:E', ['Resetting endpoints']],
  ['lease OR "a \\"b\\"" | top 3', ['lease', 'a "b"']],
  ['NOT lease', []],
  ['msg:timeout path:/api', ['timeout']],
  ['response_code:>=500', []],
  ['up* down', ['down']],
])('%s', (query, words) => expect(searched(query)).toEqual(words));
