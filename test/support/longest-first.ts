import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that take longest, starting with the longest. They wait for browsers and for other processes. */
const LONGEST = [
  'test/browser/scenarios.test.ts',
  'test/session/cluster.test.ts',
  'test/cli/commands.test.ts',
  'test/browser/accessibility.test.ts',
  'test/session/redis-outages.test.ts',
  'test/browser/example.test.ts',
];

/**
 * Starts the longest files first, so that the others run beside them. Vitest knows how long a file takes only after it
 * has run it on the same machine.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const index = LONGEST.findIndex((name) => moduleId.endsWith(name));
      return index === -1 ? LONGEST.length : index;
    };
    return (await super.sort(files)).sort((first, second) => rank(first) - rank(second));
  }
}
