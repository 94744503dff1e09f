import { expect, test } from 'vitest';
import { steps } from './difference';

test.each([
  ['', []],
  ['same words', [{ change: 'same', text: 'same words' }]],
  ['a [-b c-] {+d+} e', [{ change: 'same', text: 'a' }, { change: 'gone', text: 'b c' }, { change: 'new', text: 'd' }, { change: 'same', text: 'e' }]],
  ['[-request={-] x', [{ change: 'gone', text: 'request={' }, { change: 'same', text: 'x' }]],
])('%s', (text, expected) => expect(steps(text)).toEqual(expected));
