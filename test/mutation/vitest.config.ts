import { defineConfig, mergeConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import base from '../../vitest.config.js';

const chosen = process.env['AUTHKIT_TESTS']?.split(',') ?? [];

/** As they are listed: the first failure ends a run, and one file's tests are quick and bounded where a flow's are not. */
class AsListed extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) =>
      chosen.findIndex((name) => moduleId.includes(`/test/${name}`));
    return Promise.resolve(files.toSorted((a, b) => place(a) - place(b)));
  }
}

/** The tests that judge mutants: quick, and on one framework, since a mutant is in our code and not in theirs. */
const config = mergeConfig(
  base,
  defineConfig({
    test: {
      env: { AUTHKIT_FRAMEWORKS: 'express5', AUTHKIT_LEAK_CHECKS: 'off', AUTHKIT_PROPERTY_RUNS: '100' },
      exclude: ['test/browser/**', 'test/testing/**', 'test/examples/**', 'test/*.test.ts'],
      silent: true,
      sequence: { sequencer: AsListed },
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
