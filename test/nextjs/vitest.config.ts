import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.js';

// `npm run test:nextjs`: not part of `npm test`, because it installs Next.js.
export default defineConfig({
  ...base,
  // Without the leak checks, which would inspect the cookies of Next.js.
  test: {
    ...base.test,
    setupFiles: [],
    include: ['test/nextjs/interoperation.ts'],
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
});
