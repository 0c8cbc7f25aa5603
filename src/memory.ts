import { LRUCache } from 'lru-cache';
import type { Claims } from './access-token.js';
import { dueAt } from './refresh.js';
import type { Session } from './session.js';

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
  /** @param isElsewhere The session lies in a store, where another process may change it at any time. */
  remember: (value: string, verified: Verified, isElsewhere: boolean) => void;
  /** Remembers it if this is not the first time that the value is offered. */
  offer: (value: string, verified: Verified, isElsewhere: boolean) => void;
  forget: (value: string) => void;
}

interface Entry {
  readonly value: string;
  readonly verified: Verified;
  readonly until: number;
  readonly seenUntil: number;
}

/** A verified token is judged again after this long, so that a key that WorkOS withdrew does not live on here. */
const JUDGED = 600_000;
/** What lies in a store is looked at again after this long, in milliseconds of real time. */
const SEEN = 500;

const NOTHING: SessionMemory = {
  recall: () => undefined,
  remember: () => undefined,
  offer: () => undefined,
  forget: () => undefined,
};

/** The end of a cookie value is a MAC over the rest: enough to find it by, and a fraction of it to hash on each request. */
const TAIL = 48;

/** @param maxBytes 0 for a process that remembers nothing. */
export function createSessionMemory(maxBytes: number, now: () => number): SessionMemory {
  if (maxBytes === 0) return NOTHING;
  const entries = new LRUCache<string, Entry>({
    maxSize: maxBytes,
    // The claims and the user stand in the value once more, as objects; of an id, in the token.
    sizeCalculation: ({ value, verified }) => value.length + verified.session.accessToken.length * 4 + 512,
  });
  const isBack = createDoorkeeper();
  const memory: SessionMemory = {
    recall(value) {
      const entry = entries.get(value.slice(-TAIL));
      // What was found by its end is believed only if all of it is the same.
      if (entry?.value !== value || now() >= entry.until) return undefined;
      if (entry.seenUntil !== Infinity && performance.now() >= entry.seenUntil) return undefined;
      return entry.verified;
    },
    remember(value, verified, isElsewhere) {
      const own = copy(value);
      entries.set(copy(value.slice(-TAIL)), {
        value: own,
        verified,
        until: Math.min(dueAt(verified.claims), now() + JUDGED),
        seenUntil: isElsewhere ? performance.now() + SEEN : Infinity,
      });
    },
    offer(value, verified, isElsewhere) {
      if (isBack(value)) memory.remember(value, verified, isElsewhere);
    },
    forget(value) {
      entries.delete(value.slice(-TAIL));
    },
  };
  return memory;
}

/** Values that a doorkeeper knows, at four bytes each. */
const KNOWN = 65_536;

/**
 * Tells who was here before, as the doorkeeper of TinyLFU does: by a hash, the latest in its place. Whoever comes once
 * and not again, as in a million sessions, then costs the heap nothing; whoever stays is judged twice instead of once.
 */
function createDoorkeeper(): (value: string) => boolean {
  const seen = new Uint32Array(KNOWN);
  return (value) => {
    // FNV-1a; the end of the MAC is random enough.
    let hash = 0x811c9dc5;
    for (let at = value.length - 16; at < value.length; at += 1)
      hash = Math.imul(hash ^ value.charCodeAt(at), 0x01000193) >>> 0;
    const place = hash % KNOWN;
    const isBack = seen[place] === hash;
    seen[place] = hash;
    return isBack;
  };
}

/** A string that is not a view into the whole Cookie header, and so does not keep that alive. */
function copy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
