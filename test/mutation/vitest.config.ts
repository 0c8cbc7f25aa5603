import { defineConfig, mergeConfig } from 'vitest/config';
import base from '../../vitest.config.js';

const chosen = process.env['AUTHKIT_TESTS']?.split(',') ?? [];

/** The tests that judge mutants: quick, and on one framework, since a mutant is in our code and not in theirs. */
const config = mergeConfig(
  base,
  defineConfig({
    test: {
      env: { AUTHKIT_FRAMEWORKS: 'express5', AUTHKIT_TRIPWIRES: 'off', AUTHKIT_PROPERTY_RUNS: '100' },
      exclude: ['test/browser/**', 'test/testing/**', 'test/examples/**', 'test/*.test.ts'],
      silent: true,
    },
  }),
);
// Lists are merged; this one replaces.
if (chosen.length > 0) {
  config.test = {
    ...config.test,
    include: chosen.flatMap((name) => [`test/${name}*.test.ts`, `test/${name}/*.test.ts`]),
  };
}

export default config;
