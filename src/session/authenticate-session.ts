import { createOptionalWait, type OptionalWait } from '../deadline.js';
import { type AuthKitError, unavailable } from '../errors.js';
import { publish, type SessionProblem } from '../diagnostics.js';
import { ownProperties, withoutUndefined } from '../plain-objects.js';
import { decodeUnverified, type VerifyAccessToken, type VerifyByMac } from '../workos/access-token.js';
import type { Refresh } from './refresh.js';
import { refreshDueAt } from './refresh-due.js';
import type { Revocation, RevocationStatus } from './revocation.js';
import { type Session, sessionIdentityOf } from './sealed-session.js';
import type { SessionStorage } from './cookie-or-store.js';
import { isNotRead } from './sessions-in-store.js';
import { isExpired, type RefreshedSession, warnAboutClock } from './refresh-at-workos.js';
import { createSessionCache, type SessionCache, type VerifiedSession } from './verified-session-cache.js';

/**
 * The result of authenticating a request by its session cookie.
 *
 * - `authenticated`: the user is signed in. If `sealed` is set, the response sets a newer session cookie.
 * - `anonymous`: the request is treated as signed out. The response does not clear the cookie: a different process may
 *   be able to open it, a later request may be able to refresh the session, or the browser may already have a newer
 *   cookie.
 * - `ended`: WorkOS refused to refresh the session. The response clears the cookie, unless the browser may already have
 *   a newer one.
 * - `unavailable`: the session can currently be neither accepted nor refused, usually because WorkOS or the store is
 *   unavailable. The user stays signed in. If `sealed` is set, the session has new tokens that this request cannot use,
 *   and the response sets the new session cookie.
 */
export type Authentication =
  | (VerifiedSession & Delivery)
  | { readonly kind: 'anonymous'; readonly reason: 'none' }
  | ({ readonly kind: 'anonymous'; readonly reason: 'invalid' | 'expired' | 'ended' } & Problem)
  | ({
      readonly kind: 'ended';
      readonly session: Session;
      readonly error: AuthKitError;
      readonly organizationId?: string | undefined;
      /**
       * Whether an earlier refresh for this request returned new tokens for the organization. If so, the refresh token
       * that the session had before the request is used up.
       */
      readonly isSpent: boolean;
    } & Problem)
  | ({ readonly kind: 'unavailable'; readonly error: AuthKitError } & Delivery & Problem);

/** Why a session was not accepted, as published in the `authkit:session` event. */
interface Problem {
  readonly why?: SessionProblem;
  readonly detail?: string | undefined;
}

/** The session cookie that the response sets, if any. */
interface Delivery {
  /** The new value of the session cookie. */
  readonly sealed?: string;
  /** The session that `sealed` contains or refers to. Set only if it differs from the session that the request uses. */
  readonly sealedSession?: Session;
}

export interface AuthenticatorDependencies {
  clientId: string;
  storage: SessionStorage;
  verify: VerifyAccessToken;
  verifyByMac: VerifyByMac;
  refresh: Refresh;
  revocation: Revocation;
  /** Maximum size of the verified-session cache, in bytes. 0 disables the cache. */
  memoryBytes: number;
  /** Returns the current time, in milliseconds since the epoch. */
  now: () => number;
  /**
   * How long the session middleware waits for the result, in milliseconds. If the current access token is still valid,
   * the request waits for new tokens only half as long.
   */
  softTimeout: number;
}

export interface Authenticator {
  /**
   * Authenticates a request by its session cookie values. Uses the first value whose session is accepted. Returns a
   * promise only if the result requires waiting.
   *
   * @param values The cookie values, starting with the one that is most likely to be current.
   * @param mayRefresh Returns whether the response can still set a cookie. If not, the result for an expired access
   * token is `anonymous`.
   */
  authenticate: (
    values: readonly string[],
    mayRefresh: () => boolean,
  ) => Authentication | Promise<Authentication>;
  /**
   * Refreshes a session, even if its access token is still valid. If `organizationId` is `undefined`, the session keeps
   * its organization, even if another request switches the session to a different one at the same time.
   */
  refresh: (session: Session, organizationId: string | undefined) => Promise<Authentication>;
  /**
   * Whether a session's cookie may still be set. False if this process knows that the session has ended or has been
   * replaced.
   */
  isLive: (session: Session) => boolean;
}

