// What holds on every page: it shows, it is accessible, it fits, it survives a slow network and an error.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, open } from './browser.js';
import { start } from './server.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** What a page shows once it has its data. */
const PAGES = [
  ['logs?from=now-24h', '.row'],
  ['logs?from=now-24h&q=level:E', '.row.error', async (page) => { await page.keyboard.press('j'); await page.keyboard.press('Enter'); await page.locator('.record table').waitFor(); }],
  ['logs?from=now-24h&q=response_code:*+|+stats+count()+by+response_code', 'table.data td'],
  ['anomalies', 'article .sentence'],
  ['incidents', 'article .timeline .bar'],
  ['incidents?view=silences', '.box p'],
  ['incidents?view=deliveries', '.box p'],
  ['incidents?view=deploys', '.box p'],
  ['patterns?from=now-24h', 'table.data td', async (page) => { await page.keyboard.press('j'); await page.keyboard.press('Enter'); await page.locator('.detail').waitFor(); }],
  ['compare?from=now-1h', 'section table.data td'],
  ['grok', '.inputs textarea', async (page) => { await page.getByLabel('Patterns').fill('^%{WORD:first} %{GREEDYDATA:rest}'); await page.getByLabel('Lines, up to').fill('one two\n!'); await page.getByText('1 of 2 lines fit').waitFor(); }],
  ['detectors', 'table.data td'],
  ['system', '.card b'],
];

let server, browser;
const started = Date.now();
before(async () => {
  [server, browser] = await Promise.all([start({ lines: 250_000, rate: null }), launch()]);
  // What breaks in the demo's day is found a little after its lines are in.
  for (let tries = 0; (await (await fetch(`${server.url}/api/v1/incidents`)).json()).total < 4; tries++) {
    assert.ok(tries < 300, 'the demo has incidents');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function violations(page) {
  // Through the debugger: the page's own policy forbids a script from elsewhere.
  await page.evaluate(AXE);
  // Not WCAG 2.2's size of targets: lines 21 pixels high are what a list of log lines is for, and keys reach all of them.
  const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }));
  return found.violations.map((each) => `${each.id}: ${each.nodes.slice(0, 3).map((node) => `${node.target} ${node.any[0]?.message ?? ''}`).join('; ')}`);
}

for (const [path, shown, act] of PAGES) {
  for (const colorScheme of ['light', 'dark']) {
    test(`${path}, ${colorScheme}: without an error, and accessible`, async () => {
      const { page, wrong } = await open(browser, `${server.url}/ui/${path}`, { colorScheme });
      await page.locator(shown).first().waitFor();
      await act?.(page);
      assert.deepEqual(await violations(page), []);
      assert.deepEqual(wrong, []);
      await page.context().close();
    });
  }
  // 1280 by 720 at 200 %.
  test(`${path}, 200 %: nothing is cut off sideways`, async () => {
    const { page, wrong } = await open(browser, `${server.url}/ui/${path}`, { viewport: { width: 640, height: 360 } });
    await page.locator(shown).first().waitFor({ state: 'attached' });
    assert.equal(await page.evaluate(() => document.querySelector('main').scrollWidth > innerWidth), false);
    await page.locator(shown).first().scrollIntoViewIfNeeded();
    assert.ok(await page.locator(shown).first().isVisible());
    assert.deepEqual(wrong, []);
    await page.context().close();
  });
}

test('an anomaly leads to its lines, and back', async () => {
  const { page, wrong } = await open(browser, `${server.url}/ui/anomalies`);
  await page.locator('.lane .cell').first().click();
  await page.waitForURL(/id=[0-9a-f]+/);
  const said = await page.locator('article .sentence').innerText();
  await page.locator('article .chart canvas').first().waitFor();
  const id = new URL(page.url()).searchParams.get('id');
  const { anomalies } = await (await fetch(`${server.url}/api/v1/anomalies?limit=500`)).json();
  assert.equal(await page.locator('.shares tbody tr').count(), anomalies.find((each) => each.id === id).influencers.length, 'its influencers are there');
  const shared = page.url();
  await page.getByRole('link', { name: 'Its lines' }).click();
  await page.waitForURL(/\/ui\/logs/);
  await page.locator('.row').first().waitFor();
  await page.goBack();
  await page.locator('article .sentence').waitFor();
  assert.equal(await page.locator('article .sentence').innerText(), said);
  const other = await open(browser, shared);
  await other.page.locator('article .sentence').waitFor();
  assert.equal(await other.page.locator('article .sentence').innerText(), said, 'a shared link shows the same');
  assert.deepEqual(wrong, []);
});

test('an anomaly is labelled, and detectors are judged by it', async () => {
  const { page, wrong } = await open(browser, `${server.url}/ui/anomalies`);
  const box = page.getByRole('region', { name: 'Feedback' });
  await box.getByText('A rule that hides').waitFor();
  await box.getByRole('button', { name: 'False alarm' }).click();
  await box.getByLabel('Who').fill('ada');
  await box.getByLabel('Note').fill('a test');
  await box.getByRole('button', { name: 'Say so' }).click();
  await box.getByText('ada').waitFor();
  await page.reload();
  await box.getByText('a test').waitFor();
  await page.goto(`${server.url}/ui/detectors`);
  await page.getByText('How right they were, by what people said (1 so far)').click();
  await page.locator('details tbody tr').getByText('0 %', { exact: true }).waitFor();
  assert.deepEqual(wrong, []);
});

