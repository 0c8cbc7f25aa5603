import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.js';
import { TallyReporter } from './test/support/tally-reporter.js';

const source = (file: string) => fileURLToPath(new URL(`./src/${file}`, import.meta.url));

// One thread for the cryptography of each worker: it has many short jobs, and there are more workers than cores.
process.env['UV_THREADPOOL_SIZE'] ??= '1';

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
    // A larger young generation, which halves the time for garbage collection.
    execArgv: ['--max-semi-space-size=64'],
    // More than cores: tests wait for deadlines and sockets more than they compute.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
  },
});
