import { after, withDeadline } from '../deadline.js';
import { type AuthKitError, unavailable } from '../errors.js';
import { log } from '../events.js';
import { decodeUnverified, type VerifyAccessToken } from '../workos/access-token.js';
import { type Refresh, refreshDueAt } from './refresh.js';
import type { Revocation, RevocationStatus } from './revocation.js';
import { type Session, sessionIdentityOf } from './sealed-session.js';
import type { SessionStorage } from './storage.js';
import { isNotStored } from './stored-sessions.js';
import { createSessionCache, type SessionCache, type VerifiedSession } from './verified-cache.js';

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
  | (VerifiedSession & { readonly sealed?: string })
  | { readonly kind: 'anonymous'; readonly reason: 'none' | 'invalid' | 'expired' | 'ended' }
  | { readonly kind: 'ended'; readonly error: AuthKitError; readonly organizationId?: string | undefined }
  | { readonly kind: 'unavailable'; readonly error: AuthKitError; readonly sealed?: string };

export interface AuthenticateOptions {
  storage: SessionStorage;
  verify: VerifyAccessToken;
  refresh: Refresh;
  revocation: Revocation;
  /** Of remembered sessions; 0 for none. */
  memoryBytes: number;
  now: () => number;
  /** How long a request waits for newer tokens while its own still hold, in milliseconds. */
  softTimeout: number;
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
  refresh: (session: Session, organizationId: string | undefined) => Promise<Authentication>;
  /** Whether this process still takes the session for one: false after it was signed out here. */
  isLive: (session: Session) => boolean;
}

interface Parts extends AuthenticateOptions {
  memory: SessionCache;
}

const NONE: Authentication = Object.freeze({ kind: 'anonymous', reason: 'none' });

export function createAuthenticator(options: AuthenticateOptions): Authenticator {
  const { revocation, memoryBytes, now } = options;
  const parts: Parts = { ...options, memory: createSessionCache(memoryBytes, now) };
  return {
    authenticate: (values, mayRefresh) =>
      values.length === 0 ? NONE : authenticate(values, mayRefresh, parts),
    refresh: (session, organizationId) => renew(session, parts, organizationId),
    isLive: (session) => !revocation.isEndedHere(sessionIdentityOf(session)),
  };
}

function authenticate(
  values: readonly string[],
  mayRefresh: () => boolean,
  parts: Parts,
): Authentication | Promise<Authentication> {
  const { memory, storage } = parts;
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index] as string;
    const known = memory.get(value);
    if (known) return fromCache(value, known, mayRefresh, parts);
    const opened = storage.open(value);
    if (opened instanceof Promise) {
      return opened.then((session) => {
        if (!isNotStored(session)) return verifySession(value, session, mayRefresh, parts);
        if (session.kind === 'unavailable')
          return unavailableAuthentication('the store of the sessions could not be asked');
        const others = values.slice(index + 1);
        return others.length > 0 ? authenticate(others, mayRefresh, parts) : anonymous('ended', 'store');
      });
    }
    if (opened) return verifySession(value, opened, mayRefresh, parts);
  }
  return anonymous('invalid', 'seal');
}

/** A session that was judged a moment ago needs no cryptography, only to know whether it was ended since. */
function fromCache(
  value: string,
  known: VerifiedSession,
  mayRefresh: () => boolean,
  parts: Parts,
): Authentication | Promise<Authentication> {
  const { revocation, memory } = parts;
  if (revocation.hasNothingRevoked()) return known;
  const { session } = known;
  return after(revocation.status(sessionIdentityOf(session)), (status) => {
    if (status === 'active') return known;
    memory.delete(value);
    return verifySession(value, session, mayRefresh, parts);
  });
}

function statusOf(session: Session, revocation: Revocation): RevocationStatus | Promise<RevocationStatus> {
  return revocation.hasNothingRevoked() ? 'active' : revocation.status(sessionIdentityOf(session));
}

