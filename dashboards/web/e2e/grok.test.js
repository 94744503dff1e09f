// The grok debugger: a pattern on stored lines, what stops it, and a grammar file of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readFileSync } from 'node:fs';
import { launch, open } from './browser.js';
import { start } from './server.js';

let server, browser;
before(async () => {
  [server, browser] = await Promise.all([start({ lines: 3000, rate: 50 }), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const PATTERN = '^%{LEVEL:level}%{DAY:day} %{TIME:time} +%{INT:thread_id:int} %{FILE:filename}:%{INT:line_number:int}\\] %{GREEDYDATA:msg}$';
const DEFINITIONS = 'LEVEL [IWEF]\nDAY \\d{4}\nFILE [\\w.-]+';
const BROKEN = 'I1123 18:09:46.825203  x  1 reflector.go:561] broken';
const grok = (params = {}) => open(browser, `${server.url}/ui/grok?${new URLSearchParams(params)}`);

test('stored lines, captures in their colours, and what stops a line', async () => {
  const { page, wrong } = await grok();
  await page.getByLabel('Stored lines').fill('level:*');
  await page.getByRole('button', { name: 'Take 50 of them' }).click();
  await page.getByLabel('Definitions').fill(DEFINITIONS);
  await page.getByLabel('Patterns').fill(PATTERN);
  await page.getByText('50 of 50 lines fit').waitFor();
  const line = page.getByRole('list', { name: 'Lines' }).locator('li').first();
  const captures = await line.locator('.c').evaluateAll((all) => all.map((each) => [each.title.split(' = ')[0], getComputedStyle(each).backgroundColor]));
  assert.deepEqual(captures.map(([field]) => field), ['level', 'day', 'time', 'thread_id', 'filename', 'line_number', 'msg']);
  assert.equal(new Set(captures.map(([, colour]) => colour)).size, captures.length, 'each field has its own colour');
  assert.match(await line.innerText(), /[µm]s/);

  const lines = page.getByLabel('Lines, up to');
  await lines.fill(`${await lines.inputValue()}\n${BROKEN}`);
  await page.getByText('50 of 51 lines fit').waitFor();
  await page.getByLabel('only those that do not fit').check();
  await page.getByText('Here %{INT:thread_id:int} does not fit.').waitFor();
  const [text, caret] = (await page.locator('.caret').innerText()).split('\n');
  assert.equal(text.indexOf('x  1'), caret.indexOf('^'), 'the caret stands under the place');
  // The pattern is in the address: a shared link has it.
  assert.equal(new URL(page.url()).searchParams.get('p'), PATTERN);
  assert.deepEqual(wrong, []);
});

test('hits on what is stored, and those that are none', async () => {
  const { page, wrong } = await grok({ p: '^[IW]\\d{4} %{GREEDYDATA:rest}', q: 'level:*' });
  await page.getByRole('button', { name: 'Try on 1,000' }).click();
  const said = page.getByRole('status').filter({ hasText: 'stored lines' });
  await said.waitFor();
  const [, fit] = /fit: ([\d,]+) of the newest/.exec(await said.innerText());
  const count = async (q) => (await (await fetch(`${server.url}/api/v1/search?limit=1000&from=now-24h&q=${q}`)).json()).hits.filter((hit) => /^[IW]\d{4} /.test(hit.message)).length;
  assert.ok(Math.abs(Number(fit.replace(',', '')) - (await count('level:*'))) < 20);
  await page.getByRole('button', { name: 'Look at those that do not' }).click();
  await page.getByText(/^0 of \d+ lines fit/).waitFor();
  assert.deepEqual(wrong, []);
});

test('a grammar is made, proven, changed, refused, downloaded', async () => {
  const { page, wrong } = await grok({ p: '%{WORD:who} owes %{INT:cents:int}' });
  await page.getByLabel('Lines, up to').fill("ada owes 7\nit's grace owes 12\nnobody pays");
  await page.getByText('2 of 3 lines fit').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Make a grammar of this' }).click();
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill('debts');
  await page.getByText('It loads, and its samples come out as shown: 2 fields.').waitFor();
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download' }).click()]);
  assert.equal(file.suggestedFilename(), 'debts.yaml');
  const text = readFileSync(await file.path(), 'utf8');
  assert.match(text, /line: 'it''s grace owes 12'\n    fields: \{'who': "grace", 'cents': 12\}/);
  await page.getByLabel('The file').fill(text.replace('"grace"', '"nobody"'));
  await page.getByRole('alert').getByText('sample 2').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Download' }).isDisabled());
  assert.deepEqual(wrong, []);
});

test('a pattern that is none says where', async () => {
  const { page } = await grok({ p: '%{INTEGER:n}' });
  await page.getByLabel('Lines, up to').fill('7');
  await page.getByRole('alert').getByText('INTEGER').first().waitFor();
});
