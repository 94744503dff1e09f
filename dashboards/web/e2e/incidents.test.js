// What pages somebody: from what was found to who was told, and everything that a person can do with it.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { launch, open } from './browser.js';
import { start } from './server.js';

let server, browser, tool;
before(async () => {
  // An on-call tool: `/takes` takes all, `/refuses` refuses for good.
  tool = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(request.url === '/takes' ? 200 : 400).end(request.url === '/takes' ? 'thanks' : 'not like this'));
  }).listen(0, '127.0.0.1');
  await once(tool, 'listening');
  const at = `http://127.0.0.1:${tool.address().port}`;
  const rule = (name, severity) => `    - {name: ${name}, query: {q: 'level:*', window: 24h, above: 1}, severity: ${severity}, runbook: 'https://wiki.example.org/${name}'}\n`;
  const config = `alert:
  external_url: https://logs.example.org
  allow_addresses: [127.0.0.0/8]
  receivers:
    - {name: pager, webhook: {url: '${at}/takes'}}
    - {name: chat, webhook: {url: '${at}/refuses'}}
  route: {receiver: pager, routes: [{receiver: pager, continue: true}, {receiver: chat}]}
  rules:
${rule('levels', 'critical')}${rule('more-levels', 'major')}`;
  [server, browser] = await Promise.all([start({ lines: 3000, rate: 50, config }), launch()]);
  for (let tries = 0; (await api('incidents?state=open')).total < 2; tries++) {
    assert.ok(tries < 600, 'the rules open incidents');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
});
after(async () => {
  await browser?.close();
  await server?.stop();
  tool?.close();
});

const api = async (path) => (await fetch(`${server.url}/api/v1/${path}`)).json();
const ofRule = async (rule) => (await api('incidents?state=open')).incidents.find((each) => each.findings[0].rule === rule);
const incidents = (rest = '') => open(browser, `${server.url}/ui/incidents${rest}`);

test('a message leads to the incident: its lines, its rule, who was told', async () => {
  const incident = await ofRule('levels');
  const told = (await api(`deliveries?incident=${incident.id}`)).deliveries[0];
  const url = new URL(told.notice.url);
  assert.equal(url.origin, 'https://logs.example.org');
  const { page, wrong } = await open(browser, server.url + url.pathname + url.search);
  await page.locator('article .title').filter({ hasText: 'levels' }).waitFor();
  assert.ok((await page.locator('.finding .lines li').count()) > 0, 'lines that show it');
  assert.equal(await page.getByRole('link', { name: 'runbook' }).getAttribute('href'), 'https://wiki.example.org/levels');
  await page.locator('article .timeline .bar').first().waitFor();
  const rows = page.getByRole('region', { name: 'Deliveries' }).locator('tbody tr');
  await rows.filter({ hasText: 'pager' }).getByText('delivered').waitFor();
  await rows.filter({ hasText: 'chat' }).getByText('given up').waitFor();
  await rows.filter({ hasText: 'chat' }).getByRole('button', { name: '1' }).click();
  await page.getByText('not like this').waitFor();
  await page.locator('.finding .lines a').first().click();
  await page.waitForURL(/\/ui\/logs\?.*row=/);
  await page.goBack();
  await page.locator('article .title').filter({ hasText: 'levels' }).waitFor();
  assert.deepEqual(wrong, []);
});

test('acknowledged by keys, with a name that is remembered', async () => {
  const incident = await ofRule('levels');
  const { page, wrong } = await incidents(`?id=${incident.id}`);
  await page.locator('article').waitFor();
  await page.keyboard.press('a');
  const form = page.getByRole('form', { name: 'Acknowledge' });
  await form.waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'INPUT', 'the form has the focus');
  await page.keyboard.type('ada');
  await page.keyboard.press('Tab');
  await page.keyboard.type('looking');
  await page.keyboard.press('Enter');
  await page.locator('article header').getByText('acknowledged').waitFor();
  await page.getByRole('region', { name: 'History' }).getByText('ada').waitFor();
  const now = await api(`incidents/${incident.id}`);
  assert.equal(now.state, 'acknowledged');
  assert.ok(now.history.some((each) => each.by === 'ada' && each.text.includes('looking')), JSON.stringify(now.history));
  await page.reload();
  await page.getByRole('button', { name: 'Close', exact: true }).click();
  assert.equal(await page.getByRole('form', { name: 'Close' }).getByLabel('Who').inputValue(), 'ada');
  assert.deepEqual(wrong, []);
});