interface Dependencies extends AuthenticatorDependencies {
  cache: SessionCache;
  /** Limits how long a request waits for new tokens while the current access token is still valid. */
  waitForTokens: OptionalWait;
}

const NONE: Authentication = Object.freeze({ kind: 'anonymous', reason: 'none' });

export function createAuthenticator(options: AuthenticatorDependencies): Authenticator {
  const { refresh, revocation, memoryBytes, now, softTimeout } = options;
  const cache = createSessionCache(memoryBytes, now);
  // This wait must be shorter than the middleware's wait for the session, which is `softTimeout`. After `softTimeout`,
  // the middleware treats the request as signed out.
  const dependencies: Dependencies = {
    ...options,
    cache,
    waitForTokens: createOptionalWait(softTimeout / 2),
  };
  return {
    authenticate(values, mayRefresh) {
      const [value] = values;
      if (value === undefined) return NONE;
      const first = openCookie(value, dependencies);
      return authenticateNow(first, dependencies) ?? authenticateAll(first, values, mayRefresh, dependencies);
    },
    refresh: (session, organizationId) =>
      refreshSession(session, { id: organizationId ?? organizationOf(session) }, dependencies),
    isLive: (session) => !revocation.isEndedHere(sessionIdentityOf(session)) && !refresh.isReplaced(session),
  };
}

/**
 * Returns the rank of a result. If a request has several cookie values and none of their sessions is accepted, the
 * result with the highest rank is used. `unavailable` keeps the cookie and ranks above `ended`, which clears it. With
 * `sealed`, it ranks higher still, so that the browser gets the new tokens. Results of kind `anonymous` rank lowest.
 * Their order only affects which reason is reported.
 */
function precedence(result: Authentication): number {
  if (result.kind === 'unavailable') return Object.hasOwn(result, 'sealed') ? 6 : 5;
  if (result.kind === 'ended') return 4;
  return result.kind === 'anonymous' ? ['expired', 'ended'].indexOf(result.reason) : 7;
}

/** A cookie value, and what is known about it without waiting. */
interface CookieValue {
  readonly value: string;
  readonly cached: VerifiedSession | undefined;
  /**
   * The cached session, or the session that the value contains. `undefined` if the session must be read from the store,
   * or if the value is invalid.
   */
  readonly session: Session | undefined;
  /** The return value of `storage.open`, if it has been called. */
  readonly opening: ReturnType<SessionStorage['open']>;
}

function openCookie(value: string, { cache, storage }: Dependencies): CookieValue {
  const cached = cache.get(value);
  return { value, cached, session: cached?.session ?? storage.openSealed(value), opening: undefined };
}

/**
 * Authenticates a request without waiting. This works for most requests: the session is in the cache, or its MAC shows
 * that the signature of the access token has already been verified. Returns `undefined` if the result requires waiting,
 * or if the session is not accepted.
 */
function authenticateNow(cookie: CookieValue, dependencies: Dependencies): Authentication | undefined {
  const { revocation, storage, cache, now } = dependencies;
  const { value, cached, session } = cookie;
  const verified = cached ?? (session && verifyNow(session, dependencies));
  if (!verified) return undefined;
  if (revocation.statusNow(sessionIdentityOf(verified.session, verified.claims)) !== 'active')
    return undefined;
  if (cached) return cached;
  if (now() >= refreshDueAt(verified.claims) || storage.needsMigration(verified.session)) return undefined;
  cache.set(value, verified, false);
  return verified;
}

function verifyNow(session: Session, { verifyByMac }: Dependencies): VerifiedSession | undefined {
  const verification = verifyByMac(session.accessToken, session.extension.tokenMac);
  if (verification?.kind !== 'valid' || verification.claims.sub !== session.user.id) return undefined;
  return { kind: 'authenticated', session, claims: verification.claims };
}

async function authenticateAll(
  first: CookieValue,
  values: readonly string[],
  mayRefresh: () => boolean,
  dependencies: Dependencies,
): Promise<Authentication> {
  let found = await authenticateValue(first, mayRefresh, dependencies);
  if (found.result.kind === 'authenticated') return found.result;
  for (const cookie of values.slice(1).map((value) => startOpening(value, dependencies))) {
    const next = await authenticateValue(cookie, mayRefresh, dependencies);
    if (next.result.kind === 'authenticated') return next.result;
    if (precedence(next.result) > precedence(found.result)) found = next;
  }
  // Only one event is published per request, even if an attacker has planted many cookies with this name.
  return publishProblem(found, dependencies);
}

