// The README's pictures, of the demo as it comes: `node e2e/shots.js DIRECTORY` (dashboards/pictures unless given).
// With --all DIRECTORY: every page in both themes, for whoever changes them to look at.
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, open } from './browser.js';
import { start } from './server.js';

const all = process.argv[2] === '--all';
const to = process.argv[all ? 3 : 2] ?? new URL('../../pictures', import.meta.url).pathname;
const PICTURES = [
  ['logs', 'logs?from=now-24h', '.row', 'light'],
  ['incidents', 'incidents', 'article .timeline .bar', 'light'],
  ['anomalies', 'anomalies', 'article canvas', 'dark'],
];
const PAGES = [...PICTURES, ['silences', 'incidents?view=silences', '.box p'], ['patterns', 'patterns?from=now-24h', 'table.data td'], ['compare', 'compare?from=now-1h', 'section table.data td'], ['detectors', 'detectors', 'table.data td'], ['system', 'system', '.card b'], ['table', 'logs?from=now-24h&q=response_code:*+|+stats+count(),+p99(duration)+by+upstream_host+|+top+20', 'table.data td']];

const [server, browser] = await Promise.all([start({ lines: 250_000, rate: null }), launch()]);
mkdirSync(to, { recursive: true });
try {
  for (const [name, path, shown, theme] of all ? PAGES : PICTURES) {
    for (const colorScheme of all ? ['light', 'dark'] : [theme]) {
      const { page } = await open(browser, `${server.url}/ui/${path}`, { colorScheme, viewport: { width: 1280, height: 760 } });
      await page.locator(shown).first().waitFor();
      await page.waitForLoadState('networkidle');
      const file = join(to, all ? `${name}-${colorScheme}.png` : `${name}.webp`);
      if (all) await page.screenshot({ path: file });
      else {
        const session = await page.context().newCDPSession(page);
        const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: 75 });
        writeFileSync(file, Buffer.from(data, 'base64'));
      }
      console.log(`${String(statSync(file).size).padStart(8)} bytes  ${file}`);
      await page.context().close();
    }
  }
} finally {
  await browser.close();
  await server.stop();
}