test('a deploy is told of, and drawn', async () => {
  const incident = await ofRule('more-levels');
  const at = new Date(Date.parse(incident.since) + 1000).toISOString();
  await fetch(`${server.url}/api/v1/deploys`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ version: 'v9', service: 'checkout', at, by: 'ci', url: 'https://ci.example.org/9' }) });
  const { page, wrong } = await incidents('?view=deploys');
  const row = page.locator('tbody tr', { hasText: 'v9' });
  await row.waitFor();
  assert.equal(await row.getByRole('link', { name: 'v9' }).getAttribute('href'), 'https://ci.example.org/9');
  await row.getByRole('link', { name: 'the 15 minutes after it' }).click();
  await page.waitForURL(/\/ui\/compare\?from=/);
  assert.deepEqual(wrong, []);
});

test('taken in, and split off again', async () => {
  const [into, other] = [await ofRule('levels'), await ofRule('more-levels')];
  const { page, wrong } = await incidents(`?id=${into.id}`);
  await page.getByRole('button', { name: 'Take in another' }).click();
  const form = page.getByRole('form', { name: 'Take in' });
  await form.getByLabel('Take in').selectOption(other.id);
  await form.getByLabel('Who').fill('grace');
  await form.getByRole('button', { name: 'Take in' }).click();
  await page.locator('.finding').nth(1).waitFor();
  assert.equal((await api(`incidents/${other.id}`)).merged_into, into.id);
  // What was merged says where it went.
  await page.goto(`${server.url}/ui/incidents?id=${other.id}`);
  await page.getByRole('link', { name: 'part of another one now' }).click();
  await page.waitForURL((url) => url.searchParams.get('id') === into.id);

  const second = page.locator('.finding').nth(1);
  const rule = /rule (\S+)/.exec(await second.locator('.head').innerText())[1];
  await page.getByRole('button', { name: 'Split off' }).waitFor();
  assert.ok(await page.getByRole('button', { name: 'Split off' }).isDisabled(), 'nothing is chosen yet');
  await second.getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Split off 1' }).click();
  await page.getByRole('form', { name: 'Split off' }).getByRole('button', { name: 'Split off' }).click();
  await page.waitForURL((url) => url.searchParams.get('id') !== into.id);
  await page.locator('.finding', { hasText: `rule ${rule}` }).waitFor();
  assert.equal(await page.locator('.finding').count(), 1);
  assert.deepEqual(wrong, []);
});

test('silenced, and the silence ended', async () => {
  const incident = await ofRule('levels');
  const { page, wrong } = await incidents(`?id=${incident.id}`);
  await page.getByRole('button', { name: 'Silence', exact: true }).click();
  const form = page.getByRole('form', { name: 'Silence' });
  assert.match(await form.getByLabel('Matchers').inputValue(), /rule="levels"/);
  await form.getByRole('button', { name: 'severity="critical"' }).click();
  await form.getByLabel('Who').fill('ada');
  await form.getByLabel('Why').fill('a "known" thing, being mended');
  await form.getByLabel('Matchers').fill('nonsense');
  await form.getByRole('button', { name: 'Silence' }).click();
  await form.getByRole('alert').getByText('no matcher').waitFor();
  await form.getByLabel('Matchers').fill('rule="levels"\nseverity="critical"');
  await form.getByRole('button', { name: 'Silence' }).click();
  await page.getByText('Silenced until').waitFor();
  await page.getByRole('link', { name: 'all silences' }).click();
  const row = page.locator('tbody tr', { hasText: 'being mended' });
  await row.getByText('active').waitFor();
  await row.getByRole('button', { name: /End the silence/ }).click();
  await row.getByText('expired').waitFor();
  assert.equal((await api('silences')).silences[0].state, 'expired');
  // What a refused request says is the test's; nothing else went wrong.
  assert.deepEqual(wrong.filter((each) => !each.includes('400')), []);
});

