// A record: nested JSON as the API gives it. Fields are addressed by dotted names, as in queries.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Rec = { [key: string]: Json };

/** The value of a dotted name. A key may have dots of its own (`app.kubernetes.io`). */
export function get(record: Rec, name: string): Json | undefined {
  if (Object.hasOwn(record, name)) return record[name];
  for (let dot = name.indexOf('.'); dot > 0; dot = name.indexOf('.', dot + 1)) {
    const head = record[name.slice(0, dot)];
    if (head !== null && typeof head === 'object' && !Array.isArray(head)) {
      const found = get(head, name.slice(dot + 1));
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** Every field with a value, by dotted name. A list is one value of its field each. */
export function flatten(record: Rec, prefix = ''): [name: string, value: Exclude<Json, object> | Json[]][] {
  const out: [string, Exclude<Json, object> | Json[]][] = [];
  for (const [key, value] of Object.entries(record)) {
    const name = prefix + key;
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) out.push(...flatten(value, `${name}.`));
    else out.push([name, value as Exclude<Json, object> | Json[]]);
  }
  return out;
}

/** As people read it in a cell. */
export function plain(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(plain).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

export const idOf = (record: Rec): string => plain(get(record, 'event.id'));
export const timeOf = (record: Rec): string => plain(record['@timestamp']);

/** What a colour may stand for. */
export type Severity = 'error' | 'warning' | 'info' | 'debug' | '';

const LEVELS: [Severity, string[]][] = [
  ['error', ['e', 'f', 'error', 'err', 'fatal', 'critical', 'crit', 'alert', 'emerg', 'emergency', 'panic', 'severe']],
  ['warning', ['w', 'warn', 'warning']],
  ['info', ['i', 'info', 'notice', 'information']],
  ['debug', ['d', 'debug', 'trace', 'verbose', 'v']],
];

/** A record's severity: its level, else its HTTP status. */
export function severityOf(record: Rec): Severity {
  const level = plain(get(record, 'level')).toLowerCase();
  if (level) return LEVELS.find(([, names]) => names.includes(level))?.[0] ?? '';
  const code = record['response_code'] ?? record['status'];
  if (typeof code === 'number') return code >= 500 ? 'error' : code >= 400 ? 'warning' : code > 0 ? 'info' : 'warning';
  return '';
}

/** The same as queries, for the colours of the histogram. */
export const SEVERITY_QUERIES: Record<'error' | 'warning', string> = {
  error: `(level:(${spellings('error')}) OR response_code:>=500)`,
  warning: `(level:(${spellings('warning')}) OR response_code:[400 TO 499] OR response_code:0)`,
};

function spellings(severity: Severity): string {
  const names = LEVELS.find(([of]) => of === severity)?.[1] ?? [];
  // Values are found as they are written: small, capital, and as a name.
  const all = names.flatMap((name) => [name, name.toUpperCase(), name[0]!.toUpperCase() + name.slice(1)]);
  return [...new Set(all)].join(' OR ');
}

/** Where a line comes from, as short as it can be said. */
export function sourceOf(record: Rec): string {
  const pick = (...names: string[]) => names.map((name) => plain(get(record, name))).find(Boolean);
  return (
    pick('kubernetes.container.name', 'service.name', 'container.name') ??
    pick('log.file.path')?.split('/').pop() ??
    pick('host.name', 'agent.name') ??
    ''
  );
}

/** Names of what the sender says about itself, last in the list of fields: seldom what anybody looks for. */
export function isEnvelope(name: string): boolean {
  return /^(agent|ecs|input|container\.id|log\.file\.(device_id|fingerprint|inode)|kubernetes\.(labels|node\.(labels|uid|hostname)|pod\.uid|replicaset)|event\.id|@version|day|month|time$)/.test(name);
}

/** Parsed fields first, then where the line comes from, then the envelope. */
export function rank(name: string): number {
  if (name === 'level') return 0;
  if (isEnvelope(name)) return 4;
  if (/^(kubernetes|container|host|log|stream|cloud|orchestrator)\b/.test(name)) return 3;
  if (name === 'message' || name === '@timestamp') return 2;
  return 1;
}
