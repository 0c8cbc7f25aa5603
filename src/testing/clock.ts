/** The time of a test WorkOS, and of the application under test that was given its `options`. */
export interface TestClock {
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Moves time forward; backward if `milliseconds` is negative. */
  advance: (milliseconds: number) => void;
}

/**
 * @param start Milliseconds since the epoch. From there the clock moves by `advance` alone; without it, it also runs
 * with real time, since an application that somebody tries by hand has to see its tokens expire.
 */
export function createClock(start?: number): TestClock {
  let advanced = 0;
  return {
    now: () => (start ?? Date.now()) + advanced,
    advance: (milliseconds) => {
      advanced += milliseconds;
    },
  };
}
