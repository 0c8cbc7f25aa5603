import { LRUCache } from 'lru-cache';
import type { Claims } from './access-token.js';
import { dueAt } from './refresh.js';
import { sessionIdOf, type Session } from './session.js';

/** A session that was opened and verified. */
export interface Verified {
  readonly session: Session;
  readonly claims: Claims;
}

/** What a process remembers of sessions, so that a warm request needs no cryptography. */
export interface SessionMemory {
  /** The session of a cookie value, while nothing about it has to be judged again. */
  recall: (value: string) => Verified | undefined;
  remember: (value: string, verified: Verified) => void;
  /** False after the session was signed out here. */
  isLive: (session: Pick<Session, 'accessToken'>) => boolean;
  end: (session: Session) => void;
}

/** A verified token is judged again after this long, so that a key that WorkOS withdrew does not live on here. */
const JUDGED = 600_000;
const MAX_BYTES = 32 * 1_048_576;
/** A session that ended here stays ended for as long as an access token may live, in milliseconds. */
const ENDED_FOR = 86_400_000;
const MAX_ENDED = 10_000;

export function createSessionMemory(now: () => number): SessionMemory {
  const verified = new LRUCache<string, Verified & { until: number }>({
    maxSize: MAX_BYTES,
    // The claims and the user stand in the value once more, as objects.
    sizeCalculation: (_, value) => value.length * 4 + 512,
  });
  const ended = new LRUCache<string, true>({
    max: MAX_ENDED,
    ttl: ENDED_FOR,
    ttlResolution: 0,
    perf: { now },
  });
  const isLive = (session: Pick<Session, 'accessToken'>) => !ended.has(sessionIdOf(session) ?? '');
  return {
    recall(value) {
      const known = verified.get(value);
      return known && now() < known.until && isLive(known.session) ? known : undefined;
    },
    remember(value, { session, claims }) {
      verified.set(value, { session, claims, until: Math.min(dueAt(claims), now() + JUDGED) });
    },
    isLive,
    end(session) {
      ended.set(sessionIdOf(session) ?? '', true);
    },
  };
}
