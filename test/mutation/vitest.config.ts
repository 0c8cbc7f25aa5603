import { defineConfig, mergeConfig } from 'vitest/config';
import base from '../../vitest.config.js';

/** The tests that judge mutants: quick, and on one framework, since a mutant is in our code and not in theirs. */
export default mergeConfig(
  base,
  defineConfig({
    test: {
      env: { AUTHKIT_FRAMEWORKS: 'express5', AUTHKIT_TRIPWIRES: 'off' },
      exclude: ['test/browser/**', 'test/testing/**', 'test/*.test.ts', 'test/compatibility/**'],
      silent: true,
    },
  }),
);
