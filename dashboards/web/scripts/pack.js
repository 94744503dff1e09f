// Puts the build into dist/, each file as it is, as .br and as .gz: the server packs nothing while it serves.
// dist/ itself stays, because cargo watches it.
import { readdirSync, readFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const root = new URL('..', import.meta.url).pathname;
const from = join(root, 'build');
const to = join(root, 'dist');

for (const name of readdirSync(to)) {
  if (name !== '.gitignore') rmSync(join(to, name), { recursive: true });
}

let total = 0;
for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  const target = join(to, path.slice(from.length));
  const bytes = readFileSync(path);
  const br = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, bytes);
  writeFileSync(`${target}.br`, br);
  writeFileSync(`${target}.gz`, gzipSync(bytes, { level: 9 }));
  total += br.length;
  console.log(`${String(br.length).padStart(8)} bytes  ${path.slice(from.length + 1)}`);
}

// What the pages promise their users; a dependency that breaks it has to be argued for.
const limit = 250 * 1024;
console.log(`${String(total).padStart(8)} bytes  in all, brotli (limit ${limit})`);
if (total > limit) process.exit(1);
