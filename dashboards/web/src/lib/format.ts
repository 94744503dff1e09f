// Numbers with their units.

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** `1,234,567`. */
export function count(n: number): string {
  return whole.format(n);
}

/** `1.2 M`: for places where five digits have no room. */
export function short(n: number): string {
  const size = Math.abs(n);
  for (const [unit, name] of [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']] as const) {
    if (size >= unit) return `${three(n / (name === 'k' ? 1e3 : unit))} ${name}`;
  }
  return Number.isInteger(n) ? whole.format(n) : three(n);
}

/** Three digits that matter, no more. */
export function three(n: number): string {
  const size = Math.abs(n);
  if (size === 0) return '0';
  if (size >= 1000) return whole.format(n);
  if (size < 0.001) return n.toExponential(1);
  return n.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
}

export function bytes(n: number): string {
  for (const [unit, name] of [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']] as const) {
    if (Math.abs(n) >= unit) return `${three(n / unit)} ${name}`;
  }
  return `${whole.format(n)} B`;
}

/** Of a share from 0 to 1. */
export function percent(share: number): string {
  const of100 = share * 100;
  if (of100 > 0 && of100 < 0.1) return '< 0.1 %';
  return `${of100.toFixed(of100 >= 10 || of100 === 0 ? 0 : 1)} %`;
}

export function seconds(s: number): string {
  if (s < 0.001) return `${three(s * 1e6)} µs`;
  if (s < 1) return `${three(s * 1e3)} ms`;
  if (s < 120) return `${three(s)} s`;
  if (s < 7200) return `${three(s / 60)} min`;
  if (s < 172800) return `${three(s / 3600)} h`;
  return `${three(s / 86400)} days`;
}
