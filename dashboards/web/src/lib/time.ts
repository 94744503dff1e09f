// Times as the API takes them (`now-15m`, RFC 3339) and as people read them: in their own zone, with UTC beside it.

const UNITS: Record<string, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

export interface Range {
  from: string;
  to: string;
}

/** What is offered; anything else can be typed. */
export const RANGES: [from: string, label: string][] = [
  ['now-5m', 'Last 5 minutes'],
  ['now-15m', 'Last 15 minutes'],
  ['now-1h', 'Last hour'],
  ['now-6h', 'Last 6 hours'],
  ['now-24h', 'Last 24 hours'],
  ['now-7d', 'Last 7 days'],
  ['now-30d', 'Last 30 days'],
  ['', 'All time'],
];

/** Unix milliseconds of a bound; null for an open one, NaN for what nobody can read. */
export function toMillis(bound: string, now: number): number | null {
  const text = bound.trim();
  if (text === '') return null;
  if (text === 'now') return now;
  const relative = /^now-(\d+)([smhdw])$/.exec(text);
  if (relative) return now - Number(relative[1]) * UNITS[relative[2]!]!;
  if (/^\d{12,13}$/.test(text)) return Number(text);
  // A date and time without a zone is the reader's own.
  return Date.parse(text.replace(/^(\d{4}-\d\d-\d\d) (?=\d)/, '$1T'));
}

/** What was typed as the API takes it; null where nobody can read it. */
export function toBound(typed: string): string | null {
  const text = typed.trim();
  if (text === '' || text === 'now' || /^now-\d+[smhdw]$/.test(text)) return text === 'now' ? '' : text;
  if (/^\d+[smhdw]$/.test(text)) return `now-${text}`;
  const millis = toMillis(text, 0);
  return millis === null || Number.isNaN(millis) ? null : new Date(millis).toISOString();
}

export function label(range: Range): string {
  const known = range.to === '' && RANGES.find(([from]) => from === range.from);
  if (known) return known[1];
  const side = (bound: string, open: string) => {
    if (bound === '') return open;
    if (bound.startsWith('now')) return bound;
    const millis = toMillis(bound, 0);
    return millis === null || Number.isNaN(millis) ? bound : stamp(millis, false);
  };
  return `${side(range.from, 'beginning')} – ${side(range.to, 'now')}`;
}

/** A range of absolute times as the URL has it. */
export function absolute(from: number, to: number): Range {
  return { from: new Date(Math.floor(from)).toISOString(), to: new Date(Math.ceil(to)).toISOString() };
}

/** Twice as wide around the same middle. An open side stays open. */
export function zoomOut(range: Range, now: number): Range {
  const from = toMillis(range.from, now);
  if (from === null || Number.isNaN(from)) return { from: '', to: range.to };
  const to = toMillis(range.to, now) ?? now;
  const half = (to - from) / 2;
  return absolute(from - half, Math.min(to + half, Math.max(now, to)));
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (n: number) => String(n).padStart(2, '0');

/** `Nov 23 14:05:09.123`, local; without the fraction where none is asked for. */
export function stamp(time: number | string, fraction = true): string {
  const d = new Date(time);
  if (Number.isNaN(d.getTime())) return String(time);
  const day = `${MONTHS[d.getMonth()]} ${two(d.getDate())}`;
  const clock = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  return `${day} ${clock}${fraction ? `.${String(d.getMilliseconds()).padStart(3, '0')}` : ''}`;
}

/** `14:05`, local. */
export function clock(time: number | string): string {
  const d = new Date(time);
  return `${two(d.getHours())}:${two(d.getMinutes())}`;
}

/** A sentence of the server with its `since 13:05`, which is UTC, in the reader's own time. */
export function local(sentence: string, since: string): string {
  const at = new Date(since).toISOString().slice(11, 16);
  return sentence.replace(`since ${at}`, `since ${clock(since)}`);
}

/** For the tooltip of every time: UTC, unambiguous. */
export function utc(time: number | string): string {
  const d = new Date(time);
  return Number.isNaN(d.getTime()) ? String(time) : `${d.toISOString().replace('T', ' ').replace('Z', '')} UTC`;
}

/** `3 min ago`. */
export function ago(time: number | string, now: number): string {
  const seconds = Math.max(0, (now - new Date(time).getTime()) / 1000);
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}

/** A length of time as the API takes an interval. */
export function interval(millis: number): string {
  return millis % 1000 === 0 ? `${millis / 1000}s` : `${millis}ms`;
}

/** A step that makes at most `bars` of a span, a round one for people. */
export function stepFor(spanMillis: number, bars: number): number {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800];
  const found = steps.find((seconds) => spanMillis / (seconds * 1000) <= bars);
  return (found ?? 2592000) * 1000;
}
