// Numbers in Chromium, on a filled store: `node e2e/measure.js URL [SECONDS of live tail]`.
// Prints what BENCHMARKS.md has. The machine should do nothing else.
import { launch, open } from './browser.js';

const [url, seconds = '60'] = process.argv.slice(2);
if (!url) throw new Error('give the address of a running loghound, filled: node e2e/measure.js http://127.0.0.1:8044');
const browser = await launch();
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const say = (what, value) => console.log(`${what.padEnd(56)} ${value}`);
const total = (await (await fetch(`${url}/api/v1/search?limit=0`)).json()).total;
say('lines in the store', total.toLocaleString('en-US'));

// First load, nothing cached: paint, bytes, rows.
const paints = [], rows = [], bytes = [];
for (let round = 0; round < 5; round++) {
  const { page } = await open(browser, 'about:blank');
  let sum = 0;
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  const files = new Set();
  session.on('Network.responseReceived', ({ requestId, response }) => response.url.includes('/ui/') && files.add(requestId));
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => files.has(requestId) && (sum += encodedDataLength));
  await page.goto(`${url}/ui/logs?from=`);
  await page.locator('.row').first().waitFor();
  rows.push(await page.evaluate(() => performance.now()));
  paints.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime));
  bytes.push(sum);
  await page.context().close();
}
say('first load over the wire, KB', (median(bytes) / 1024).toFixed(1));
say('first contentful paint, ms (median of 5)', median(paints).toFixed(0));
say('first rows of a page opened anew, ms (median of 5)', median(rows).toFixed(0));

const { page } = await open(browser, `${url}/ui/logs?from=`);
await page.locator('.row').first().waitFor();

// From the answer's last byte to the rows on the screen.
const after = [];
for (const query of ['level:E', 'level:W', 'response_code:>=500', 'lease', 'level:I']) {
  const answered = page.waitForResponse((r) => r.url().includes('/api/v1/search') && r.url().includes('limit=200'), { timeout: 60_000 });
  await page.getByRole('combobox', { name: 'Query' }).fill(query);
  await page.keyboard.press('Enter');
  const response = await answered;
  await response.finished();
  after.push(await page.evaluate(async () => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const asked = performance.getEntriesByType('resource').filter((each) => each.name.includes('/api/v1/search')).at(-1);
    return performance.now() - asked.responseEnd;
  }));
}
say('rows after their answer, ms (median, worst of 5)', `${median(after).toFixed(0)}, ${Math.max(...after).toFixed(0)}`);

// Ten thousand lines, and a scroll through them.
await page.goto(`${url}/ui/logs?from=`);
await page.locator('.row').first().waitFor();
const viewport = page.locator('.viewport');
for (let tries = 0; tries < 200 && (await viewport.evaluate((node) => node.scrollHeight)) < 10_000 * 21; tries++) {
  await viewport.evaluate((node) => node.scrollTo(0, node.scrollHeight));
  await page.waitForTimeout(50);
}
const frames = (act) => page.evaluate(async (act) => {
  const node = document.querySelector('.viewport');
  const over = document.querySelector('.u-over');
  const box = over.getBoundingClientRect();
  const steps = [];
  const mouse = (type, x) => over.dispatchEvent(new MouseEvent(type, { clientX: box.x + x, clientY: box.y + 20, bubbles: true, button: 0, buttons: 1 }));
  if (act === 'scroll') node.scrollTop = 0;
  else mouse('mousedown', 10);
  let last = await new Promise(requestAnimationFrame);
  for (let i = 0; i < 240; i++) {
    if (act === 'scroll') node.scrollTop += 700;
    else mouse('mousemove', 10 + i * 2);
    const now = await new Promise(requestAnimationFrame);
    steps.push(now - last);
    last = now;
  }
  if (act !== 'scroll') mouse('mouseup', 10);
  return steps;
}, act);
for (const act of ['scroll', 'brush']) {
  const steps = await frames(act);
  const p95 = steps.toSorted((a, b) => a - b)[Math.floor(steps.length * 0.95)];
  say(`${act === 'scroll' ? 'scrolling 10,000 lines' : 'brushing the bars'}: frame, ms (median, p95, worst)`, [median(steps), p95, Math.max(...steps)].map((n) => n.toFixed(1)).join(', '));
}

// A live tail: the heap after a garbage collection, at its beginning and its end.
await page.goto(`${url}/ui/logs?live=1`);
await page.locator('.row').nth(10).waitFor({ timeout: 60_000 });
const session = await page.context().newCDPSession(page);
const heap = async () => {
  await session.send('HeapProfiler.collectGarbage');
  return (await session.send('Runtime.getHeapUsage')).usedSize / 2 ** 20;
};
await page.waitForTimeout((Number(seconds) * 1000) / 3);
const early = await heap();
const before = await page.locator('.status b').first().innerText();
await page.waitForTimeout((Number(seconds) * 2000) / 3);
const late = await heap();
const came = await page.locator('.status b').first().innerText();
say(`heap of a live tail, MiB, after ${Number(seconds) / 3} s and ${seconds} s`, `${early.toFixed(1)} (${before} lines), ${late.toFixed(1)} (${came} lines)`);
await browser.close();
