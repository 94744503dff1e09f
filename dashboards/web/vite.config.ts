import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// Names are relative to the page, so that the UI works below any path (src/api/ui.rs).
export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: {
    outDir: 'build',
    target: 'es2022',
    // The policy allows no data: in styles and scripts, and a file more costs nothing here.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  test: { include: ['src/**/*.test.ts'] },
  server: {
    // `npm run dev` beside a running loghound: open /ui/logs there.
    proxy: Object.fromEntries(
      ['/api', '/metrics', '/readyz', '/openapi.json'].map((path) => [path, process.env.LOGHOUND ?? 'http://127.0.0.1:8044']),
    ),
  },
});
