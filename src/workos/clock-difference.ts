/**
 * Measures how far this server's clock differs from WorkOS's clock, using the `Date` response header (RFC 9110 section
 * 6.6.1).
 */
export interface WorkOSClock {
  /** Compares the clocks. `headers` are the headers of a response from WorkOS that has just arrived. */
  observe: (headers: Headers) => void;
  /**
   * Returns how far this server's clock is ahead of WorkOS's clock, in milliseconds. The result is negative if this
   * server's clock is behind, and `undefined` before the first response.
   */
  offset: () => number | undefined;
  /** Whether this server's clock has been changed since the last response. */
  hasJumped: () => boolean;
  /**
   * Returns the current time according to WorkOS's clock, in milliseconds since the epoch. Times that are compared with
   * the `iat` claim of a token must come from that clock. If the difference between the clocks is not known, returns
   * the time of this server's clock.
   */
  now: () => number;
}

/**
 * The largest tolerated difference between the clocks, in seconds. If they differ by more, this server may refuse valid
 * tokens as well as data that other servers have sealed.
 */
export const CLOCK_TOLERANCE = 60;

/**
 * If this server's clock has drifted from the monotonic clock by more than this many milliseconds, the clock must have
 * been changed.
 */
const JUMP = 5000;

/**
 * Clock differences of up to this many milliseconds are ignored: the `Date` header only has a resolution of one second,
 * and a response takes some time to arrive.
 */
const RESOLUTION = 2000;

/**
 * Creates the functions that compare this server's clock with WorkOS's clock.
 *
 * @param now Returns the current time according to this server's clock, in milliseconds since the epoch.
 */
export function createWorkOSClock(now: () => number): WorkOSClock {
  let observed: { readonly offset: number; readonly at: number; readonly monotonic: number } | undefined;
  const hasJumped = () => {
    if (!observed) return false;
    const drift = now() - observed.at - (performance.now() - observed.monotonic);
    return Math.abs(drift) > JUMP;
  };
  return {
    observe(headers) {
      const date = Date.parse(headers.get('date') ?? '');
      if (Number.isNaN(date)) return;
      // The `Age` header of a response from a cache says how old the response is, in seconds.
      const age = /^\d{1,9}$/.exec(headers.get('age') ?? '')?.[0] ?? '0';
      const difference = now() - date - Number(age) * 1000;
      const offset = Math.abs(difference) <= RESOLUTION ? 0 : difference;
      observed = { offset, at: now(), monotonic: performance.now() };
    },
    offset: () => observed?.offset,
    hasJumped,
    now: () => now() - (hasJumped() ? 0 : (observed?.offset ?? 0)),
  };
}
