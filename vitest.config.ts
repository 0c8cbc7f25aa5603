import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.js';
import { TallyReporter } from './test/support/tally-reporter.js';

const source = (file: string) => fileURLToPath(new URL(`./src/${file}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^authkit-express$/, replacement: source('index.ts') },
      { find: /^authkit-express\/postgres$/, replacement: source('stores/postgres.ts') },
      { find: /^authkit-express\/redis$/, replacement: source('stores/redis.ts') },
      { find: /^authkit-express\/testing$/, replacement: source('testing/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // These have a configuration and a command of their own, `npm run test:infrastructure`.
    exclude: [...configDefaults.exclude, 'test/infrastructure/**'],
    reporters: ['default', new TallyReporter()],
    // The files of a worker share its process, which has then loaded and compiled Node's modules and node_modules. The
    // set-up gives each file its own copy of everything else.
    isolate: false,
    setupFiles: ['test/support/setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // More than cores: tests wait for deadlines and sockets more than they compute.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
  },
});