test('closed: it is over, and receivers are told', async () => {
  const incident = await ofRule('levels');
  const { page, wrong } = await incidents(`?id=${incident.id}`);
  await page.getByRole('button', { name: 'Close', exact: true }).click();
  const form = page.getByRole('form', { name: 'Close' });
  await form.getByLabel('Who').fill('ada');
  await form.getByLabel('Note').fill('mended');
  await form.getByRole('button', { name: 'Close' }).click();
  await page.locator('article header').getByText('resolved').waitFor();
  await page.getByRole('region', { name: 'Deliveries' }).locator('tbody tr', { hasText: 'resolve' }).first().waitFor();
  assert.equal(await page.getByRole('button', { name: 'Acknowledge' }).count(), 0, 'what is over takes no acknowledgement');
  assert.deepEqual(wrong, []);
});

test('all messages, and one given up sent again', async () => {
  const { page, wrong } = await incidents('?view=deliveries&delivery=dead');
  const rows = page.locator('tbody tr', { hasText: 'given up' });
  await rows.first().waitFor();
  const attempts = async () => (await api('deliveries?state=dead&limit=100')).deliveries.reduce((sum, each) => sum + each.attempts_total, 0);
  const before = await attempts();
  for (const state of ['waiting', 'delivered', 'all']) {
    await page.getByRole('group', { name: 'State of messages' }).getByRole('button', { name: state }).click();
    await page.waitForURL((url) => (url.searchParams.get('delivery') ?? 'all') === state);
  }
  await rows.filter({ hasText: 'resolve' }).or(rows.first()).first().getByRole('button', { name: 'Send again' }).click();
  for (let tries = 0; (await attempts()) === before && !(await page.getByRole('alert').count()); tries++) {
    assert.ok(tries < 100, 'it is tried again, or refused with its reason');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.deepEqual(wrong.filter((each) => !each.includes('409')), []);
});

test('an incident that is not there is told so', async () => {
  const { page } = await incidents('?id=0000000000000000');
  await page.getByRole('alert').getByText('0000000000000000').waitFor();
});

test('receivers: how they are, and a test to each', async () => {
  const { page, wrong } = await open(browser, `${server.url}/ui/system`);
  const receivers = page.getByRole('region', { name: 'Receivers' });
  await receivers.locator('tbody tr', { hasText: 'pager' }).locator('.badge.ok').waitFor();
  await receivers.getByRole('button', { name: 'Send a test to pager' }).click();
  await receivers.getByText('Test: taken').waitFor();
  await receivers.getByRole('button', { name: 'Send a test to chat' }).click();
  await receivers.getByText('Test: answered 400').waitFor();
  const dead = receivers.locator('tbody tr', { hasText: 'chat' }).getByRole('link');
  await dead.first().click();
  await page.waitForURL((url) => url.searchParams.get('delivery') === 'dead' && url.searchParams.get('receiver') === 'chat');
  await page.locator('tbody tr', { hasText: 'given up' }).first().waitFor();
  assert.deepEqual(wrong, []);
});

test('days on disk: what is stored is what the API says, and leads to its lines', async () => {
  const { page, wrong } = await open(browser, `${server.url}/ui/system`);
  const days = page.getByRole('region', { name: 'Days stored' });
  await days.locator('tbody tr').first().waitFor();
  const { shards, next } = await api('shards');
  assert.deepEqual(await days.locator('tbody tr td:first-child').allInnerTexts(), shards.map((each) => each.name));
  await days.getByText(`Next to be deleted for its age: ${next[0].name}`).waitFor();
  await days.getByRole('link', { name: shards.at(-1).name }).click();
  await page.waitForURL(/\/ui\/logs\?/);
  await page.locator('.row').first().waitFor();
  assert.equal(new URL(page.url()).searchParams.get('from'), `${shards.at(-1).name}T00:00:00Z`);
  assert.deepEqual(wrong, []);
});
