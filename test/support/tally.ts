import { expect, type TestContext } from 'vitest';
import type { Row } from './corpora.js';

/** The result of a corpus on one framework, printed at the end of the run. */
export interface Tally {
  readonly corpus: string;
  readonly on: string;
  readonly tried: number;
  readonly failed: number;
}

declare module 'vitest' {
  interface TaskMeta {
    tally?: Tally;
  }
}

const AT_ONCE = 50;

/**
 * Tries every row of a corpus in one test, up to 50 at a time, and reports every failure. `attempt` returns in how many
 * ways it tried the row; `undefined` means one.
 */
export async function tryAll<T extends Row>(
  { task }: Pick<TestContext, 'task'>,
  name: { corpus: string; on: string },
  rows: readonly T[],
  attempt: (row: T) => Promise<number | undefined> | number | undefined,
  atOnce = AT_ONCE,
): Promise<void> {
  const failures: string[] = [];
  let tried = 0;
  const queue = [...rows];
  const work = async () => {
    for (let row = queue.shift(); row; row = queue.shift()) {
      try {
        const ways = await attempt(row);
        tried += ways ?? 1;
      } catch (error) {
        tried += 1;
        failures.push(`${row.id}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  task.meta.tally = { ...name, tried, failed: failures.length };
  expect(failures).toEqual([]);
  // Rows can be skipped, but if most of them are, the test does not test anything.
  expect(rows.length, 'rows').toBeGreaterThan(0);
  expect(tried, 'rows tried').toBeGreaterThan(rows.length / 2);
}

/** Counts a row that has its own test. */
export function counted({ task }: Pick<TestContext, 'task'>, name: { corpus: string; on: string }): void {
  task.meta.tally = { ...name, tried: 1, failed: 0 };
}
