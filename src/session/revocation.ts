import { log, publish } from '../diagnostics.js';
import { expiringMap } from '../expiring-map.js';
import type { Found, SignedStore } from '../stores/signed-store.js';
import type { SessionIdentity } from './sealed-session.js';

/**
 * The status of a session. `changed` means that the user's data at WorkOS has changed since the access token was
 * issued. The token then counts as expired, and the session must be refreshed to get new claims.
 */
export type RevocationStatus = 'active' | 'changed' | 'revoked';

/**
 * How a session was ended: which of its tokens are revoked. Each end of a session is a different object in this
 * process, so two ends can be compared with `===`. Ends at different times also have different texts in the store.
 */
export interface SessionEnd {
  /**
   * Tokens that were issued before this time, in seconds since the epoch, are revoked. `Infinity` revokes all tokens.
   */
  readonly before: number;
  /**
   * The `jti` of a token that was issued at `before` and is not revoked, because it belongs to a new sign-in. `iat` is
   * in whole seconds, so only the `jti` distinguishes this token from an earlier one of the same second.
   */
  readonly except?: string | undefined;
  /** The text of the store entry. */
  readonly text: string;
}

/** Ends sessions before their tokens expire, in this process and in all processes that share its store. */
export interface Revocation {
  /**
   * Returns the status of a session. If there is a store, each process reads a session's status from it at most twice a
   * second.
   */
  status: (identity: SessionIdentity) => Promise<RevocationStatus>;
  /** Returns the status of a session. Always reads the store, if there is one. */
  latestStatus: (identity: SessionIdentity) => Promise<RevocationStatus>;
  /** Returns the status of a session without waiting, or `undefined` if the status must be read from the store. */
  statusNow: (identity: SessionIdentity) => RevocationStatus | undefined;
  /** Whether this process knows that a session has ended. */
  isEndedHere: (identity: SessionIdentity) => boolean;
  /**
   * Ends a session. Resolves to false if the store is unavailable. In that case, the other processes do not know that
   * the session has ended.
   */
  endSession: (sessionId: string) => Promise<boolean>;
  /**
   * Returns how a session was ended, or `undefined` if it has not been ended. Always reads the store, if there is one.
   */
  endOf: (identity: SessionIdentity) => Promise<SessionEnd | undefined>;
  /**
   * Accepts a new sign-in whose session has the same ID as a session that ended before the sign-in. Tokens that were
   * issued before this sign-in, and other tokens from the same second, remain revoked. Resolves to false if the store
   * is unavailable.
   *
   * @param end The result of `endOf` from before the sign-in was completed. If the session has been ended since then,
   * by this process or another, it stays ended.
   */
  reopenSession: (identity: SessionIdentity, end: SessionEnd | undefined) => Promise<boolean>;
  /**
   * Ends a user's sessions whose access tokens were issued before `before`. A token that was issued in the same second
   * remains valid, because `iat` is in whole seconds and the token may belong to a new sign-in. To end the session of
   * such a token, use `endSession`. Resolves to false if the store is unavailable.
   *
   * @param before A time by the clock of WorkOS, which issues the tokens, in milliseconds since the epoch.
   */
  endUser: (userId: string, before: number) => Promise<boolean>;
  /**
   * Marks a user as changed. Access tokens that were issued to the user before `at` then count as expired, so each of
   * the user's sessions is refreshed on its next request. Resolves to false if the store is unavailable.
   *
   * @param at A time by the clock of WorkOS, in milliseconds since the epoch.
   */
  changeUser: (userId: string, at: number) => Promise<boolean>;
  /**
   * Returns when a user last changed, in milliseconds since the epoch by the clock of WorkOS. Returns 0 if this process
   * knows of no change. It knows of a change that another process has received only after a call to `status`.
   */
  changedAt: (userId: string) => number;
}

export interface RevocationOptions {
  clientId: string;
  store: SignedStore | undefined;
  /** Returns the current time, in milliseconds since the epoch. */
  now: () => number;
  /** How long ended sessions and changed users are remembered, in milliseconds. Default one day. */
  endedFor?: number;
}

/**
 * When a user's sessions were last ended and when the user's data last changed, in milliseconds since the epoch by the
 * clock of WorkOS.
 */
interface UserMark {
  readonly endedBefore: number;
  readonly changedAt: number;
}

/**
 * How long an ended session is remembered by default, in milliseconds: one day, the maximum lifetime of an access
 * token.
 */
export const ENDED_FOR = 86_400_000;

/**
 * How long a reply from the store is reused, in milliseconds by the monotonic clock. A change therefore takes effect in
 * the other processes within this time.
 */
const CHECKED_FOR = 500;

