import { LRUCache } from 'lru-cache';
import type { Found, SignedStore } from '../stores/signed-store.js';
import type { SessionIdentity } from './sealed-session.js';

/** `stale`: WorkOS changed the person since the token was issued, so its claims want a refresh. */
export type RevocationStatus = 'active' | 'changed' | 'revoked';

/** What was ended or changed before its tokens ran out: in this process, and in all of them where there is a store. */
export interface Revocation {
  /** Nothing was ended or changed that anybody could know of: nobody has to be asked. */
  hasNothingRevoked: () => boolean;
  /** A promise only where the store has to be asked, which is at most twice a second for a session. */
  status: (identity: SessionIdentity) => RevocationStatus | Promise<RevocationStatus>;
  /** What this process knows by itself. */
  isEndedHere: (identity: SessionIdentity) => boolean;
  /** False if the other processes could not be told. */
  endSession: (sessionId: string) => Promise<boolean>;
  /** Ends every session whose token was issued before `before`, in milliseconds since the epoch. */
  endUser: (userId: string, before: number) => Promise<boolean>;
  /** Has every session of the person refreshed before it is served again. */
  changeUser: (userId: string) => Promise<boolean>;
}

export interface RevocationOptions {
  store: SignedStore | undefined;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** How long an ended session stays ended, in milliseconds; default a day. */
  endedFor?: number;
}

/** What happened to a person, in milliseconds since the epoch. */
interface UserMark {
  readonly endedBefore: number;
  readonly changedAt: number;
}

/** An ended session stays ended for as long as an access token may live, in milliseconds. */
export const ENDED_FOR = 86_400_000;

/** What the store said holds this long, in milliseconds of real time: the delay with which other processes learn. */
const CHECKED = 500;

const MAX_KNOWN = 10_000;

const MAX_CHECKED = 100_000;

/** Tries to write a mark while others write it too. */
const TRIES = 5;

const UNMARKED: UserMark = { endedBefore: 0, changedAt: 0 };

export function createRevocation({ store, now, endedFor = ENDED_FOR }: RevocationOptions): Revocation {
  const known = createKnown(now, endedFor);
  const check = store && createCheck(store, known);
  const mark = async (userId: string, added: UserMark) => {
    known.mark(userId, added);
    return store ? writeMark(store, userId, added) : true;
  };
  return {
    hasNothingRevoked: () => !store && known.isEmpty(),
    status: (identity) => {
      const status = known.status(identity);
      const pending = status === 'revoked' ? undefined : check?.(identity);
      return pending ? pending.then(() => known.status(identity)) : status;
    },
    isEndedHere: (identity) => known.status(identity) === 'revoked',
    async endSession(sessionId) {
      known.end(sessionId);
      return store ? (await store.put('ended', sessionId, 'ended', endedFor)) === 'ok' : true;
    },
    endUser: (userId, before) => mark(userId, { ...UNMARKED, endedBefore: before }),
    changeUser: (userId) => mark(userId, { ...UNMARKED, changedAt: now() }),
  };
}

/** What this process knows. */
function createKnown(now: () => number, endedFor: number) {
  const lasting = { max: MAX_KNOWN, ttl: endedFor, ttlResolution: 0, perf: { now } };
  const ended = new LRUCache<string, true>(lasting);
  const marks = new LRUCache<string, UserMark>(lasting);
  return {
    status({ sessionId, userId, issuedAt }: SessionIdentity): RevocationStatus {
      if (sessionId !== undefined && ended.has(sessionId)) return 'revoked';
      const mark = marks.get(userId);
      if (!mark) return 'active';
      // Tokens are dated by the second: one of the same second counts as later.
      const issuedUntil = (issuedAt + 1) * 1000;
      if (issuedUntil <= mark.endedBefore) return 'revoked';
      return issuedUntil <= mark.changedAt ? 'changed' : 'active';
    },
    isEmpty: () => ended.size === 0 && marks.size === 0,
    end: (sessionId: string) => void ended.set(sessionId, true),
    mark: (userId: string, added: UserMark) =>
      void marks.set(userId, latest(marks.get(userId) ?? UNMARKED, added)),
  };
}

/** Asks the store about a session, unless it was asked a moment ago. */
function createCheck(store: SignedStore, known: ReturnType<typeof createKnown>) {
  const checks = new LRUCache<string, { until: number; pending: Promise<void> | undefined }>({
    max: MAX_CHECKED,
  });
  const ask = async ({ sessionId, userId }: SessionIdentity) => {
    const [ended, mark] = await Promise.all([
      sessionId === undefined ? undefined : store.get('ended', sessionId),
      store.get('user', userId),
    ]);
    if (sessionId !== undefined && ended?.kind === 'hit') known.end(sessionId);
    const found = markOf(mark);
    if (found) known.mark(userId, found);
  };
  return (identity: SessionIdentity): Promise<void> | undefined => {
    const key = `${identity.sessionId ?? ''} ${identity.userId}`;
    const last = checks.get(key);
    if (last && performance.now() < last.until) return last.pending;
    const check = { until: Infinity, pending: undefined as Promise<void> | undefined };
    check.pending = ask(identity).then(() => {
      check.until = performance.now() + CHECKED;
      check.pending = undefined;
    });
    checks.set(key, check);
    return check.pending;
  };
}

/** Adds to what the store says of a person, whatever other processes write at the same moment. */
async function writeMark(store: SignedStore, userId: string, added: UserMark): Promise<boolean> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const found = await store.get('user', userId);
    const text = textOf(latest(markOf(found) ?? UNMARKED, added));
    if (found.kind === 'unavailable') return false;
    if (found.kind === 'unreadable') return (await store.put('user', userId, text, ENDED_FOR)) === 'ok';
    const written =
      found.kind === 'hit'
        ? await store.replace('user', userId, found, text, ENDED_FOR)
        : await store.add('user', userId, text, ENDED_FOR);
    if (written.kind === 'hit') return true;
    if (written.kind === 'unavailable') return false;
  }
  return false;
}

function latest(a: UserMark, b: UserMark): UserMark {
  return {
    endedBefore: Math.max(a.endedBefore, b.endedBefore),
    changedAt: Math.max(a.changedAt, b.changedAt),
  };
}

function textOf({ endedBefore, changedAt }: UserMark): string {
  return `${endedBefore} ${changedAt}`;
}

function markOf(found: Found): UserMark | undefined {
  const match = found.kind === 'hit' ? /^(\d{1,16}) (\d{1,16})$/.exec(found.text) : undefined;
  return match ? { endedBefore: Number(match[1]), changedAt: Number(match[2]) } : undefined;
}
