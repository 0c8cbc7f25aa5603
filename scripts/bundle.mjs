// Bundles src/ into a few files in dist/, because Node takes longer to find a file than to run it. The entry points share
// chunks, so that there is one class `AuthKitError` for all of them. Type declarations are written by tsc.
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
