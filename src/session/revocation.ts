import { log, publish } from '../events.js';
import { expiringMap } from '../expiring-map.js';
import type { Found, SignedStore } from '../stores/signed-store.js';
import type { SessionIdentity } from './sealed-session.js';

/**
 * `changed`: the user has changed at WorkOS since the token was issued, so the session is refreshed to get new claims.
 */
export type RevocationStatus = 'active' | 'changed' | 'revoked';

/** Ends sessions before their tokens expire: in this process, and in all processes that share a store. */
export interface Revocation {
  /** The status of a session. If there is a store, it is asked at most twice a second for each session. */
  status: (identity: SessionIdentity) => Promise<RevocationStatus>;
  /** The status of a session, without waiting; `undefined` if the store has to be asked. */
  statusNow: (identity: SessionIdentity) => RevocationStatus | undefined;
  /** Whether this process knows that a session was ended. */
  isEndedHere: (identity: SessionIdentity) => boolean;
  /**
   * Ends a session. Resolves to false if the store is unavailable, in which case the other processes do not know that
   * the session has ended.
   */
  endSession: (sessionId: string) => Promise<boolean>;
  /**
   * Accepts a new sign-in under the ID of an ended session. Tokens that were issued earlier, and other tokens from the
   * same second, stay ended. Resolves to false if the store is unavailable.
   */
  reopenSession: (identity: SessionIdentity) => Promise<boolean>;
  /**
   * Ends those sessions of a user whose tokens were issued before `before`, a time in milliseconds since the epoch. A
   * token from the same second stays valid, because `iat` is in whole seconds and the token may belong to a new
   * sign-in. To end it, end its session by its ID. Resolves to false if the store is unavailable.
   */
  endUser: (userId: string, before: number) => Promise<boolean>;
  /** Makes every session of a user refresh before it is used again. */
  changeUser: (userId: string) => Promise<boolean>;
}

export interface RevocationOptions {
  clientId: string;
  store: SignedStore | undefined;
  /** Returns the current time, in milliseconds since the epoch. */
  now: () => number;
  /** How long an ended session is remembered, in milliseconds; default a day. */
  endedFor?: number;
}

/** When a user's sessions were ended and when the user changed, in milliseconds since the epoch. */
interface UserMark {
  readonly endedBefore: number;
  readonly changedAt: number;
}

/** The longest lifetime of an access token, in milliseconds. An ended session must be remembered for this long. */
export const ENDED_FOR = 86_400_000;

/**
 * How long an answer of the store is reused, in milliseconds of real time. Other processes learn of a change within
 * this time.
 */
const CHECKED_FOR = 500;

/** How many ended sessions a process remembers, and also how many users whose sessions were ended. */
const MAX_ENDED = 100_000;

/**
 * How many changed users a process remembers. Sessions of a forgotten user keep their claims until their tokens expire.
 */
const MAX_CHANGED = 10_000;

const MAX_CHECKED = 100_000;

/** How many times a process tries to write a user's mark if other processes change it at the same time. */
const ATTEMPTS = 5;

/** Which tokens of a session have ended: those issued before a time. */
interface SessionMark {
  /** Seconds since the epoch; `Infinity` ends all of them. */
  readonly before: number;
  /**
   * The `jti` of a new sign-in's token, issued at `before`. `iat` is in whole seconds, so only the `jti` tells this
   * token from an earlier one of the same second.
   */
  readonly except?: string | undefined;
}

const UNMARKED: UserMark = { endedBefore: 0, changedAt: 0 };

export function createRevocation(options: RevocationOptions): Revocation {
  const { clientId, store, now, endedFor = ENDED_FOR } = options;
  const local = createLocalMarks(now, endedFor, store !== undefined);
  const check = store && createStoreCheck(store, local);
  const mark = async (userId: string, added: UserMark) => {
    local.markUser(userId, added);
    return store ? writeUserMark(store, userId, added, endedFor) : true;
  };
  const writeSession = async (sessionId: string, ended: SessionMark) => {
    local.endSession(sessionId, ended);
    if (!store) return true;
    local.unsaved.set(sessionId, true);
    const isSaved = (await store.put('ended', sessionId, sessionTextOf(ended), endedFor)) === 'ok';
    if (isSaved) local.unsaved.delete(sessionId);
    return isSaved;
  };
  const status = async (identity: SessionIdentity) => {
    await check?.(identity);
    return local.status(identity);
  };
  return {
    status,
    statusNow: (identity) => (check?.(identity) ? undefined : local.status(identity)),
    isEndedHere: (identity) => local.status(identity) === 'revoked',
    async endSession(sessionId) {
      const isShared = await writeSession(sessionId, ENTIRELY);
      publish('revoked', { clientId, sessionId, userId: undefined, isShared });
      return isShared;
    },
    async reopenSession(identity) {
      const { sessionId, issuedAt, tokenId } = identity;
      await check?.(identity);
      if (sessionId === undefined || !local.isSessionEnded(identity)) return true;
      return writeSession(sessionId, { before: issuedAt, except: tokenId });
    },
    async endUser(userId, before) {
      const isShared = await mark(userId, { ...UNMARKED, endedBefore: before });
      publish('revoked', { clientId, sessionId: undefined, userId, isShared });
      return isShared;
    },
    changeUser: (userId) => mark(userId, { ...UNMARKED, changedAt: now() }),
  };
}

type LocalMarks = ReturnType<typeof createLocalMarks>;

/**
 * Creates the marks that this process keeps in memory. Ended sessions and changed users are stored separately, so that
 * many harmless changes cannot make the process forget that a session was ended.
 */
