// Prometheus' text, as far as loghound writes it: names, labels, numbers; and what two readings of it say about the time between.

export interface Sample {
  labels: Record<string, string>;
  value: number;
}
export type Metrics = Map<string, Sample[]>;

export function parse(text: string): Metrics {
  const out: Metrics = new Map();
  for (const line of text.split('\n')) {
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)$/.exec(line);
    if (!found) continue;
    const labels: Record<string, string> = {};
    for (const [, name, value] of (found[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[name!] = value!.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
    const value = found[3] === '+Inf' ? Infinity : Number(found[3]);
    out.set(found[1]!, [...(out.get(found[1]!) ?? []), { labels, value }]);
  }
  return out;
}

/** The sum over all labels; null where there is no such metric. */
export function sum(metrics: Metrics, name: string): number | null {
  const samples = metrics.get(name);
  return samples ? samples.reduce((total, sample) => total + sample.value, 0) : null;
}

/** What a counter grew by, a second. A restart begins at nought. */
export function rate(before: Metrics, after: Metrics, name: string, seconds: number): number | null {
  const [a, b] = [sum(before, name), sum(after, name)];
  if (a === null || b === null || seconds <= 0) return null;
  return (b >= a ? b - a : b) / seconds;
}

/** A quantile of what a histogram counted between two readings, interpolated within its bucket; null where nothing was. */
export function quantile(before: Metrics | null, after: Metrics, name: string, q: number): number | null {
  const counts = (metrics: Metrics | null) => {
    const found = new Map<number, number>();
    for (const { labels, value } of metrics?.get(`${name}_bucket`) ?? []) {
      const le = labels['le'] === '+Inf' ? Infinity : Number(labels['le']);
      found.set(le, (found.get(le) ?? 0) + value);
    }
    return found;
  };
  const [old, now] = [counts(before), counts(after)];
  const steps = [...now].sort((a, b) => a[0] - b[0]).map(([le, n]) => [le, n - (old.get(le) ?? 0)] as const);
  const total = steps.at(-1)?.[1] ?? 0;
  if (total <= 0) return null;
  let [low, below] = [0, 0];
  for (const [le, n] of steps) {
    if (n >= q * total) return le === Infinity ? low : low + ((le - low) * (q * total - below)) / Math.max(1, n - below);
    [low, below] = [le, n];
  }
  return low;
}
