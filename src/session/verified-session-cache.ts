import { expiringMap } from '../expiring-map.js';
import type { Claims } from '../workos/access-token.js';
import { refreshDueAt } from './refresh-due.js';
import type { Session } from './sealed-session.js';

/** A session that was opened and verified. Requests that find it in the cache share one object. */
export interface VerifiedSession {
  readonly kind: 'authenticated';
  readonly session: Session;
  readonly claims: Claims;
}

/**
 * A cache of verified sessions, by cookie value. With this cache, most requests do not need cryptography. A session is
 * cached on its second request to this process. If it were cached on the first request, sessions with a single request
 * would fill the cache, and that takes more time and memory than verifying a session twice.
 */
export interface SessionCache {
  /** Returns the session for a cookie value, or `undefined` if the session is not cached or must be verified again. */
  get: (value: string) => VerifiedSession | undefined;
  /**
   * Caches a session if its cookie value has been seen before. If not, only remembers that the value has now been seen.
   *
   * @param isInStore Whether the session is in a store, where another process may change it at any time.
   */
  set: (value: string, verified: VerifiedSession, isInStore: boolean) => void;
  delete: (value: string) => void;
}

interface Entry {
  readonly value: string;
  readonly verified: VerifiedSession;
  /** When the entry was added, in milliseconds since the epoch. */
  readonly since: number;
  /** When the entry expires, in milliseconds since the epoch. */
  readonly until: number;
  /**
   * When the session must be read from the store again, in milliseconds by the monotonic clock; `Infinity` if the
   * session is not in a store.
   */
  readonly storeCheckedUntil: number;
}

/**
 * How long a session stays in the cache before its token is verified again, in milliseconds. This limits how long
 * tokens are accepted after their signing key has been withdrawn.
 */
const VERIFIED_FOR = 600_000;

/** How long a cached session is used before it is read from the store again, in milliseconds by the monotonic clock. */
const STORE_CHECKED_FOR = 500;

const NO_CACHE: SessionCache = {
  get: () => undefined,
  set: () => undefined,
  delete: () => undefined,
};

/**
 * Length of a cache key, in characters. The key is the last part of the cookie value. This part contains a MAC over the
 * rest of the value, and is faster to hash than the whole value.
 */
const KEY_LENGTH = 48;

/** The maximum number of cookie values that are remembered as seen once. */
const MAX_SEEN = 20_000;

/**
 * Creates a cache of verified sessions.
 *
 * @param maxBytes Maximum size of the cache, in bytes. 0 disables the cache.
 */
export function createSessionCache(maxBytes: number, now: () => number): SessionCache {
  if (maxBytes === 0) return NO_CACHE;
  const entries = expiringMap<Entry>({ now, size: { max: maxBytes, of: sizeOf } });
  const seen = expiringMap<true>({ max: MAX_SEEN, now });
  return {
    get(value) {
      const entry = entries.get(value.slice(-KEY_LENGTH));
      // Two different cookie values may end in the same characters.
      if (entry?.value !== value) return undefined;
      const time = now();
      // The second condition is true if the clock has been set back. Without it, the entry would be used for too long.
      if (time >= entry.until || time < entry.since) return undefined;
      const { verified, storeCheckedUntil } = entry;
      return storeCheckedUntil === Infinity || performance.now() < storeCheckedUntil ? verified : undefined;
    },
    set(value, verified, isInStore) {
      const key = value.slice(-KEY_LENGTH);
      if (seen.get(key) === undefined) {
        seen.set(copy(key), true);
        return;
      }
      const since = now();
      entries.set(copy(key), {
        value: copy(value),
        verified,
        since,
        until: Math.min(refreshDueAt(verified.claims), since + VERIFIED_FOR),
        storeCheckedUntil: isInStore ? performance.now() + STORE_CHECKED_FOR : Infinity,
      });
    },
    delete(value) {
      entries.delete(value.slice(-KEY_LENGTH));
    },
  };
}

/**
 * Returns the approximate size of an entry, in bytes. The claims and the user are counted twice: once as part of the
 * access token or the cookie value, and once as objects.
 */
function sizeOf({ value, verified }: Entry): number {
  return value.length + verified.session.accessToken.length * 4 + 512;
}

/** Copies a string. A slice would keep the whole `Cookie` header in memory. */
function copy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
