/** Measures how far this server's clock differs from WorkOS's, by the `Date` of responses (RFC 9110 section 6.6.1). */
export interface WorkOSClock {
  /** Compares the clocks. `headers` are those of a response that has just arrived. */
  observe: (headers: Headers) => void;
  /** How far the clock of this server is ahead, in milliseconds; `undefined` before the first response. */
  offset: () => number | undefined;
  /** Whether the clock of this server has been set since the last response. */
  hasJumped: () => boolean;
}

/** If the clock drifts from the monotonic clock by more than this, in milliseconds, it has been set. */
const JUMP = 5000;

/** Smaller differences, in milliseconds, are ignored: `Date` is in whole seconds, and a response takes some time. */
const RESOLUTION = 2000;

/** @param now Milliseconds since the epoch. */
export function createWorkOSClock(now: () => number): WorkOSClock {
  let observed: { readonly offset: number; readonly at: number; readonly monotonic: number } | undefined;
  return {
    observe(headers) {
      const date = Date.parse(headers.get('date') ?? '');
      if (Number.isNaN(date)) return;
      // `Age` is how many seconds a response from a cache is old.
      const age = /^\d{1,9}$/.exec(headers.get('age') ?? '')?.[0] ?? '0';
      const difference = now() - date - Number(age) * 1000;
      const offset = Math.abs(difference) <= RESOLUTION ? 0 : difference;
      observed = { offset, at: now(), monotonic: performance.now() };
    },
    offset: () => observed?.offset,
    hasJumped() {
      if (!observed) return false;
      const drift = now() - observed.at - (performance.now() - observed.monotonic);
      return Math.abs(drift) > JUMP;
    },
  };
}