function createLocalMarks(now: () => number, endedFor: number, isShared: boolean) {
  const ended = {
    ttl: endedFor,
    now,
    max: MAX_ENDED,
    // If there is a store, this process can read an evicted entry from it again.
    ...(isShared ? {} : { onEvict: warnForgotten }),
  };
  const sessions = expiringMap<SessionMark>(ended);
  /** When the sessions of each user were ended, in milliseconds since the epoch. */
  const endedUsers = expiringMap<number>(ended);
  const changedUsers = expiringMap<number>({ max: MAX_CHANGED, ttl: endedFor, now });

  const isSessionEnded = ({ sessionId, issuedAt, tokenId }: SessionIdentity) => {
    const mark = sessionId === undefined ? undefined : sessions.get(sessionId);
    if (!mark) return false;
    const { before, except } = mark;
    if (before === Infinity || issuedAt < before) return true;
    return issuedAt === before && except !== undefined && tokenId !== except;
  };
  return {
    /** Sessions that this process ended, but that the store does not know about yet. */
    unsaved: expiringMap<true>(ended),
    isSessionEnded,
    markOfSession: (sessionId: string) => sessions.get(sessionId),
    status(identity: SessionIdentity): RevocationStatus {
      if (isSessionEnded(identity)) return 'revoked';
      const { userId, issuedAt } = identity;
      // `iat` is in whole seconds: a token of the same second counts as later.
      const issuedUntil = (issuedAt + 1) * 1000;
      if (issuedUntil <= (endedUsers.get(userId) ?? -Infinity)) return 'revoked';
      return issuedUntil <= (changedUsers.get(userId) ?? -Infinity) ? 'changed' : 'active';
    },
    endSession(sessionId: string, mark: SessionMark): void {
      sessions.set(sessionId, mark);
    },
    markUser(userId: string, { endedBefore, changedAt }: UserMark): void {
      if (endedBefore > (endedUsers.get(userId) ?? 0)) endedUsers.set(userId, endedBefore);
      if (changedAt > (changedUsers.get(userId) ?? 0)) changedUsers.set(userId, changedAt);
    },
  };
}

let hasWarned = false;

function warnForgotten(): void {
  log('session', { forgotten: 'an ended session' });
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(
    `More than ${MAX_ENDED} sessions or users were ended within a day, so this process forgets the oldest of them. ` +
      'Pass a store, which remembers all of them.',
    { code: 'AUTHKIT_REVOCATION' },
  );
}

/**
 * Creates a function that asks the store about a session, unless the store was asked less than half a second ago. The
 * function returns `undefined` if there is nothing to wait for.
 */
function createStoreCheck(store: SignedStore, local: LocalMarks) {
  const checks = expiringMap<{ until: number; pending: Promise<void> | undefined }>({
    max: MAX_CHECKED,
    now: () => performance.now(),
  });
  const askAboutSession = async (sessionId: string) => {
    const known = local.markOfSession(sessionId);
    const found = await store.get('ended', sessionId);
    // What this process has written in the meantime is newer than the store's answer.
    const isNewer = !local.unsaved.has(sessionId) && local.markOfSession(sessionId) === known;
    if (found.kind === 'hit' && isNewer) local.endSession(sessionId, sessionMarkOf(found.text));
  };
  const askAboutUser = async (userId: string) => {
    const mark = userMarkOf(await store.get('user', userId));
    if (mark) local.markUser(userId, mark);
  };
  const ask = ({ sessionId, userId }: SessionIdentity) =>
    Promise.all([sessionId === undefined ? undefined : askAboutSession(sessionId), askAboutUser(userId)]);
  return (identity: SessionIdentity): Promise<void> | undefined => {
    const key = `${identity.sessionId ?? ''} ${identity.userId}`;
    const last = checks.get(key);
    if (last && performance.now() < last.until) return last.pending;
    const check = { until: Infinity, pending: undefined as Promise<void> | undefined };
    check.pending = ask(identity).then(() => {
      check.until = performance.now() + CHECKED_FOR;
      check.pending = undefined;
    });
    checks.set(key, check);
    return check.pending;
  };
}

const ENTIRELY: SessionMark = { before: Infinity };

/**
 * The store entry of an ended session: `ended` or, after a new sign-in, `ended before <seconds> except <jti of the new
 * token>`.
 */
function sessionTextOf({ before, except }: SessionMark): string {
  if (before === Infinity) return 'ended';
  return `ended before ${before}${except === undefined ? '' : ` except ${except}`}`;
}

/** Reads the store entry of an ended session. An entry of any other form ends the session entirely. */
function sessionMarkOf(text: string): SessionMark {
  const match = /^ended before (\d{1,12})(?: except (.+))?$/.exec(text);
  return match ? { before: Number(match[1]), except: match[2] } : ENTIRELY;
}

/** Updates a user's mark in the store without losing what other processes write at the same moment. */
async function writeUserMark(
  store: SignedStore,
  userId: string,
  added: UserMark,
  endedFor: number,
): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const found = await store.get('user', userId);
    const text = textOf(latest(userMarkOf(found) ?? UNMARKED, added));
    if (found.kind === 'unavailable') return false;
    if (found.kind === 'unreadable') return (await store.put('user', userId, text, endedFor)) === 'ok';
    const written =
      found.kind === 'hit'
        ? await store.replace('user', userId, found, text, endedFor)
        : await store.add('user', userId, text, endedFor);
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

function userMarkOf(found: Found): UserMark | undefined {
  const match = found.kind === 'hit' ? /^(\d{1,16}) (\d{1,16})(?: |$)/.exec(found.text) : undefined;
  return match ? { endedBefore: Number(match[1]), changedAt: Number(match[2]) } : undefined;
}
