import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.js';

// `npm run test:site`: not part of `npm test`, because it installs VitePress and builds the site.
export default defineConfig({
  ...base,
  test: { ...base.test, setupFiles: [], include: ['test/site/site.ts'], testTimeout: 600_000 },
});
