// Bundles src/ into a few files in dist/, because finding a file takes Node longer than running it. The entry points
// share chunks, so all of them use the same `AuthKitError` class. tsc writes the type declarations.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

await build({
  absWorkingDir: fileURLToPath(new URL('..', import.meta.url)),
  entryPoints: {
    index: 'src/index.ts',
    cli: 'src/cli/index.ts',
    postgres: 'src/stores/postgres.ts',
    redis: 'src/stores/redis.ts',
    testing: 'src/testing/index.ts',
    // Child processes of tests load this file. The `testing` code expects it in its own folder.
    'preload-test-clock': 'src/testing/preload-test-clock.js',
  },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  chunkNames: 'shared-[hash]',
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
});

// The declarations use Node types such as IncomingMessage, which projects that list their global types would not find.
for (const name of ['index', 'stores/postgres', 'stores/redis', 'testing/index']) {
  const file = fileURLToPath(new URL(`../dist/${name}.d.ts`, import.meta.url));
  writeFileSync(file, `/// <reference types="node" />\n${readFileSync(file, 'utf8')}`);
}
