/** How far the clock of this server is from that of WorkOS, by the `Date` of its responses (RFC 9110 section 6.6.1). */
export interface WorkOSClock {
  /** Compares the clocks. `headers` are those of a response that has just arrived. */
  observe: (headers: Headers) => void;
  /** How far the clock of this server is ahead, in milliseconds; `undefined` before the first response. */
  offset: () => number | undefined;
  /** Whether the clock of this server has been set since the last response. */
  hasJumped: () => boolean;
}

/** A clock that differs by more from the monotonic one has been set. Milliseconds. */
const JUMP = 5000;

/** `Date` has a resolution of a second, and the response takes some time. Milliseconds. */
const RESOLUTION = 2000;

/** @param now Milliseconds since the epoch. */
export function createWorkOSClock(now: () => number): WorkOSClock {
  let observed: { readonly offset: number; readonly at: number; readonly monotonic: number } | undefined;
  return {
    observe(headers) {
      const date = Date.parse(headers.get('date') ?? '');
      if (Number.isNaN(date)) return;
      // A response from a cache is older than it was when it was made.
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
