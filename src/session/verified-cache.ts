import { LRUCache } from 'lru-cache';
import type { Claims } from '../workos/access-token.js';
import { refreshDueAt } from './refresh.js';
import type { Session } from './sealed-session.js';

/** A session that was opened and verified: what every request with its cookie comes to, as the same object. */
export interface VerifiedSession {
  readonly kind: 'authenticated';
  readonly session: Session;
  readonly claims: Claims;
}

/** What a process remembers of sessions, so that a warm request needs no cryptography. */
export interface SessionCache {
  /** The session of a cookie value, while nothing about it has to be judged again. */
  get: (value: string) => VerifiedSession | undefined;
  /** @param isInStore The session lies in a store, where another process may change it at any time. */
  set: (value: string, verified: VerifiedSession, isInStore: boolean) => void;
  /** Remembers it if this is not the first time that the value is offered. */
  offer: (value: string, verified: VerifiedSession, isInStore: boolean) => void;
  delete: (value: string) => void;
}

interface Entry {
  readonly value: string;
  readonly verified: VerifiedSession;
  readonly until: number;
  readonly seenUntil: number;
}

/** A verified token is judged again after this long, so that a key that WorkOS withdrew does not live on here. */
const JUDGED = 600_000;

/** What lies in a store is looked at again after this long, in milliseconds of real time. */
const SEEN = 500;

const NO_CACHE: SessionCache = {
  get: () => undefined,
  set: () => undefined,
  offer: () => undefined,
  delete: () => undefined,
};

/** The end of a cookie value is a MAC over the rest: enough to find it by, and a fraction of it to hash on each request. */
const TAIL = 48;

/** @param maxBytes 0 for a process that remembers nothing. */
export function createSessionCache(maxBytes: number, now: () => number): SessionCache {
  if (maxBytes === 0) return NO_CACHE;
  const entries = new LRUCache<string, Entry>({
    maxSize: maxBytes,
    // The claims and the user stand in the value once more, as objects; of an id, in the token.
    sizeCalculation: ({ value, verified }) => value.length + verified.session.accessToken.length * 4 + 512,
  });
  const isBack = createDoorkeeper();
  const memory: SessionCache = {
    get(value) {
      const entry = entries.get(value.slice(-TAIL));
      // What was found by its end is believed only if all of it is the same.
      if (entry?.value !== value || now() >= entry.until) return undefined;
      if (entry.seenUntil !== Infinity && performance.now() >= entry.seenUntil) return undefined;
      return entry.verified;
    },
    set(value, verified, isInStore) {
      const own = copy(value);
      entries.set(copy(value.slice(-TAIL)), {
        value: own,
        verified,
        until: Math.min(refreshDueAt(verified.claims), now() + JUDGED),
        seenUntil: isInStore ? performance.now() + SEEN : Infinity,
      });
    },
    offer(value, verified, isInStore) {
      if (isBack(value)) memory.set(value, verified, isInStore);
    },
    delete(value) {
      entries.delete(value.slice(-TAIL));
    },
  };
  return memory;
}

/** Bits of a doorkeeper, and how many values it takes before it forgets them all. */
const BITS = 2 ** 22;

const CROWD = 2 ** 17;

/** Bits that a value sets: so few strangers are taken for somebody who was here (2 of 10,000 when it is full). */
const PROBES = 4;

/**
 * Tells who was here before, as the doorkeeper of TinyLFU does: by a Bloom filter that is emptied when it is full.
 * Whoever comes once and not again, as in a million sessions, then costs the heap nothing; whoever stays is judged
 * twice instead of once.
 */
function createDoorkeeper(): (value: string) => boolean {
  const seen = new Uint32Array(BITS / 32);
  let count = 0;
  return (value) => {
    const { first, step } = hashesOf(value);
    let isBack = true;
    for (let probe = 0; probe < PROBES; probe += 1) {
      const bit = (first + probe * step) % BITS;
      const mask = 1 << (bit % 32);
      const word = bit >>> 5;
      if (((seen[word] as number) & mask) === 0) isBack = false;
      seen[word] = (seen[word] as number) | mask;
    }
    if (!isBack && (count += 1) === CROWD) {
      seen.fill(0);
      count = 0;
    }
    return isBack;
  };
}

/** FNV-1a of two parts of the MAC, which is random already. */
function hashesOf(value: string): { first: number; step: number } {
  const fnv = (from: number, to: number) => {
    let hash = 0x811c9dc5;
    for (let at = from; at < to; at += 1) hash = Math.imul(hash ^ value.charCodeAt(at), 0x01000193) >>> 0;
    return hash;
  };
  const { length } = value;
  return { first: fnv(length - 16, length), step: fnv(length - 32, length - 16) };
}

/** A string that is not a view into the whole Cookie header, and so does not keep that alive. */
function copy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
