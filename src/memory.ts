import { LRUCache } from 'lru-cache';
import type { Claims } from './access-token.js';
import { dueAt } from './refresh.js';
import { sessionIdOf, type Session } from './session.js';

/** A session that was opened and verified: what every request with its cookie comes to, as the same object. */
export interface Verified {
  readonly kind: 'active';
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

interface Entry {
  readonly value: string;
  readonly verified: Verified;
  readonly until: number;
}

/** A verified token is judged again after this long, so that a key that WorkOS withdrew does not live on here. */
const JUDGED = 600_000;
const MAX_BYTES = 32 * 1_048_576;
/** A session that ended here stays ended for as long as an access token may live, in milliseconds. */
const ENDED_FOR = 86_400_000;
const MAX_ENDED = 10_000;

/** The end of a seal is a MAC over the rest: enough to find it by, and a fraction of it to hash on each request. */
const TAIL = 48;

export function createSessionMemory(now: () => number): SessionMemory {
  const entries = new LRUCache<string, Entry>({
    maxSize: MAX_BYTES,
    // The claims and the user stand in the value once more, as objects.
    sizeCalculation: ({ value }) => value.length * 4 + 512,
  });
  const ended = new LRUCache<string, true>({
    max: MAX_ENDED,
    ttl: ENDED_FOR,
    ttlResolution: 0,
    perf: { now },
  });
  const hasEnded = (sessionId: string) => ended.size > 0 && ended.has(sessionId);
  return {
    recall(value) {
      const entry = entries.get(value.slice(-TAIL));
      // What was found by its end is believed only if all of it is the same.
      if (entry?.value !== value || now() >= entry.until) return undefined;
      return hasEnded(entry.verified.claims.sid) ? undefined : entry.verified;
    },
    remember(value, verified) {
      const { claims } = verified;
      const own = copy(value);
      entries.set(copy(value.slice(-TAIL)), {
        value: own,
        verified,
        until: Math.min(dueAt(claims), now() + JUDGED),
      });
    },
    isLive: (session) => ended.size === 0 || !hasEnded(sessionIdOf(session) ?? ''),
    end(session) {
      ended.set(sessionIdOf(session) ?? '', true);
    },
  };
}

/** A string that is not a view into the whole Cookie header, and so does not keep that alive. */
function copy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
