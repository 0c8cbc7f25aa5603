import { peek, type VerifyAccessToken } from './access-token.js';
import { type AuthKitError, unavailable } from './errors.js';
import { atMost } from './keys.js';
import { log } from './log.js';
import type { Keeping } from './keeping.js';
import { createSessionMemory, type SessionMemory, type Verified } from './memory.js';
import { dueAt, type Refresh } from './refresh.js';
import type { Revocation, Standing } from './revocation.js';
import { identityOf, type Session } from './session.js';
import { isMissing } from './shelf.js';
import { after } from './waiting.js';

/**
 * What a session cookie comes to.
 *
 * - `active`: signed in; with `sealed`, a newer cookie belongs in the response.
 * - `absent`: nobody is signed in, and the cookie stays as it is: another process may know better, or the browser has
 *   a newer one by now.
 * - `ended`: WorkOS said so; the cookie goes.
 * - `unknown`: cannot be judged now; nobody is signed out over that.
 */
export type Authentication =
  | (Verified & { readonly sealed?: string })
  | { readonly kind: 'absent'; readonly reason: 'none' | 'invalid' | 'expired' | 'ended' }
  | { readonly kind: 'ended'; readonly error: AuthKitError; readonly organizationId?: string | undefined }
  | { readonly kind: 'unknown'; readonly error: AuthKitError; readonly sealed?: string };

export interface AuthenticateOptions {
  keeping: Keeping;
  verify: VerifyAccessToken;
  refresh: Refresh;
  revocation: Revocation;
  /** Of remembered sessions; 0 for none. */
  memoryBytes: number;
  now: () => number;
  /** How long a request waits for newer tokens while its own still hold, in milliseconds. */
  patience: number;
}

export interface Authenticator {
  /**
   * Judges the values that a session cookie may have, likeliest first.
   *
   * @param mayRefresh False where no cookie can be set: an expired session is then `absent`. Asked when it matters.
   */
  authenticate: (
    values: readonly string[],
    mayRefresh: () => boolean,
  ) => Authentication | Promise<Authentication>;
  /** New tokens now, for the same or another organization. */
  renew: (session: Session, organizationId: string | undefined) => Promise<Authentication>;
  /** Whether this process still takes the session for one: false after it was signed out here. */
  isLive: (session: Session) => boolean;
}

interface Parts extends AuthenticateOptions {
  memory: SessionMemory;
}

const NONE: Authentication = Object.freeze({ kind: 'absent', reason: 'none' });

export function createAuthenticator(options: AuthenticateOptions): Authenticator {
  const { revocation, memoryBytes, now } = options;
  const parts: Parts = { ...options, memory: createSessionMemory(memoryBytes, now) };
  return {
    authenticate: (values, mayRefresh) =>
      values.length === 0 ? NONE : authenticate(values, mayRefresh, parts),
    renew: (session, organizationId) => renew(session, parts, organizationId),
    isLive: (session) => !revocation.isEndedHere(identityOf(session)),
  };
}

function authenticate(
  values: readonly string[],
  mayRefresh: () => boolean,
  parts: Parts,
): Authentication | Promise<Authentication> {
  const { memory, keeping } = parts;
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index] as string;
    const known = memory.recall(value);
    if (known) return recalled(value, known, mayRefresh, parts);
    const opened = keeping.open(value);
    if (opened instanceof Promise) {
      return opened.then((session) => {
        if (!isMissing(session)) return judge(value, session, mayRefresh, parts);
        if (session.kind === 'unreachable') return unknown('the store of the sessions could not be asked');
        const others = values.slice(index + 1);
        return others.length > 0 ? authenticate(others, mayRefresh, parts) : absent('ended', 'store');
      });
    }
    if (opened) return judge(value, opened, mayRefresh, parts);
  }
  return absent('invalid', 'seal');
}

/** A session that was judged a moment ago needs no cryptography, only to know whether it was ended since. */
function recalled(
  value: string,
  known: Verified,
  mayRefresh: () => boolean,
  parts: Parts,
): Authentication | Promise<Authentication> {
  const { revocation, memory } = parts;
  if (revocation.isIdle()) return known;
  const { session } = known;
  return after(revocation.standing(identityOf(session)), (standing) => {
    if (standing === 'live') return known;
    memory.forget(value);
    return judge(value, session, mayRefresh, parts);
  });
}

