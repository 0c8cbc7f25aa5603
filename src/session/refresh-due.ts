import type { Claims } from '../workos/access-token.js';

/**
 * How long before expiry a token is refreshed, in seconds. If the token's lifetime is shorter than five minutes, it is
 * refreshed after four fifths of that lifetime instead.
 */
const AHEAD = 60;

/** Returns when a token is due for a refresh, in milliseconds since the epoch. */
export function refreshDueAt({ exp, iat }: Claims): number {
  const lifetime = typeof iat === 'number' && iat < exp ? exp - iat : AHEAD * 5;
  return (exp - Math.min(AHEAD, lifetime / 5)) * 1000;
}
