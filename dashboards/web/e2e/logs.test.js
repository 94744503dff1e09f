// The Logs page in a real browser against a real loghound.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open } from './browser.js';
import { start } from './server.js';

let server, browser;
before(async () => {
  [server, browser] = await Promise.all([start(), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const DAY = 'from=now-24h';
const total = async (page) => Number((await page.locator('.status b').first().innerText()).replaceAll(',', ''));
const logs = (rest = DAY, options) => open(browser, `${server.url}/ui/logs?${rest}`, options);
const api = async (path) => (await fetch(`${server.url}/api/v1/${path}`)).json();

test('the front page is the UI, and lines are there', async () => {
  const { page, wrong } = await open(browser, server.url);
  await page.locator('.row').first().waitFor();
  assert.match(page.url(), /\/ui\/logs/);
  assert.match(await page.locator('.row .line').first().innerText(), /\S/);
  assert.deepEqual(wrong, []);
});

test('a query, its answer, and the way back', async () => {
  const { page, wrong } = await logs();
  await page.locator('.row').first().waitFor();
  const all = await total(page);
  await page.keyboard.press('/');
  await page.keyboard.type('level:E');
  await page.keyboard.press('Enter');
  await page.waitForURL(/q=level:E/);
  await page.waitForFunction((all) => Number(document.querySelector('.status b').textContent.replaceAll(',', '')) < all, all);
  const found = await api('search?q=level:E&from=now-25h&limit=0');
  assert.ok(Math.abs((await total(page)) - found.total) < 60, 'the page counts what the API counts');
  assert.equal(await page.locator('.row.error').count(), await page.locator('.row').count(), 'all rows are errors');
  await page.goBack();
  await page.waitForFunction((all) => Number(document.querySelector('.status b').textContent.replaceAll(',', '')) >= all, all);
  assert.equal(await page.getByRole('combobox', { name: 'Query' }).inputValue(), '');
  assert.deepEqual(wrong, []);
});

test('a mistake is shown at its place, and the lines before it stay', async () => {
  const { page } = await logs();
  await page.locator('.row').first().waitFor();
  await page.getByRole('combobox', { name: 'Query' }).fill('level:E AND response_code:');
  await page.keyboard.press('Enter');
  const mistake = page.locator('#query-wrong');
  await mistake.waitFor();
  assert.match(await mistake.innerText(), /has no value/);
  const caret = await mistake.locator('b').boundingBox();
  const box = await page.getByRole('combobox', { name: 'Query' }).boundingBox();
  const drawn = await page.evaluate(() => {
    const span = document.body.appendChild(document.createElement('span'));
    const { fontFamily, fontSize } = getComputedStyle(document.querySelector('input[role=combobox]'));
    Object.assign(span.style, { fontFamily, fontSize, position: 'absolute', whiteSpace: 'pre' });
    span.textContent = 'level:E AND response_code:';
    return span.getBoundingClientRect().width;
  });
  assert.ok(Math.abs(caret.x - (box.x + 10 + drawn)) < 6, `the caret at ${caret.x} stands under the end, ${box.x + 10 + drawn}`);
  assert.ok((await page.locator('.row').count()) > 5);
});

test('completion offers fields and their values', async () => {
  const { page, wrong } = await logs();
  await page.locator('.row').first().waitFor();
  const input = page.getByRole('combobox', { name: 'Query' });
  await input.click();
  await page.keyboard.type('filen');
  await page.getByRole('option', { name: /filename/ }).waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await input.inputValue(), 'filename:');
  const value = page.getByRole('option').first();
  await page.waitForFunction(() => /\.go/.test(document.querySelector('[role=option]')?.textContent ?? ''));
  const name = await value.locator('span').first().innerText();
  await page.keyboard.press('Tab');
  assert.equal((await input.inputValue()).trim(), `filename:${name}`);
  await page.keyboard.press('Enter');
  await page.waitForURL(/q=filename/);
  assert.deepEqual(wrong, []);
});

test('a line opens, its values filter, its neighbours show', async () => {
  const { page, wrong } = await logs(`${DAY}&q=level:E`);
  await page.locator('.row').first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForURL(/row=[0-9a-f]{32}/);
  const name = await page.locator('tr:has(span:text-is("filename")) button.value').innerText();
  await page.getByRole('button', { name: 'Lines around it' }).click();
  await page.locator('.neighbour.this').waitFor();
  assert.ok((await page.locator('.neighbour').count()) > 5);
  await page.locator('.record').getByRole('button', { name: 'Fields' }).click();
  await page.locator('tr:has(span:text-is("filename")) button.value').click();
  await page.waitForURL((url) => url.searchParams.get('q') === `level:E AND filename:${name}`);
  assert.deepEqual(wrong, []);
});

test('facets are exact, and filter or exclude', async () => {
  const { page, wrong } = await logs();
  const first = page.locator('.fields .value').first();
  await first.waitFor();
  await page.getByRole('button', { name: 'Exclude level I' }).click();
  await page.waitForURL((url) => url.searchParams.get('q') === 'NOT level:I');
  await page.locator('.fields .value').first().waitFor();
  await page.waitForFunction(() => !document.querySelector('[aria-label="Filter for level I"]'));
  const facet = (await api('facets?q=NOT+level:I&from=now-24h&fields=level')).facets[0];
  const shown = Number((await page.locator('.fields .value .quiet').first().innerText()).replaceAll(',', ''));
  assert.ok(Math.abs(shown - facet.values[0].count) <= 20, `${shown} and ${facet.values[0].count}`);
  assert.deepEqual(wrong, []);
});

test('a drag over the bars is a time', async () => {
  const { page, wrong } = await logs();
  const over = page.locator('.chart .u-over');
  await over.waitFor();
  const box = await over.boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + 30, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/from=20\d\d-/);
  const params = new URL(page.url()).searchParams;
  const hours = (Date.parse(params.get('to')) - Date.parse(params.get('from'))) / 3.6e6;
  assert.ok(hours > 5.5 && hours < 6.5, `${hours} hours of 24 are a quarter`);
  assert.deepEqual(wrong, []);
});

test('pipes make a table', async () => {
  const { page, wrong } = await logs(`${DAY}&q=${encodeURIComponent('response_code:* | stats count(), p99(duration) by response_code | top 5')}`);
  await page.locator('table.data tbody tr').nth(4).waitFor();
  assert.deepEqual(await page.locator('table.data th').allInnerTexts(), ['response_code', 'count', 'p99_duration']);
  assert.deepEqual(wrong, []);
});

test('live lines arrive and stop', async () => {
  const { page, wrong } = await logs();
  await page.locator('.row').first().waitFor();
  await page.keyboard.press('l');
  await page.waitForURL(/live=1/);
  await page.locator('.row').nth(3).waitFor();
  await page.keyboard.press('l');
  await page.waitForURL((url) => !url.searchParams.has('live'));
  await page.locator('.bars .chart').waitFor();
  assert.deepEqual(wrong, []);
});

test('a query is kept under a name, used, and deleted', async () => {
  const { page, wrong } = await logs(`${DAY}&q=level:W`);
  await page.locator('.row').first().waitFor();
  await page.getByRole('button', { name: 'Saved' }).click();
  await page.getByLabel('Name for this query').fill('warnings only');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByRole('button', { name: /^warnings only/ }).waitFor();
  await page.goto(`${server.url}/ui/logs`);
  await page.getByRole('button', { name: 'Saved' }).click();
  await page.getByRole('button', { name: /^warnings only/ }).click();
  await page.waitForURL((url) => url.searchParams.get('q') === 'level:W' && url.searchParams.get('from') === 'now-24h');
  await page.getByRole('button', { name: 'Saved' }).click();
  await page.getByRole('button', { name: 'Delete warnings only' }).click();
  await page.getByText('None yet.').waitFor();
  assert.deepEqual(wrong, []);
});

test('everything that matches is exported, as it is shown', async () => {
  const { page, wrong } = await logs(`${DAY}&q=response_code:503&cols=method,response_code`);
  await page.locator('.row').first().waitFor();
  const found = await total(page);
  await page.getByRole('button', { name: 'Export' }).click();
  const [ndjson, csv] = await Promise.all((await page.locator('.panel a').all()).map(async (link) => (await fetch(await link.evaluate((a) => a.href))).text()));
  assert.equal(ndjson.trim().split('\n').length, found);
  assert.ok(ndjson.split('\n').slice(0, -1).every((line) => JSON.parse(line).response_code === 503));
  assert.match(csv.split('\n')[0], /^@timestamp,method,response_code,message$/);
  assert.equal(csv.trim().split('\n').length, found + 1);
  assert.deepEqual(wrong, []);
});

test('ten thousand lines, and only those in view are drawn', async () => {
  const { page, wrong } = await logs();
  await page.locator('.row').first().waitFor();
  const viewport = page.locator('.viewport');
  for (let tries = 0; tries < 60 && (await viewport.evaluate((node) => node.scrollHeight)) < 10_000 * 21; tries++) {
    await viewport.evaluate((node) => node.scrollTo(0, node.scrollHeight));
    await page.waitForTimeout(100);
  }
  assert.ok((await viewport.evaluate((node) => node.scrollHeight)) >= 10_000 * 21, 'they are loaded');
  assert.ok((await page.locator('.row').count()) < 120, 'few are drawn');
  assert.deepEqual(wrong, []);
});
