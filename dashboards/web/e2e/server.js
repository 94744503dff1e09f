// A real loghound for the tests: `demo` with a day of traffic in it, on a port of its own, until the tests are done.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const binary = process.env.LOGHOUND_BIN ?? new URL('../../../target/debug/loghound', import.meta.url).pathname;

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  return port;
}

/**
 * Starts `loghound demo`, or `serve` on an empty directory when `directory` is given. `config` is YAML; a `rate` of null
 * is the demo's own. Gives its address.
 */
export async function start({ lines = 30_000, rate = 5, directory = null, config = '' } = {}) {
  const scratch = mkdtempSync(join(tmpdir(), 'loghound-e2e-'));
  writeFileSync(join(scratch, 'loghound.yaml'), config);
  const http = `127.0.0.1:${await freePort()}`;
  const args = directory
    ? ['serve', '--beats', '127.0.0.1:0', '--data-dir', directory, '--http', http]
    : ['demo', '--beats', '127.0.0.1:0', '--lines', String(lines), ...(rate === null ? [] : ['--rate', String(rate)]), '--http', http];
  const env = { ...process.env, LOGHOUND_CONFIG: join(scratch, 'loghound.yaml') };
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let said = '';
  child.stdout.on('data', (text) => (said += text));
  child.stderr.on('data', (text) => (said += text));
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`loghound ended:\n${said}`)));
  ended.catch(() => {});
  const url = `http://${http}`;
  const count = async () => {
    const answer = await fetch(`${url}/api/v1/search?limit=0`).catch(() => null);
    return answer?.ok ? (await answer.json()).total : -1;
  };
  const until = async () => {
    // The demo's day has about as many lines as were asked for.
    const filled = () => directory || said.includes(' are in,');
    for (const wanted = directory ? 0 : lines * 0.95; (await count()) < wanted || !filled(); ) await new Promise((r) => setTimeout(r, 100));
  };
  await Promise.race([until(), ended, timeout(300_000, () => `loghound did not get ready:\n${said}`)]);
  const stop = async () => {
    if (child.exitCode === null) {
      child.kill('SIGTERM');
      await Promise.race([once(child, 'exit'), timeout(30_000, () => 'loghound does not stop')]);
    }
    rmSync(scratch, { recursive: true, force: true });
  };
  return { url, stop };
}

function timeout(millis, message) {
  return new Promise((_, reject) => setTimeout(() => reject(new Error(message())), millis).unref());
}