/**
 * Starts opening a cookie value, without waiting for the store. All values after the first are opened at the same time.
 * Otherwise, an attacker could slow down a request by planting many cookies whose ID is not in the store: for each such
 * ID, the store is read twice, with a pause in between.
 */
function startOpening(value: string, dependencies: Dependencies): CookieValue {
  const cookie = openCookie(value, dependencies);
  return cookie.session ? cookie : { ...cookie, opening: dependencies.storage.open(value) };
}

/** The result for one cookie value, and the session that was found for that value. */
interface ValueResult {
  readonly result: Authentication;
  readonly session?: Session;
}

async function authenticateValue(
  { value, cached, session: sealed, opening }: CookieValue,
  mayRefresh: () => boolean,
  dependencies: Dependencies,
): Promise<ValueResult> {
  const { storage } = dependencies;
  const session = sealed ?? (await (opening ?? storage.open(value)));
  if (!session) return { result: anonymous('invalid', storage.problemOf(value)) };
  if (isNotRead(session)) {
    const result =
      session.kind === 'unavailable'
        ? unavailableAuthentication('the session store is unavailable', session.why)
        : anonymous('ended', 'not_in_store');
    return { result };
  }
  const current = storage.isOutdated(session) ? await restoreSession(session, dependencies) : session;
  const result = await authenticateSession(value, current, cached, mayRefresh, dependencies);
  return { result, session: current };
}

/**
 * Called if the store has lost the latest version of a session, for example in a failover. If this process still has
 * that version in memory, restores it in the store. Returns the restored session, or `outdated` if it could not be
 * restored.
 */
async function restoreSession(
  outdated: Session,
  { clientId, refresh, storage }: Dependencies,
): Promise<Session> {
  const { userId, sessionId } = sessionIdentityOf(outdated);
  publish('session', {
    clientId,
    reason: 'outdated',
    why: 'store_older',
    detail: undefined,
    userId,
    sessionId,
  });
  const newer = refresh.successorOf(outdated);
  return newer ? storage.restore(outdated, newer) : outdated;
}

/** Publishes why the session of a request was not accepted, and returns the result. */
function publishProblem(found: ValueResult, { clientId }: Dependencies): Authentication {
  const { result, session } = ownProperties(found);
  if (!('why' in result)) return result;
  const { userId, sessionId } = session ? sessionIdentityOf(session) : {};
  publish('session', {
    clientId,
    reason: result.kind === 'anonymous' ? result.reason : result.kind,
    why: result.why,
    detail: result.detail,
    userId,
    sessionId,
  });
  return result;
}

async function authenticateSession(
  value: string,
  session: Session,
  cached: VerifiedSession | undefined,
  mayRefresh: () => boolean,
  dependencies: Dependencies,
): Promise<Authentication> {
  const { cache, revocation } = dependencies;
  const status = await revocation.status(sessionIdentityOf(session));
  if (cached && status === 'active') return cached;
  cache.delete(value);
  if (status === 'revoked') return anonymous('ended', 'revoked');
  return verifySession(value, session, status === 'changed', mayRefresh, dependencies);
}

async function verifySession(
  value: string,
  session: Session,
  isChanged: boolean,
  mayRefresh: () => boolean,
  dependencies: Dependencies,
): Promise<Authentication> {
  const verification = await dependencies.verify(session.accessToken, false, session.extension.tokenMac);
  if (verification.kind === 'unavailable' && !verification.isKeyUnknown)
    return unavailableAuthentication(NO_KEYS, 'keys');
  // New tokens are signed with a published key, so a refresh also helps if the current token's signing key is unknown.
  if (verification.kind === 'expired' || verification.kind === 'unavailable')
    return mayRefresh()
      ? refreshOrUseSuccessor(session, dependencies)
      : anonymous('expired', 'token_expired');
  if (verification.kind === 'invalid') return anonymous('invalid', 'token', verification.reason);
  if (verification.claims.sub !== session.user.id) return anonymous('invalid', 'subject');
  const verified: VerifiedSession = { kind: 'authenticated', session, claims: verification.claims };
  return acceptSession(value, verified, isChanged, mayRefresh, dependencies);
}

