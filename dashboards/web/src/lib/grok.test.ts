import { expect, test } from 'vitest';
import { definitionsOf, fieldsOf, furthest, grammarFile, linesOf, parts, patternsOf, type Capture, type DebugLine } from './grok';

const capture = (field: string, start_char: number, end_char: number, value: string | number = 'x', type: Capture['type'] = 'text'): Capture => ({ field, type, pattern: null, value, start_char, end_char });
const line = (over: Partial<DebugLine> = {}): DebugLine => ({ outcome: 'match', pattern: 0, span: { start_char: 0, end_char: 99 }, captures: [], failures: [], took_ns: 1, ...over });

test('patterns and definitions are read a line each', () => {
  expect(patternsOf(' %{INT:a} \n\n# no\n^b')).toEqual(['%{INT:a}', '^b']);
  expect(definitionsOf('CODE \\d+ x\nLONE')).toEqual({ CODE: '\\d+ x', LONE: '' });
  expect(linesOf('a\r\n\nb ')).toEqual(['a', 'b ']);
});

test('a line in parts: the inner capture wins, places are code points', () => {
  const found = line({ span: { start_char: 1, end_char: 5 }, captures: [capture('inner', 2, 3), capture('outer', 1, 4)] });
  expect(parts('😀abcde', found).map((part) => [part.text, part.capture?.field ?? null, part.matched])).toEqual([
    ['😀', null, false], ['a', 'outer', true], ['b', 'inner', true], ['c', 'outer', true], ['d', null, true], ['e', null, false],
  ]);
});

test('an empty capture colours nothing, and a line without a match is one part', () => {
  expect(parts('ab', line({ captures: [capture('none', 1, 1)], span: null }))).toEqual([{ text: 'ab', capture: null, matched: false }]);
  expect(parts('', line())).toEqual([]);
});

test('the pattern that came furthest is told of', () => {
  const failure = (pattern: number, offset_char: number | null) => ({ pattern, offset_char, atom: null, definition: null, rendered: null });
  expect(furthest(line({ failures: [failure(0, 3), failure(1, 9), failure(2, null)] }))?.pattern).toBe(1);
  expect(furthest(line())).toBeNull();
});

test('fields with how many lines have them', () => {
  const found = [line({ captures: [capture('a', 0, 1, 7, 'int'), capture('a', 1, 2, 8, 'int')] }), line({ captures: [capture('a', 0, 1, 9, 'int'), capture('b', 1, 2)] })];
  expect(fieldsOf(found)).toEqual([{ name: 'a', type: 'int', example: 7, lines: 2 }, { name: 'b', type: 'text', example: 'x', lines: 1 }]);
});

test('a grammar file: quotes, types, a sample of each pattern, and a line that is none of it', () => {
  const lines = ["it's 7", 'tab\there', 'else', 'other 8'];
  const found = [
    line({ captures: [capture('code', 5, 6, 7, 'int')] }),
    line({ pattern: 1, captures: [capture('x', 0, 1, 'a'), capture('x', 1, 2, 'b')] }),
    line({ outcome: 'no_match', pattern: null, span: null }),
    line({ captures: [capture('code', 6, 7, 8, 'int')] }),
  ];
  expect(grammarFile('billing', "what it's for", "^%{WHAT} '%{INT:code:int}'\n^t", 'WHAT \\w+', lines, found)).toBe(`name: 'billing'
about: 'what it''s for'

definitions:
  WHAT: '\\w+'

# The first that fits a line counts.
patterns:
  - '^%{WHAT} ''%{INT:code:int}'''
  - '^t'

fields:
  'code': {type: int}

# Lines, and the fields they give: the file is taken only while they come out so.
samples:
  - line: 'it''s 7'
    fields: {'code': 7}
  - line: "tab\\there"
    fields: {'x': ["a","b"]}
  - line: 'other 8'
    fields: {'code': 8}
  - line: 'else'
    fields: null
`);
});