function standingOf(session: Session, revocation: Revocation): Standing | Promise<Standing> {
  return revocation.isIdle() ? 'live' : revocation.standing(identityOf(session));
}

/** What an opened session comes to. A promise only where keys, tokens or the store have to be asked. */
function judge(
  value: string,
  session: Session,
  mayRefresh: () => boolean,
  parts: Parts,
): Authentication | Promise<Authentication> {
  const { verify, revocation } = parts;
  return after(standingOf(session, revocation), (standing) => {
    if (standing === 'ended') return absent('ended', 'revoked');
    return after(verify(session.accessToken), (verdict) => {
      if (verdict.kind === 'unknown') return unknown(NO_KEYS);
      if (verdict.kind === 'expired') return mayRefresh() ? renew(session, parts) : absent('expired');
      if (verdict.kind === 'invalid') return absent('invalid', verdict.reason);
      if (verdict.claims.sub !== session.user.id) return absent('invalid', 'sub');
      const verified: Verified = { kind: 'active', session, claims: verdict.claims, auth: undefined };
      return settle(value, verified, standing === 'stale', mayRefresh, parts);
    });
  });
}

/** The session holds. It may be due for newer tokens, or for a move to where sessions are kept now. */
function settle(
  value: string,
  verified: Verified,
  isStale: boolean,
  mayRefresh: () => boolean,
  parts: Parts,
): Authentication | Promise<Authentication> {
  const { memory, refresh, keeping, now } = parts;
  const { session, claims } = verified;
  const isDue = isStale || now() >= dueAt(claims);
  if (isDue && mayRefresh() && refresh.mayTryAhead(session)) return renewAhead(verified, parts);
  if (!isDue) memory.offer(value, verified, keeping.isElsewhere(session));
  if (!keeping.isMisplaced(session) || !mayRefresh()) return verified;
  return keeping.move(session).then((sealed) => (sealed === undefined ? verified : { ...verified, sealed }));
}

async function renew(
  session: Session,
  { refresh, memory, verify, keeping, revocation }: Parts,
  organizationId = organizationOf(session),
): Promise<Authentication> {
  const result = await refresh.run(session, organizationId);
  const isEnded = async (one: Session) => (await revocation.standing(identityOf(one))) === 'ended';
  if (await isEnded(session)) return absent('ended', 'revoked');
  if (result.kind === 'refused') return { kind: 'ended', error: result.error, organizationId };
  if (result.kind === 'unreachable') return { kind: 'unknown', error: result.error };
  const { session: next } = result;
  if (await isEnded(next)) return absent('ended', 'revoked');
  const sealed = await keeping.renew(session, result);
  if (sealed === undefined) return absent('ended', 'store');
  const verdict = await verify(next.accessToken, true);
  if (verdict.kind !== 'valid') return { ...unknown(NO_KEYS), sealed };
  const verified: Verified = { kind: 'active', session: next, claims: verdict.claims, auth: undefined };
  memory.remember(sealed, verified, keeping.isElsewhere(next));
  return { ...verified, sealed };
}

/** The old token still holds: newer ones are welcome, but nobody waits long for them or fails without them. */
async function renewAhead(verified: Verified, parts: Parts): Promise<Authentication> {
  const { session } = verified;
  const result = (await atMost(parts.patience, renew(session, parts))) as Authentication | undefined;
  if (result === undefined) parts.refresh.postpone(session);
  return result === undefined || result.kind === 'unknown' ? verified : result;
}

/** Always named in a refresh, so that a refresh never changes the organization by itself. */
function organizationOf(session: Session): string | undefined {
  const { org_id: fromToken } = peek(session.accessToken);
  return typeof fromToken === 'string' ? fromToken : session.organizationId;
}

const NO_KEYS = 'the keys of WorkOS could not be had';

function unknown(why: string): Extract<Authentication, { kind: 'unknown' }> {
  return { kind: 'unknown', error: unavailable(why) };
}

function absent(reason: 'invalid' | 'expired' | 'ended', why?: string): Authentication {
  log('session', { reason, why });
  return { kind: 'absent', reason };
}
