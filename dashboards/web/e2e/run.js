// Runs the tests, one file after the other. Without a browser it says so, and fails only where CI has to have one.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { executable } from './browser.js';

const here = new URL('.', import.meta.url).pathname;
if (!executable) {
  console.error('e2e: NO CHROMIUM, SO NO PAGE IS TESTED: apt-get install chromium, or set CHROMIUM to a browser');
  process.exit(process.env.LOGHOUND_REQUIRE_BROWSER ? 1 : 0);
}
const files = readdirSync(here).filter((name) => name.endsWith('.test.js')).map((name) => here + name);
const done = spawnSync(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files], { stdio: 'inherit' });
process.exit(done.status ?? 1);
