// A difference as an anomaly has it: words in both, `[-gone-]`, `{+new+}`.

export interface Step {
  change: 'same' | 'gone' | 'new';
  text: string;
}

export function steps(text: string): Step[] {
  const out: Step[] = [];
  let at = 0;
  for (const found of text.matchAll(/\[-([\s\S]*?)-\]|\{\+([\s\S]*?)\+\}/g)) {
    const before = text.slice(at, found.index).trim();
    if (before) out.push({ change: 'same', text: before });
    out.push(found[1] !== undefined ? { change: 'gone', text: found[1] } : { change: 'new', text: found[2]! });
    at = found.index + found[0].length;
  }
  const rest = text.slice(at).trim();
  if (rest) out.push({ change: 'same', text: rest });
  return out;
}
