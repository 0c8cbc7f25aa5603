// Makes dist/ out of what the type checker has passed: a few files instead of a hundred, since Node takes longer to find a
// file than to run what is in it. What entries share is shared, so an `AuthKitError` is one class for all of them.
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

await build({
  absWorkingDir: fileURLToPath(new URL('..', import.meta.url)),
  entryPoints: {
    index: 'src/index.ts',
    cli: 'src/cli/index.ts',
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