/**
 * The maximum number of ended sessions that a process remembers. The same limit applies to users whose sessions were
 * ended.
 */
const MAX_ENDED = 100_000;

/**
 * The maximum number of changed users that a process remembers. If a user is forgotten, the user's sessions keep their
 * claims until their tokens expire.
 */
const MAX_CHANGED = 100_000;

const MAX_CHECKED = 100_000;

/** How many times a process tries to write a user's mark while other processes keep changing it. */
const ATTEMPTS = 5;

const UNMARKED: UserMark = { endedBefore: 0, changedAt: 0 };

export function createRevocation(options: RevocationOptions): Revocation {
  const { clientId, store, now, endedFor = ENDED_FOR } = options;
  const local = createLocalMarks(now, endedFor, store !== undefined);
  const check = store && createStoreCheck(store, local);
  const mark = async (userId: string, added: UserMark) => {
    local.markUser(userId, added);
    return store ? writeUserMark(store, userId, added, endedFor) : true;
  };
  const writeEnd = async (sessionId: string, end: SessionEnd) => {
    local.endSession(sessionId, end);
    if (!store) return true;
    local.unsaved.set(sessionId, true);
    const isSaved = (await store.put('ended', sessionId, end.text, endedFor)) === 'ok';
    if (isSaved) local.unsaved.delete(sessionId);
    return isSaved;
  };
  /**
   * Replaces a session's end with `reopened` after a new sign-in, unless the session has been ended again since, by
   * this process or another. Resolves to false if the store is unavailable.
   */
  const replaceEnd = async (sessionId: string, end: SessionEnd, reopened: SessionEnd) => {
    if (!store || local.unsaved.has(sessionId)) return writeEnd(sessionId, reopened);
    const found = await store.get('ended', sessionId);
    if (found.kind === 'unavailable') return false;
    if (local.latestEndOf(sessionId) !== end) return true;
    if (found.kind !== 'hit') return writeEnd(sessionId, reopened);
    if (found.text !== end.text) return true;
    const written = await store.replace('ended', sessionId, found, reopened.text, endedFor);
    // If this process has ended the session in the meantime, that end is newer.
    if (written.kind === 'hit' && local.latestEndOf(sessionId) === end) local.endSession(sessionId, reopened);
    return written.kind !== 'unavailable';
  };
  return {
    async status(identity) {
      await check?.readUnlessRecent(identity);
      return local.status(identity);
    },
    async latestStatus(identity) {
      await check?.read(identity);
      return local.status(identity);
    },
    statusNow: (identity) => (check?.readUnlessRecent(identity) ? undefined : local.status(identity)),
    isEndedHere: (identity) => local.status(identity) === 'revoked',
    async endSession(sessionId) {
      const isShared = await writeEnd(sessionId, parseSessionEnd(`ended at ${Math.floor(now())}`));
      publish('revoked', { clientId, sessionId, userId: undefined, isShared });
      return isShared;
    },
    async endOf(identity) {
      await check?.read(identity);
      return local.endOf(identity);
    },
    async reopenSession(identity, end) {
      const { sessionId, issuedAt, tokenId } = identity;
      if (sessionId === undefined || end === undefined || local.endOf(identity) !== end) return true;
      const text = `ended before ${issuedAt}${tokenId === undefined ? '' : ` except ${tokenId}`}`;
      return replaceEnd(sessionId, end, { before: issuedAt, except: tokenId, text });
    },
    async endUser(userId, before) {
      const isShared = await mark(userId, { ...UNMARKED, endedBefore: before });
      publish('revoked', { clientId, sessionId: undefined, userId, isShared });
      return isShared;
    },
    changeUser: (userId, at) => mark(userId, { ...UNMARKED, changedAt: at }),
    changedAt: local.changedAt,
  };
}

type LocalMarks = ReturnType<typeof createLocalMarks>;

/**
 * Creates this process's in-memory records of ended sessions and changed users. The two kinds of records are kept
 * separately, so a large number of changed users cannot make the process forget that a session has ended.
 */
