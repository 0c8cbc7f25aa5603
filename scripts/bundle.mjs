// Bundles src/ into a few files in dist/, because Node takes longer to find a file than to run it. The entry points share
// chunks, so that there is one class `AuthKitError` for all of them. Type declarations are written by tsc.
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
    // Child processes of tests load this file, which the code of `testing` finds beside itself.
    'clock-preload': 'src/testing/clock-preload.js',
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

// Declarations use types of Node, such as IncomingMessage. Projects that list their global types would not find them.
for (const name of ['index', 'stores/postgres', 'stores/redis', 'testing/index']) {
  const file = fileURLToPath(new URL(`../dist/${name}.d.ts`, import.meta.url));
  writeFileSync(file, `/// <reference types="node" />\n${readFileSync(file, 'utf8')}`);
}