/** What an opened session comes to. A promise only where keys, tokens or the store have to be asked. */
function verifySession(
  value: string,
  session: Session,
  mayRefresh: () => boolean,
  parts: Parts,
): Authentication | Promise<Authentication> {
  const { verify, revocation } = parts;
  return after(statusOf(session, revocation), (status) => {
    if (status === 'revoked') return anonymous('ended', 'revoked');
    return after(verify(session.accessToken), (verification) => {
      if (verification.kind === 'unavailable' && !verification.isKeyUnknown)
        return unavailableAuthentication(NO_KEYS);
      // A new session is signed with a key that is published, so an unknown key is answered by a refresh too.
      if (verification.kind === 'expired' || verification.kind === 'unavailable')
        return mayRefresh() ? renew(session, parts) : anonymous('expired');
      if (verification.kind === 'invalid') return anonymous('invalid', verification.reason);
      if (verification.claims.sub !== session.user.id) return anonymous('invalid', 'sub');
      const verified: VerifiedSession = {
        kind: 'authenticated',
        session,
        claims: verification.claims,
      };
      return acceptSession(value, verified, status === 'changed', mayRefresh, parts);
    });
  });
}

/** The session holds. It may be due for newer tokens, or for a move to where sessions are kept now. */
function acceptSession(
  value: string,
  verified: VerifiedSession,
  isStale: boolean,
  mayRefresh: () => boolean,
  parts: Parts,
): Authentication | Promise<Authentication> {
  const { memory, refresh, storage, now } = parts;
  const { session, claims } = verified;
  const isDue = isStale || now() >= refreshDueAt(claims);
  if (isDue && mayRefresh() && refresh.canRefreshAhead(session)) return refreshAhead(verified, parts);
  if (!isDue) memory.offer(value, verified, storage.isInStore(session));
  if (!storage.needsMigration(session) || !mayRefresh()) return verified;
  return storage
    .migrate(session)
    .then((sealed) => (sealed === undefined ? verified : { ...verified, sealed }));
}

async function renew(
  session: Session,
  { refresh, memory, verify, storage, revocation }: Parts,
  organizationId = organizationOf(session),
): Promise<Authentication> {
  const result = await refresh.run(session, organizationId);
  const isEnded = async (one: Session) => (await revocation.status(sessionIdentityOf(one))) === 'revoked';
  if (await isEnded(session)) return anonymous('ended', 'revoked');
  if (result.kind === 'refused') return { kind: 'ended', error: result.error, organizationId };
  if (result.kind === 'unavailable') return { kind: 'unavailable', error: result.error };
  const { session: next } = result;
  if (await isEnded(next)) return anonymous('ended', 'revoked');
  const sealed = await storage.replace(session, result);
  if (sealed === undefined) return anonymous('ended', 'store');
  const verification = await verify(next.accessToken, true);
  if (verification.kind !== 'valid') return { ...unavailableAuthentication(NO_KEYS), sealed };
  const verified: VerifiedSession = {
    kind: 'authenticated',
    session: next,
    claims: verification.claims,
  };
  memory.set(sealed, verified, storage.isInStore(next));
  return { ...verified, sealed };
}

/** The old token still holds: newer ones are welcome, but nobody waits long for them or fails without them. */
async function refreshAhead(verified: VerifiedSession, parts: Parts): Promise<Authentication> {
  const { session } = verified;
  const result = (await withDeadline(parts.softTimeout, renew(session, parts))) as Authentication | undefined;
  if (result === undefined) parts.refresh.backOff(session);
  return result === undefined || result.kind === 'unavailable' ? verified : result;
}

/** Always named in a refresh, so that a refresh never changes the organization by itself. */
function organizationOf(session: Session): string | undefined {
  const { org_id: fromToken } = decodeUnverified(session.accessToken);
  return typeof fromToken === 'string' ? fromToken : session.organizationId;
}

const NO_KEYS = 'the keys of WorkOS could not be had';

function unavailableAuthentication(why: string): Extract<Authentication, { kind: 'unavailable' }> {
  return { kind: 'unavailable', error: unavailable(why) };
}

function anonymous(reason: 'invalid' | 'expired' | 'ended', why?: string): Authentication {
  log('session', { reason, why });
  return { kind: 'anonymous', reason };
}
