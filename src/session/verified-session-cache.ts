import { expiringMap } from '../expiring-map.js';
import type { Claims } from '../workos/access-token.js';
import { refreshDueAt } from './refresh-due.js';
import type { Session } from './sealed-session.js';

/** A session that was opened and verified. All requests with its cookie share one object. */
export interface VerifiedSession {
  readonly kind: 'authenticated';
  readonly session: Session;
  readonly claims: Claims;
}

/**
 * Remembers verified sessions by their cookie value, so that most requests do not need cryptography. A session is
 * cached from its second request on. Otherwise, sessions with a single request to this process would fill the cache,
 * which takes more time and memory than verifying a session twice.
 */
export interface SessionCache {
  /** Returns the session of a cookie value, or `undefined` if the session has to be verified again. */
  get: (value: string) => VerifiedSession | undefined;
  /** @param isInStore Whether the session is in a store, where another process may change it at any time. */
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
   * When the session has to be looked up in the store again, in milliseconds of the monotonic clock; `Infinity` if it
   * is not in a store.
   */
  readonly storeCheckedUntil: number;
}

/**
 * A token is verified again after this long, in milliseconds. This limits how long a withdrawn signing key is still
 * accepted.
 */
const VERIFIED_FOR = 600_000;

/** A session in a store is looked up again after this long, in milliseconds of real time. */
const STORE_CHECKED_FOR = 500;

const NO_CACHE: SessionCache = {
  get: () => undefined,
  set: () => undefined,
  delete: () => undefined,
};

/**
 * Entries are keyed by this many characters from the end of a cookie value. They contain a MAC over the rest of the
 * value, and are quicker to hash than the whole value.
 */
const KEY_LENGTH = 48;

/** How many cookie values are remembered as seen once. */
const MAX_SEEN = 20_000;

/**
 * Creates a cache of verified sessions.
 *
 * @param maxBytes Maximum size of the cache, in bytes; 0 turns the cache off.
 */
export function createSessionCache(maxBytes: number, now: () => number): SessionCache {
  if (maxBytes === 0) return NO_CACHE;
  const entries = expiringMap<Entry>({ now, size: { max: maxBytes, of: sizeOf } });
  const seen = expiringMap<true>({ max: MAX_SEEN, now });
  return {
    get(value) {
      const entry = entries.get(value.slice(-KEY_LENGTH));
      // Two different values may have the same end.
      if (entry?.value !== value) return undefined;
      const time = now();
      // A clock that was set back must not make an entry live longer.
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
 * Size of an entry in bytes. The claims and the user count twice: as part of the value or of the access token, and as
 * objects.
 */
function sizeOf({ value, verified }: Entry): number {
  return value.length + verified.session.accessToken.length * 4 + 512;
}

/** Copies a string, because a slice would keep the whole Cookie header in memory. */
function copy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
