// The query's text: taking it apart where the UI has to, and adding what was clicked. The language itself is the
// server's; nothing here decides what a query means.

/** Where a quoted text, a pattern between slashes or a bracket does not hide what is looked for. */
function* bare(text: string): Generator<[index: number, char: string, depth: number]> {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === '\\') {
      i++;
      continue;
    }
    if (c === '"') {
      const end = closing(text, i, '"');
      if (end < 0) return;
      i = end;
      continue;
    }
    // A pattern opens where a value may start, and its next slash stands before a blank, a bracket or the end.
    if (c === '/' && (i === 0 || /[\s:(]/.test(text[i - 1]!))) {
      const end = closing(text, i, '/');
      if (end > i + 1 && text[end - 1] !== ':' && (end + 1 === text.length || /[\s()|]/.test(text[end + 1]!))) {
        i = end;
        continue;
      }
    }
    if (c === '(') depth++;
    yield [i, c, depth];
    if (c === ')') depth--;
  }
}

function closing(text: string, open: number, mark: string): number {
  for (let i = open + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === mark) return i;
  }
  return -1;
}

/** A query without its pipes, and the pipes with their `|`. */
export function splitPipes(text: string): { filter: string; pipes: string } {
  for (const [index, char] of bare(text)) {
    if (char === '|' && text[index + 1] !== '|' && text[index - 1] !== '|') {
      return { filter: text.slice(0, index).trim(), pipes: text.slice(index).trim() };
    }
  }
  return { filter: text.trim(), pipes: '' };
}

/** Whether an OR stands at the top level, so that something added beside would bind to its last part only. */
export function hasTopLevelOr(filter: string): boolean {
  for (const [index, char, depth] of bare(filter)) {
    if (depth > 0) continue;
    if (char === '|' && filter[index + 1] === '|') return true;
    const word = /^(OR|or)(?=[\s(]|$)/.test(filter.slice(index));
    if (word && (index === 0 || /[\s)]/.test(filter[index - 1]!))) return true;
  }
  return false;
}

/** A value as a query writes it: bare where that is unambiguous, else quoted. */
export function quote(value: string | number | boolean): string {
  if (typeof value === 'number') return value < 0 ? `"${value}"` : String(value);
  if (typeof value === 'boolean') return String(value);
  const reserved = /^(AND|OR|NOT|TO|and|or|not)$/.test(value);
  if (!reserved && /^[\p{L}\p{N}_][\p{L}\p{N}_.@-]*$/u.test(value)) return value;
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}

/** A field's name as a query writes it. */
export function fieldName(name: string): string {
  return name.replace(/[\s():"|\\*?]/g, '\\$&');
}

export function clause(field: string, value: unknown): string {
  return `${fieldName(field)}:${quote(typeof value === 'number' || typeof value === 'boolean' ? value : String(value))}`;
}

/** `text` with one more condition; the opposite of one that is there takes its place, and none is there twice. */
export function addCondition(text: string, condition: string, negate = false): string {
  const { filter, pipes } = splitPipes(text);
  const parts = hasTopLevelOr(filter) ? [`(${filter})`] : conjuncts(filter);
  const wanted = negate ? `NOT ${condition}` : condition;
  const opposite = negate ? condition : `NOT ${condition}`;
  const kept = parts.filter((part) => part !== opposite && part !== wanted);
  return [...kept, wanted].join(' AND ') + (pipes ? ` ${pipes}` : '');
}

/** The parts that stand side by side or joined by AND at the top level; each NOT stays with what it denies. */
export function conjuncts(filter: string): string[] {
  const cuts: [number, number][] = [];
  let previous = 0;
  for (const [index, char, depth] of bare(filter)) {
    if (depth > 0 || index < previous) continue;
    const and = /^(\s+(AND|and)\s+|\s*&&\s*)/.exec(filter.slice(index))?.[0];
    if (and && (/\s/.test(char) || char === '&')) {
      cuts.push([index, index + and.length]);
      previous = index + and.length;
    }
  }
  const parts: string[] = [];
  let from = 0;
  for (const [start, end] of cuts) {
    parts.push(filter.slice(from, start));
    from = end;
  }
  parts.push(filter.slice(from));
  return parts.map((part) => part.trim()).filter(Boolean);
}

/** All of `text`'s filter and one more condition, without pipes. */
export function both(text: string, condition: string): string {
  const { filter } = splitPipes(text);
  if (!filter) return condition;
  return `(${filter}) AND ${condition}`;
}

/** What completion has to know: the word under the cursor, and the field whose value it is. */
export interface Word {
  start: number;
  end: number;
  text: string;
  field: string | null;
  afterPipe: boolean;
}

export function wordAt(text: string, cursor: number): Word {
  let start = cursor;
  while (start > 0 && !/[\s()|,]/.test(text[start - 1]!)) start--;
  // A quoted value may hold blanks: go back to the quote that opens it.
  const quoted = /(?:^|[\s(])([^\s()|:"]+):"([^"]*)$/.exec(text.slice(0, cursor));
  if (quoted) {
    const at = cursor - quoted[2]!.length - 1;
    return { start: at, end: cursor, text: quoted[2]!, field: quoted[1]!.replace(/\\(.)/g, '$1'), afterPipe: false };
  }
  const word = text.slice(start, cursor);
  const afterPipe = splitPipes(text.slice(0, cursor)).pipes !== '';
  const colon = /^(?:-|\+)?((?:\\.|[^:\\])+):/.exec(word);
  if (colon && !afterPipe) {
    const at = start + colon[0].length;
    const rest = text.slice(at, cursor).replace(/^([<>]=?|")/, '');
    return { start: at, end: cursor, text: rest, field: colon[1]!.replace(/\\(.)/g, '$1'), afterPipe };
  }
  // A value inside brackets: `level:(E OR W` asks for more values of level.
  const group = /(?:^|[\s(])([^\s()|:"]+):\(([^()]*)$/.exec(text.slice(0, cursor));
  const field = group && !afterPipe ? group[1]! : null;
  return { start, end: cursor, text: word, field, afterPipe };
}

/** The server counts bytes of UTF-8, the browser UTF-16 units. */
export function byteToIndex(text: string, bytes: number): number {
  let seen = 0;
  let index = 0;
  for (const char of text) {
    if (seen >= bytes) break;
    const code = char.codePointAt(0)!;
    seen += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    index += char.length;
  }
  return index;
}
