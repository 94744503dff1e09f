// The README's pictures, of the demo as it comes: `node e2e/shots.js DIRECTORY` (docs/ of the repository unless given).
// With --all DIRECTORY: every page in both themes, for whoever changes them to look at.
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { launch, open } from './browser.js';
import { start } from './server.js';

const all = process.argv[2] === '--all';
const to = process.argv[all ? 3 : 2] ?? new URL('../../../docs', import.meta.url).pathname;
const PICTURES = [
  ['logs', 'logs?from=now-24h&q=level:E+OR+response_code:>=500', '.row', 'light'],
  ['anomalies', 'anomalies', 'article canvas', 'dark'],
  ['patterns', 'patterns?from=now-24h&q=level:E', 'table.data td', 'light'],
];
const PAGES = [...PICTURES, ['detectors', 'detectors', 'table.data td'], ['system', 'system', '.card b'], ['table', 'logs?from=now-24h&q=response_code:*+|+stats+count(),+p99(duration)+by+upstream_host+|+top+20', 'table.data td']];

const [server, browser] = await Promise.all([start({ lines: 100_000, rate: 1 }), launch()]);
mkdirSync(to, { recursive: true });
try {
  for (const [name, path, shown, theme] of all ? PAGES : PICTURES) {
    for (const colorScheme of all ? ['light', 'dark'] : [theme]) {
      const { page } = await open(browser, `${server.url}/ui/${path}`, { colorScheme, viewport: { width: 1280, height: 760 } });
      await page.locator(shown).first().waitFor();
      await page.waitForLoadState('networkidle');
      const file = join(to, all ? `${name}-${colorScheme}.png` : `${name}.png`);
      await page.screenshot({ path: file });
      console.log(`${String(statSync(file).size).padStart(8)} bytes  ${file}`);
      await page.context().close();
    }
  }
} finally {
  await browser.close();
  await server.stop();
}