/**
 * Accepts a valid session. Refreshes the session if a refresh is due, and moves it if it is not in the storage that
 * `mode` specifies.
 *
 * @param isChanged Whether the user has changed at WorkOS since the access token was issued. If so, the token counts as
 * expired, because the user may have lost a role that the token still contains.
 */
async function acceptSession(
  value: string,
  verified: VerifiedSession,
  isChanged: boolean,
  mayRefresh: () => boolean,
  dependencies: Dependencies,
): Promise<Authentication> {
  const { cache, refresh, storage, now } = dependencies;
  const { session, claims } = verified;
  if (isChanged)
    return mayRefresh()
      ? refreshOrUseSuccessor(session, dependencies)
      : anonymous('expired', 'token_expired');
  const isDue = now() >= refreshDueAt(claims);
  if (isDue && mayRefresh() && refresh.canRefreshAhead(session)) return refreshAhead(verified, dependencies);
  if (!isDue) cache.set(value, verified, storage.isInStore(session));
  if (!storage.needsMigration(session) || !mayRefresh()) return verified;
  const sealed = await storage.migrate(session);
  return sealed === undefined ? verified : { ...verified, sealed };
}

/**
 * Returns the `Delivery` fields of a result. Only own properties are read, so a polluted `Object.prototype` cannot add
 * a cookie.
 */
function deliveryOf(result: Delivery): Delivery {
  const { sealed, sealedSession } = ownProperties(result);
  return withoutUndefined({ sealed, sealedSession });
}

/**
 * Refreshes a session whose token is still valid. The request waits only briefly for new tokens. If they do not arrive
 * in time, or if the result is `unavailable`, the request uses the current token.
 */
async function refreshAhead(verified: VerifiedSession, dependencies: Dependencies): Promise<Authentication> {
  const { refresh, waitForTokens } = dependencies;
  const { session } = verified;
  const result = await waitForTokens(refreshOrUseSuccessor(session, dependencies));
  if (result === undefined) refresh.backOff(session);
  // The response sets the cookie with the new tokens, even though this request still uses the old ones.
  if (result?.kind === 'unavailable' && Object.hasOwn(result, 'sealed'))
    return { ...verified, sealedSession: session, ...deliveryOf(result) };
  return result === undefined || result.kind === 'unavailable' ? verified : result;
}

/**
 * Gets new tokens for a session. If another request has already refreshed the session, uses the latest version that
 * this process knows of. That version is refreshed again if its access token has expired or the user has changed.
 */
async function refreshOrUseSuccessor(session: Session, dependencies: Dependencies): Promise<Authentication> {
  const { refresh, revocation, now } = dependencies;
  const newest = refresh.successorOf(session);
  if (!newest) return refreshSession(session, 'current', dependencies);
  const status = await revocation.latestStatus(sessionIdentityOf(newest.session));
  if (status === 'revoked') return anonymous('ended', 'revoked');
  // The tokens of the latest version may also have been issued before the user changed.
  if (status === 'changed' || isExpired(newest.session, now()))
    return refreshSession(newest.session, 'current', dependencies);
  return acceptRefreshed(session, newest, dependencies);
}

/**
 * The maximum number of refreshes for one request. More than one is needed if other processes have refreshed the
 * session several times before its user changed, because each of those results contains the old claims.
 */
const MAX_REFRESHES = 5;

/**
 * The organization to refresh a session for. An `id` of `undefined` means no organization. `current` means the
 * session's organization or, if another request switches the session at the same time, the organization that it is
 * switched to.
 */
type RefreshTarget = { readonly id: string | undefined } | 'current';

/**
 * Refreshes a session and stores the result.
 *
 * @param refreshes The number of refreshes for this request, including this one.
 */
