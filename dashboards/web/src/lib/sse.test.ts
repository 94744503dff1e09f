import { expect, test } from 'vitest';
import { Events } from './sse';

const stream = ': keep-alive\n\ndata: {"a":1}\n\nevent: skipped\ndata: 12\n\ndata: one\ndata: two\r\n\r\ndata: ä😀\n\n';
const expected = [
  { kind: 'message', data: '{"a":1}' }, { kind: 'skipped', data: '12' }, { kind: 'message', data: 'one\ntwo' }, { kind: 'message', data: 'ä😀' },
];

test('however the stream is cut', () => {
  for (let cut = 0; cut <= stream.length; cut++) {
    const events = new Events();
    expect([...events.push(stream.slice(0, cut)), ...events.push(stream.slice(cut))]).toEqual(expected);
  }
});

test('what has not ended is no event yet', () => expect(new Events().push('data: half\n')).toEqual([]));
