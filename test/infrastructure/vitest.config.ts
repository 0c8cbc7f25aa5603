// `npm run test:infrastructure`: tests on server clusters, which take minutes and are not part of `npm test`.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.js';
import { MISSING_PROGRAMS } from './programs.js';

if (MISSING_PROGRAMS.length > 0) {
  console.error(
    `npm run test:infrastructure needs ${MISSING_PROGRAMS.join(', ')}. ` +
      'On Debian and Ubuntu: apt-get install redis-server redis-tools postgresql',
  );
  process.exit(1);
}

export default defineConfig({
  resolve: base.resolve ?? {},
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    include: ['test/infrastructure/*.test.ts'],
    setupFiles: ['test/support/leak-checks/setup.ts'],
    testTimeout: 180_000,
    hookTimeout: 120_000,
    // Each file starts servers and three application processes, so files run one at a time.
    maxWorkers: 1,
  },
});