function createLocalMarks(now: () => number, endedFor: number, isShared: boolean) {
  const ended = {
    ttl: endedFor,
    now,
    max: MAX_ENDED,
    // If there is a store, no warning is needed: an evicted entry can be read from the store again.
    ...(isShared ? {} : { onEvict: warnForgotten }),
  };
  const sessions = expiringMap<SessionEnd>(ended);
  /** When the sessions of each user were ended, by user ID, in milliseconds since the epoch. */
  const endedUsers = expiringMap<number>(ended);
  const changedUsers = expiringMap<number>({ max: MAX_CHANGED, ttl: endedFor, now });

  const endOf = ({ sessionId, issuedAt, tokenId }: SessionIdentity): SessionEnd | undefined => {
    const end = sessionId === undefined ? undefined : sessions.get(sessionId);
    if (!end) return undefined;
    const { before, except } = end;
    const isOther = issuedAt === before && except !== undefined && tokenId !== except;
    return before === Infinity || issuedAt < before || isOther ? end : undefined;
  };
  return {
    /** IDs of sessions that have been ended or reopened in this process, but not yet in the store. */
    unsaved: expiringMap<true>(ended),
    endOf,
    latestEndOf: (sessionId: string) => sessions.get(sessionId),
    changedAt: (userId: string) => changedUsers.get(userId) ?? 0,
    status(identity: SessionIdentity): RevocationStatus {
      if (endOf(identity)) return 'revoked';
      const { userId, issuedAt } = identity;
      // `iat` is in whole seconds, so a token that was issued in the same second counts as issued later.
      const issuedUntil = (issuedAt + 1) * 1000;
      if (issuedUntil <= (endedUsers.get(userId) ?? -Infinity)) return 'revoked';
      return issuedUntil <= (changedUsers.get(userId) ?? -Infinity) ? 'changed' : 'active';
    },
    endSession(sessionId: string, end: SessionEnd): void {
      sessions.set(sessionId, end);
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
 * Creates the functions that read a session's status from the store into `local`. `read` always reads it.
 * `readUnlessRecent` returns `undefined` if the status was read less than half a second ago. Otherwise, it returns the
 * promise of a read, which may already be in progress.
 */
function createStoreCheck(store: SignedStore, local: LocalMarks) {
  const checks = expiringMap<{ until: number; pending: Promise<void> | undefined }>({
    max: MAX_CHECKED,
    now: () => performance.now(),
  });
  const askAboutSession = async (sessionId: string) => {
    const known = local.latestEndOf(sessionId);
    const found = await store.get('ended', sessionId);
    // If this process has ended or reopened the session in the meantime, that change is newer than the reply from the
    // store.
    const isNewer = !local.unsaved.has(sessionId) && local.latestEndOf(sessionId) === known;
    // If the text has not changed, the existing object is kept. `reopenSession` compares the objects, so an equal but
    // new object would look like a later end of the session.
    const isOther = found.kind === 'hit' && known?.text !== found.text;
    if (isOther && isNewer) local.endSession(sessionId, parseSessionEnd(found.text));
  };
  const askAboutUser = async (userId: string) => {
    const mark = userMarkOf(await store.get('user', userId));
    if (mark) local.markUser(userId, mark);
  };
  const ask = ({ sessionId, userId }: SessionIdentity) =>
    Promise.all([sessionId === undefined ? undefined : askAboutSession(sessionId), askAboutUser(userId)]);
  const keyOf = ({ sessionId = '', userId }: SessionIdentity) => `${sessionId} ${userId}`;
  const read = (identity: SessionIdentity): Promise<void> => {
    const check = { until: Infinity, pending: undefined as Promise<void> | undefined };
    const pending = ask(identity).then(() => {
      check.until = performance.now() + CHECKED_FOR;
      check.pending = undefined;
    });
    check.pending = pending;
    checks.set(keyOf(identity), check);
    return pending;
  };
  return {
    read,
    readUnlessRecent(identity: SessionIdentity): Promise<void> | undefined {
      const last = checks.get(keyOf(identity));
      return last && performance.now() < last.until ? last.pending : read(identity);
    },
  };
}

/**
 * Parses the text of the store entry for an ended session: `ended at <milliseconds>` or, after a new sign-in, `ended
 * before <seconds> except <jti of the new token>`. The time in the first form distinguishes this end from the next one.
 * Text in any other format revokes all tokens of the session.
 */
function parseSessionEnd(text: string): SessionEnd {
  const match = /^ended before (\d{1,12})(?: except (.+))?$/.exec(text);
  return match ? { before: Number(match[1]), except: match[2], text } : { before: Infinity, text };
}

/**
 * Updates a user's mark in the store, and keeps the changes that other processes make at the same time. Resolves to
 * false if the store is unavailable, or if all attempts have failed because of such changes.
 */
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

/** Returns the text of the store entry for a user: two whole numbers, even if the `now` option returns fractions. */
function textOf({ endedBefore, changedAt }: UserMark): string {
  return `${Math.floor(endedBefore)} ${Math.floor(changedAt)}`;
}

function userMarkOf(found: Found): UserMark | undefined {
  const match = found.kind === 'hit' ? /^(\d{1,16}) (\d{1,16})(?: |$)/.exec(found.text) : undefined;
  return match ? { endedBefore: Number(match[1]), changedAt: Number(match[2]) } : undefined;
}