async function refreshSession(
  session: Session,
  target: RefreshTarget,
  dependencies: Dependencies,
  refreshes = 1,
): Promise<Authentication> {
  const { refresh, revocation, storage } = dependencies;
  const organizationId = target === 'current' ? organizationOf(session) : target.id;
  // The version of the session that the store contains. The result replaces this version.
  let stored = session;
  const result = await refresh.run(session, organizationId, async (before, refreshed) => {
    if (target === 'current') return true;
    // Another request has refreshed the session for a different organization. This refresh starts again from the
    // result, which must be in the store first: a stored session is replaced only if it is the version from before the
    // refresh.
    await storage.replace(before, refreshed);
    if (storage.isInStore(refreshed.session)) stored = refreshed.session;
    return false;
  });
  // The store is always read, because another process may have ended the session a moment ago. The browser may then have
  // the cookie of a new sign-in, which the new tokens must not replace.
  if ((await revocation.latestStatus(sessionIdentityOf(session))) === 'revoked')
    return anonymous('ended', 'revoked');
  if (result.kind === 'refused')
    return {
      kind: 'ended',
      session,
      error: result.error,
      organizationId,
      isSpent: refreshes > 1,
      why: 'refused',
    };
  if (result.kind === 'unavailable') return { kind: 'unavailable', error: result.error, why: 'workos' };
  const accepted = await acceptRefreshed(stored, result, dependencies);
  if (accepted.kind !== 'authenticated' || (await statusOf(result.session, dependencies)) !== 'changed')
    return accepted;
  return refreshAfterUserChange(accepted, target, dependencies, refreshes);
}

/**
 * Refreshes a session again, because its new tokens were issued before the user changed. This happens if another
 * process has refreshed the session before the change. The old claims in these tokens are not accepted even after the
 * last attempt, but the browser receives the newest tokens.
 */
async function refreshAfterUserChange(
  outdated: VerifiedSession & Delivery,
  target: RefreshTarget,
  dependencies: Dependencies,
  refreshes: number,
): Promise<Authentication> {
  const { session } = outdated;
  const newer: Authentication =
    refreshes < MAX_REFRESHES
      ? await refreshSession(session, target, dependencies, refreshes + 1)
      : unavailableAuthentication(STILL_OUTDATED, 'user_changed');
  if (newer.kind !== 'unavailable' || Object.hasOwn(newer, 'sealed')) return newer;
  return { ...newer, sealedSession: session, ...deliveryOf(outdated) };
}

/**
 * Stores a session with new tokens, and returns the result for the request. The browser gets the new tokens even if
 * they cannot currently be verified, because the old refresh token has been used and is no longer valid.
 */
async function acceptRefreshed(
  before: Session,
  refreshed: RefreshedSession,
  dependencies: Dependencies,
): Promise<Authentication> {
  const { cache, verify, storage, now } = dependencies;
  const { session } = refreshed;
  if ((await statusOf(session, dependencies)) === 'revoked') return anonymous('ended', 'revoked');
  const sealed = await storage.replace(before, refreshed);
  if (sealed === undefined) return anonymous('ended', 'not_in_store');
  const verification = await verify(session.accessToken, true, session.extension.tokenMac);
  if (verification.kind !== 'valid') {
    const isClockAhead = isExpired(session, now());
    if (isClockAhead) warnAboutClock();
    const unverified = isClockAhead
      ? unavailableAuthentication(CLOCK_AHEAD, 'clock')
      : unavailableAuthentication(NO_KEYS, 'keys');
    return { ...unverified, sealed, sealedSession: session };
  }
  const verified: VerifiedSession = { kind: 'authenticated', session, claims: verification.claims };
  cache.set(sealed, verified, storage.isInStore(session));
  return { ...verified, sealed };
}

function statusOf(session: Session, { revocation }: Dependencies): Promise<RevocationStatus> {
  return revocation.status(sessionIdentityOf(session));
}

/**
 * Returns the ID of a session's organization, or `undefined` if it has none. A refresh request includes this ID unless
 * it switches the organization, so a refresh never changes the organization unintentionally.
 */
function organizationOf(session: Session): string | undefined {
  const { org_id: organizationId } = decodeUnverified(session.accessToken);
  return typeof organizationId === 'string' ? organizationId : session.organizationId;
}

const NO_KEYS = 'the signing keys of WorkOS are unavailable';

const STILL_OUTDATED = 'the access tokens were issued before the user changed';

const CLOCK_AHEAD =
  'WorkOS issued an access token that has expired by the clock of this server: set the clock, e.g. with NTP';

function unavailableAuthentication(
  problem: string,
  why: SessionProblem,
): Extract<Authentication, { kind: 'unavailable' }> {
  return { kind: 'unavailable', error: unavailable(problem), why };
}

function anonymous(
  reason: 'invalid' | 'expired' | 'ended',
  why: SessionProblem,
  detail?: string,
): Authentication {
  return { kind: 'anonymous', reason, why, detail };
}