test('two times compared: what an incident changed, and its lines', async () => {
  // The last of the demo's incidents, an upstream that fails, begins an hour before the demo does.
  const minutes = (ago) => new Date(started - ago * 60_000).toISOString();
  const { page, wrong } = await open(browser, `${server.url}/ui/compare?from=${minutes(60)}&to=${minutes(48)}`);
  const row = page.locator('tr', { hasText: 'response_code 503' });
  await row.waitFor();
  const [before, after] = (await row.locator('a').allInnerTexts()).map((text) => Number(text.replaceAll(',', '')));
  assert.ok(after > 5 * (before + 1), `${before} became ${after}`);
  await row.locator('a').last().click();
  await page.waitForURL(/\/ui\/logs\?.*q=response_code:503/);
  await page.locator('.row').first().waitFor();
  assert.equal(Number((await page.locator('.status b').first().innerText()).replaceAll(',', '')), after, 'as many lines as were counted');
  await page.goBack();
  const over = page.locator('.u-over');
  await over.waitFor();
  await page.getByRole('button', { name: 'drag sets before' }).click();
  const box = await over.boundingBox();
  await page.mouse.move(box.x + 20, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + 120, box.y + 30, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/afrom=20/);
  assert.deepEqual(wrong, []);
});

test('by keys alone: from page to page, and what the keys are', async () => {
  const { page, wrong } = await open(browser, `${server.url}/ui/logs`);
  for (const [key, name] of [['a', 'anomalies'], ['i', 'incidents'], ['p', 'patterns'], ['c', 'compare'], ['k', 'grok'], ['d', 'detectors'], ['s', 'system'], ['l', 'logs']]) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.waitForURL(new RegExp(`/ui/${name}`));
  }
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'detached' });
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Query');
  assert.deepEqual(wrong, []);
});

test('the theme can be chosen, and stays', async () => {
  const { page } = await open(browser, `${server.url}/ui/system`, { colorScheme: 'light' });
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.locator('.card').first().waitFor();
  assert.equal(await background(), 'rgb(255, 255, 255)');
  await page.keyboard.press('t');
  await page.keyboard.press('t');
  const dark = await background();
  assert.notEqual(dark, 'rgb(255, 255, 255)');
  await page.reload();
  assert.equal(await background(), dark);
});

test('a slow network: what is there stays, and it is said that more comes', async () => {
  const { page } = await open(browser, `${server.url}/ui/logs?from=now-24h`);
  await page.locator('.row').first().waitFor();
  await page.route('**/api/v1/search*', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await route.continue();
  });
  const before = await page.locator('.row').count();
  await page.keyboard.press('/');
  await page.keyboard.type('level:W');
  await page.keyboard.press('Enter');
  await page.getByText(/searching for \d+ s/).waitFor();
  assert.equal(await page.locator('.row').count(), before, 'the lines stay until there are others');
  await page.locator('.row.warning').first().waitFor();
  await page.waitForFunction(() => !document.querySelector('.row:not(.warning)'));
});

test('an error is told, with a way on', async () => {
  const { page } = await open(browser, `${server.url}/ui/logs?from=now-24h`);
  await page.locator('.row').first().waitFor();
  await page.route('**/api/v1/search*', (route) => route.fulfill({
    status: 504, contentType: 'application/problem+json',
    body: JSON.stringify({ type: 'urn:loghound:problem:deadline', title: 'the query took longer than it may', status: 504, detail: 'narrow its time range' }),
  }));
  await page.keyboard.press('r');
  await page.getByRole('alert').getByText('narrow its time range').waitFor();
  await page.unroute('**/api/v1/search*');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('alert').waitFor({ state: 'detached' });
});

test('an unknown page says so', async () => {
  const { page } = await open(browser, `${server.url}/ui/nothing`);
  await page.getByText('There is no page “nothing”').waitFor();
});

test('a hostile line is text', async () => {
  const { page, wrong } = await open(browser, `${server.url}/ui/logs?from=now-24h&q=${encodeURIComponent('"<img src=x onerror=alert(1)>"')}`);
  await page.getByText('Nothing matches').waitFor();
  assert.equal(await page.locator('img').count(), 0);
  assert.deepEqual(wrong, []);
});

test('an empty server says what to do next', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'loghound-e2e-'));
  const empty = await start({ directory });
  try {
    const { page, wrong } = await open(browser, `${empty.url}/`);
    await page.getByText('No lines yet').waitFor();
    for (const [path, text] of [['anomalies', 'Nothing out of the ordinary'], ['incidents', 'No incident'], ['patterns', 'No line matches'], ['detectors', 'Nothing is watched yet'], ['system', 'No day is stored yet'], ['system', 'None: incidents are kept']]) {
      await page.goto(`${empty.url}/ui/${path}`);
      await page.getByText(text).first().waitFor();
      assert.deepEqual(await violations(page), [], path);
    }
    assert.deepEqual(wrong, []);
  } finally {
    await empty.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});
