import type { Claims } from '../workos/access-token.js';

/**
 * How long before its expiry a token with a lifetime of at least five minutes is refreshed, in seconds. A token with a
 * shorter lifetime is refreshed after four fifths of its lifetime.
 */
const AHEAD = 60;

/** Returns when a token is due for a refresh, in milliseconds since the epoch. */
export function refreshDueAt({ exp, iat }: Claims): number {
  const lifetime = typeof iat === 'number' && iat < exp ? exp - iat : AHEAD * 5;
  return (exp - Math.min(AHEAD, lifetime / 5)) * 1000;
}
