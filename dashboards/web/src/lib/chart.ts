// What all charts share: uPlot's axes in our colours and units, sizes that follow the page, drags that choose a time.

import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { colour } from './theme.svelte';

const FONT = '11px system-ui, sans-serif';

/** `size`: pixels that an axis takes across itself; fixed, so that nothing moves when numbers grow. */
export function axis(over: Partial<uPlot.Axis> = {}): uPlot.Axis {
  return {
    stroke: colour('fg-2'), font: FONT, ticks: { show: false }, grid: { stroke: colour('line'), width: 1 }, gap: 4, ...over,
  };
}

/** The time axis: local, 24 hours. */
export function timeAxis(): uPlot.Axis {
  return axis({
    size: 20,
    space: 70,
    grid: { show: false },
    values: [
      [86400, '{MMM} {D}', null, null, null, null, null, null, 1],
      [3600, '{HH}:{mm}', '\n{MMM} {D}', null, null, null, null, null, 0],
      [60, '{HH}:{mm}', null, null, null, null, null, null, 1],
      [1, '{HH}:{mm}:{ss}', null, null, null, null, null, null, 1],
      [0.001, '{ss}.{fff}', null, null, null, null, null, null, 1],
    ],
  });
}

/** A chart that is as wide as what holds it. Gives what takes it away again. */
export function attach(holder: HTMLElement, height: number, make: (width: number) => uPlot): () => void {
  const chart = make(Math.max(50, holder.clientWidth));
  const observer = new ResizeObserver(() => {
    const width = holder.clientWidth;
    if (width > 0 && width !== chart.width) chart.setSize({ width, height });
  });
  observer.observe(holder);
  return () => {
    observer.disconnect();
    chart.destroy();
  };
}

/** Calls `pick` with the times, in Unix milliseconds, that a drag spans. */
export function brush(pick: (from: number, to: number) => void): (chart: uPlot) => void {
  return (chart) => {
    const { left, width } = chart.select;
    if (width < 3) return;
    const from = chart.posToVal(left, 'x') * 1000;
    const to = chart.posToVal(left + width, 'x') * 1000;
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    pick(from, to);
  };
}
