import type { Claims } from '../workos/access-token.js';

/** A token is refreshed this many seconds before it expires, or after four fifths of its lifetime if that is later. */
const AHEAD = 60;

/** When a token is due for a refresh, in milliseconds since the epoch. */
export function refreshDueAt({ exp, iat }: Claims): number {
  const lifetime = typeof iat === 'number' && iat < exp ? exp - iat : AHEAD * 5;
  return (exp - Math.min(AHEAD, lifetime / 5)) * 1000;
}
