import { defineConfig, mergeConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import base from '../../vitest.config.js';

const chosen = process.env['AUTHKIT_TESTS']?.split(',') ?? [];

/** Runs tests in the order listed: the quickest come first, and the first failure ends a run. */
class AsListed extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const position = ({ moduleId }: TestSpecification) =>
      chosen.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
    return Promise.resolve(files.toSorted((a, b) => position(a) - position(b)));
  }
}

/**
 * The tests that run against mutants are quick and use a single framework, since mutants are in our code and not in a
 * framework's.
 */
const config = mergeConfig(
  base,
  defineConfig({
    test: {
      env: { AUTHKIT_FRAMEWORKS: 'express5', AUTHKIT_LEAK_CHECKS: 'off', AUTHKIT_PROPERTY_RUNS: '100' },
      exclude: [
        'test/browser/**',
        'test/testing/**',
        'test/examples/**',
        'test/{api,architecture,ci,compatibility,documentation,types}.test.ts',
      ],
      silent: true,
      testTimeout: 20_000,
      hookTimeout: 20_000,
      sequence: { sequencer: AsListed },
      // A mutant may break what files of one process share.
      isolate: true,
    },
  }),
);
// `mergeConfig` merges lists, but these lists must replace the defaults. Files that share nothing need no other set-up.
// Stryker runs the tests in threads, which do not accept V8 options.
config.test = { ...config.test, setupFiles: ['test/support/no-preload.ts'], execArgv: [] };
if (chosen.length > 0) {
  config.test = {
    ...config.test,
    include: chosen.map((name) => `test/${name}.test.ts`),
  };
}

export default config;
