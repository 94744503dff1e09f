// Which rows of a long list are in view. Rows are `row` pixels high; those that are open are higher by what was measured.

export interface Window {
  /** First row to draw, and the one after the last. */
  start: number;
  end: number;
  /** Pixels above the first one, and of all together. */
  top: number;
  total: number;
}

/** `extras`: index of an open row and the pixels it has more, in order of the index. */
export function inView(
  rows: number, row: number, extras: [index: number, pixels: number][], scroll: number, height: number, overscan = 8,
): Window {
  const total = rows * row + extras.reduce((sum, [, pixels]) => sum + pixels, 0);
  const start = Math.max(0, indexAt(rows, row, extras, scroll) - overscan);
  const end = Math.min(rows, indexAt(rows, row, extras, scroll + height) + 1 + overscan);
  return { start, end, top: topOf(start, row, extras), total };
}

/** Pixels above row `index`. */
export function topOf(index: number, row: number, extras: [number, number][]): number {
  return index * row + extras.reduce((sum, [at, pixels]) => sum + (at < index ? pixels : 0), 0);
}

function indexAt(rows: number, row: number, extras: [number, number][], y: number): number {
  let above = 0;
  for (const [index, pixels] of extras) {
    const bottom = (index + 1) * row + above + pixels;
    if (y < index * row + above) break;
    if (y < bottom) return index;
    above += pixels;
  }
  return Math.min(Math.max(0, rows - 1), Math.max(0, Math.floor((y - above) / row)));
}
