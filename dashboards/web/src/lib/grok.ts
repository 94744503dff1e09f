// The grok debugger's texts: what is asked of the server, what it found as coloured parts of a line, and a grammar file of it.
// Whether something matches is the server's to say.

import { send } from './api';
import type { Json } from './record';

export interface Capture {
  field: string;
  type: 'text' | 'int' | 'float';
  pattern: string | null;
  value: Json;
  start_char: number;
  end_char: number;
}
export interface Failure {
  pattern: number;
  offset_char: number | null;
  atom: string | null;
  definition: string | null;
  rendered: string | null;
}
export interface DebugLine {
  outcome: 'match' | 'no_match' | 'step_limit';
  pattern: number | null;
  span: { start_char: number; end_char: number } | null;
  captures: Capture[];
  failures: Failure[];
  took_ns: number;
}
export interface Debugged {
  took_ms: number;
  patterns: { pattern: string; engine: string; warnings: string[] }[];
  lines: DebugLine[];
}

/** What the server takes at once. */
export const LINES_MAX = 1000;

/** One pattern a line; empty lines and those that begin with `#` say nothing. */
export function patternsOf(text: string): string[] {
  return text.split('\n').map((line) => line.trim()).filter((line) => line && !line.startsWith('#'));
}

/** `NAME regex` a line, as in a file of Logstash's patterns. */
export function definitionsOf(text: string): Record<string, string> {
  return Object.fromEntries(patternsOf(text).map((line) => {
    const [, name = line, rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    return [name, rest];
  }));
}

export function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== '').slice(0, LINES_MAX);
}

export async function debug(patterns: string, definitions: string, lines: string[], all: boolean, signal?: AbortSignal): Promise<Debugged> {
  return send<Debugged>('POST', 'api/v1/grok/debug', { patterns: patternsOf(patterns), definitions: definitionsOf(definitions), lines, all_captures: all }, signal);
}

export interface Part {
  text: string;
  /** The innermost capture here. */
  capture: Capture | null;
  /** Whether the pattern reached it at all. */
  matched: boolean;
}

/** The line in parts, each of one capture; the shortest wins where one holds another. Places are code points. */
export function parts(line: string, found: DebugLine): Part[] {
  const chars = [...line];
  const owner: (Capture | null)[] = new Array(chars.length).fill(null);
  const widest = [...found.captures].sort((a, b) => b.end_char - b.start_char - (a.end_char - a.start_char));
  for (const each of widest) owner.fill(each, each.start_char, each.end_char);
  const within = (i: number) => found.span !== null && i >= found.span.start_char && i < found.span.end_char;
  const out: Part[] = [];
  for (let i = 0; i < chars.length; i++) {
    const last = out.at(-1);
    const [capture, matched] = [owner[i] ?? null, within(i)];
    if (last && last.capture === capture && last.matched === matched) last.text += chars[i];
    else out.push({ text: chars[i]!, capture, matched });
  }
  return out;
}

/** The failure of the pattern that came furthest: what people mend first. */
export function furthest(found: DebugLine): Failure | null {
  return found.failures.reduce<Failure | null>((best, each) => (best === null || (each.offset_char ?? -1) > (best.offset_char ?? -1) ? each : best), null);
}

export interface Field {
  name: string;
  type: 'text' | 'int' | 'float';
  /** The first value it had. */
  example: Json;
  lines: number;
}

/** The fields that were captured, in the order they first came. */
export function fieldsOf(lines: DebugLine[]): Field[] {
  const found = new Map<string, Field>();
  for (const line of lines) {
    for (const name of new Set(line.captures.map((each) => each.field))) {
      const first = line.captures.find((each) => each.field === name)!;
      const field = found.get(name) ?? { name, type: first.type, example: first.value, lines: 0 };
      field.lines++;
      found.set(name, field);
    }
  }
  return [...found.values()];
}

/** As YAML takes a text: single quotes where that is enough, JSON's otherwise. */
const yaml = (text: string): string => (/[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]/.test(text) ? JSON.stringify(text) : `'${text.replaceAll("'", "''")}'`);

const SAMPLES_MAX = 5;

/** A grammar file: the patterns, and lines with what they gave as the samples that prove it. */
export function grammarFile(name: string, about: string, patterns: string, definitions: string, lines: string[], found: DebugLine[]): string {
  const out = [`name: ${yaml(name)}`, `about: ${yaml(about)}`, ''];
  const named = Object.entries(definitionsOf(definitions));
  if (named.length) out.push('definitions:', ...named.map(([key, text]) => `  ${key}: ${yaml(text)}`), '');
  out.push('# The first that fits a line counts.', 'patterns:', ...patternsOf(patterns).map((each) => `  - ${yaml(each)}`), '');
  const types = fieldsOf(found).filter((field) => field.type !== 'text');
  if (types.length) out.push('fields:', ...types.map((field) => `  ${yaml(field.name)}: {type: ${field.type}}`), '');
  // A sample of each pattern first: each has to prove itself.
  const seen = new Set<number>();
  const fits = found.flatMap((each, i) => (each.outcome === 'match' ? [i] : []));
  const firsts = fits.filter((i) => !seen.has(found[i]!.pattern!) && seen.add(found[i]!.pattern!));
  const rest = fits.filter((i) => !firsts.includes(i)).slice(0, Math.max(0, SAMPLES_MAX - firsts.length));
  const fails = found.findIndex((each) => each.outcome === 'no_match');
  out.push('# Lines, and the fields they give: the file is taken only while they come out so.', 'samples:');
  for (const i of [...firsts, ...rest]) {
    const fields = new Map<string, Json[]>();
    for (const each of found[i]!.captures) fields.set(each.field, [...(fields.get(each.field) ?? []), each.value]);
    const values = [...fields].map(([field, all]) => `${yaml(field)}: ${JSON.stringify(all.length === 1 ? all[0] : all)}`);
    out.push(`  - line: ${yaml(lines[i]!)}`, `    fields: {${values.join(', ')}}`);
  }
  if (fails >= 0) out.push(`  - line: ${yaml(lines[fails]!)}`, '    fields: null');
  return `${out.join('\n')}\n`;
}
