import type { IncomingMessage } from 'node:http';
import { type Config, requestTimeoutOf } from '../config/index.js';
import { createOptionalWait, Deadline, withDeadline } from '../deadline.js';
import { type AuthKitError, unavailable } from '../errors.js';
import { expiringMap } from '../expiring-map.js';
import { type Cookies, MAX_CHUNKS } from '../http/cookies.js';
import type { RespondWithError } from '../http/error-response.js';
import type { Request, Response } from '../http/handler-to-middleware.js';
import { isForeignWebSocket, isWebSocketUpgrade } from '../http/request.js';
import { canSetCookie, type ResponseState, responseStateOf, startTimer } from '../http/response.js';
import { perObjectState } from '../per-object-state.js';
import { ownProperties } from '../plain-objects.js';
import type { Authentication } from '../session/authenticate-session.js';
import { type Session, sessionIdentityOf } from '../session/sealed-session.js';
import type { SSOSession, VerifiedSSOSession } from '../session/sealed-sso-session.js';
import type { BearerVerifiers, VerifyBearer } from './bearer-token.js';
import { defineLocalUser, type LoadedUser, startLoadingUser } from './load-user.js';
import { loginUrl, nextLoginParameters } from './login-url.js';
import {
  type Auth,
  type Principal,
  type SignedIn,
  signedOut,
  toSessionAuth,
  toSSOAuth,
} from './principal.js';
import { defineRequestProperties } from './define-request-properties.js';

/** The result of authenticating a request's session cookie at an `authkit()` or `sso()` instance. */
export type SessionResult = Authentication | VerifiedSSOSession;

/** Authenticates the session cookies of an instance. */
export interface SessionAuthenticator {
  /**
   * Authenticates a request by its session cookies. Returns a promise only if the result is not known immediately.
   *
   * @param values The values of all cookies that may contain the session.
   * @param mayRefresh Returns whether the response can still set a cookie. If it cannot, the session is not refreshed,
   * so the result for an expired access token is `anonymous`.
   */
  authenticate: (
    values: readonly string[],
    mayRefresh: () => boolean,
  ) => SessionResult | Promise<SessionResult>;
  /**
   * Returns false if this process knows that the session has ended or has been replaced. The response then neither sets
   * nor clears the session cookie. Without this function, every session counts as live.
   */
  isLive?: (session: Session) => boolean;
}

/**
 * The parts of an `authkit()` or `sso()` instance that are needed to handle a request. Instances are compared by
 * identity.
 */
export interface Instance {
  config: Config;
  cookies: Cookies;
  authenticator: SessionAuthenticator;
  respondWithError: RespondWithError;
  bearerVerifiers: BearerVerifiers;
  /**
   * How long the session middleware waits for a session to be verified, in milliseconds. This time is short, because
   * the route may not need a session.
   */
  softTimeout: number;
  /**
   * Returns the current time by the clock of WorkOS, in milliseconds since the epoch. The times in the claims of a
   * token come from that clock.
   */
  workosNow: () => number;
}

/** The authentication state of one request at one instance. */
export class RequestAuth {
  private result: SessionResult | undefined = undefined;
  private current: Auth | undefined = undefined;
  private bearer: Principal | undefined = undefined;
  private loaded: LoadedUser | undefined = undefined;
  private ofResponse: ResponseState | undefined = undefined;
  private readonly waiting: Promise<void> | undefined = undefined;
  /** The request's deadline. It limits how long the request waits for anything except application code. */
  readonly deadline: Deadline;
  /** The verifier that accepted this request's bearer token. `undefined` if no token was accepted at this instance. */
  verifiedBy: VerifyBearer | undefined = undefined;
  /** Whether this is the instance at which a guard last accepted a session of this request. */
  isAcceptedSession = false;

  constructor(
    readonly instance: Instance,
    private readonly req: Request,
    private readonly res: Response,
    pending: SessionResult | Promise<SessionResult>,
    readonly startClearing: StartClearing,
  ) {
    this.deadline = new Deadline(requestTimeoutOf(instance.config));
    if (pending instanceof Promise) this.waiting = this.wait(pending);
    else this.setAuthentication(pending);
  }

  private async wait(pending: Promise<SessionResult>): Promise<void> {
    const result = await pending;
    // A result that was set in the meantime, for example by a sign-out, is newer than the result for the cookie.
    if (!this.result) this.setAuthentication(result);
  }

  get responseState(): ResponseState {
    return (this.ofResponse ??= responseStateOf(this.res));
  }

  /** Returns the value of `req.auth`. */
  auth(): Auth {
    return this.bearer ?? (this.current ??= toAuth(this.result, () => this.loginUrl()));
  }

  /** Returns the value of `req.user`: the result of `loadUser` if that option is set, otherwise the WorkOS user. */
  user(): unknown {
    const auth = this.auth();
    if (auth.user === null) return undefined;
    return this.instance.config.loadUser ? this.loadedFor(auth)?.row : auth.user;
  }

  /**
   * Returns the URL of the login route. Its parameters are `returnTo`, which names this page, and the parameters for
   * any step that WorkOS requires before the session can continue.
   */
  loginUrl(): string {
    return loginUrl(this.req, this.instance.config, this.loginParameters());
  }

  /**
   * Returns the login route's parameters for the step that WorkOS requires before the session can continue. If WorkOS
   * does not require a step, the result is empty.
   */
  loginParameters(): Record<string, string> {
    const { result } = this;
    return result?.kind === 'ended' ? nextLoginParameters(result.error, result.organizationId) : {};
  }

  /** Returns the session if the request is authenticated with the session cookie of an `authkit()` instance. */
  session(): Session | undefined {
    return this.result?.kind === 'authenticated' && !this.bearer ? this.result.session : undefined;
  }

  /** Returns the SSO session if the request is authenticated with the session cookie of an `sso()` instance. */
  ssoSession(): SSOSession | undefined {
    return this.result?.kind === 'sso' && !this.bearer ? this.result.session : undefined;
  }

  /**
   * Returns the result of authenticating the session cookie, or `unavailable` if the result is not known by the
   * request's deadline.
   */
  whenAuthenticated(): SessionResult | Promise<SessionResult> {
    if (this.result) return this.result;
    const waiting = this.waiting as Promise<void>;
    return withDeadline(this.deadline.left(), waiting).then(() => this.result ?? timedOut());
  }

  /**
   * Replaces the result of authenticating the session cookie, and sets or clears that cookie on the response
   * accordingly.
   */
  setAuthentication(next: SessionResult): void {
    this.result = setSessionCookie(this.req, this.res, next, this);
    this.current = undefined;
  }

  /**
   * Makes the principal of a bearer token the principal of this request. From then on, the session cookie is ignored.
   */
  setBearer(principal: Principal): void {
    this.bearer = principal;
  }

  /**
   * Loads the application's user with the `loadUser` option. Repeated calls do not load the user again unless the
   * request's principal has changed, because `loadUser` may read the principal's organization or role. Returns
   * `undefined` if the option is not set, or if no user is signed in.
   */
  loadUser(): Promise<void> | undefined {
    const { config } = this.instance;
    const { loadUser } = config;
    if (!loadUser) return undefined;
    const auth = this.auth();
    const { req, res } = this;
    const known = auth.user ? this.loadedFor(auth) : undefined;
    if (known) return known.done;
    defineLocalUser(res, () => selectSignedIn(requestAuthsOf(req))?.user());
    if (!auth.user) return undefined;
    this.loaded = startLoadingUser(loadUser, auth, { req, timeout: requestTimeoutOf(config) });
    return this.loaded.done;
  }

  /** Whether a WorkOS user is signed in, but `loadUser` found no matching user in the application. */
  hasUnknownUser(): boolean {
    const { user } = this.auth();
    return user !== null && this.user() === undefined;
  }

  private loadedFor(auth: SignedIn): LoadedUser | undefined {
    return this.loaded?.auth === auth ? this.loaded : undefined;
  }
}

/**
 * How long after the start of a request its response may clear the cookie of a session that has ended, in milliseconds.
 * Later, the browser may already have the cookie of a new sign-in at another process. The request starts when this
 * package receives it, which may be after a body parser has read the body.
 *
 * After this time, the response does not clear the cookie, but the response to the next request with this cookie does.
 * The exception is a process that knows that a newer session has replaced the ended one. That process does not clear
 * the cookie until it has forgotten the replacement.
 */
const CLEARED_WITHIN = 2000;

/** The maximum number of sessions for which a process remembers that it has just cleared the cookie. */
const MAX_CLEARED = 10_000;

/**
 * Returns whether a response may clear the cookie of a session that has ended, and if so, remembers that it does.
 *
 * Returns false if another response of this process has cleared the cookie in the last two seconds (`CLEARED_WITHIN`).
 * The browser may then already have the cookie of a new sign-in. The callback of that sign-in did not receive the
 * cleared cookie, so this process does not know that the new session has replaced the ended one. Two seconds are
 * enough, because requests that were in progress at the first response may not clear cookies after that time.
 */
type StartClearing = (session: Session) => boolean;

function createStartClearing(): StartClearing {
  const cleared = expiringMap<true>({ max: MAX_CLEARED, ttl: CLEARED_WITHIN, now: () => performance.now() });
  return (session) => {
    const { sessionId = '', userId } = sessionIdentityOf(session);
    const key = `${sessionId} ${userId}`;
    if (cleared.has(key)) return false;
    cleared.set(key, true);
    return true;
  };
}

/**
 * Sets or clears the session cookie if `result` requires it, and returns `result`. If the session is too large for
 * cookies, returns `unavailable` with the error `cookie_too_large` instead, so the session is not dropped silently.
 */
function setSessionCookie(
  req: Request,
  res: Response,
  result: SessionResult,
  { instance: { cookies, authenticator }, deadline, startClearing }: RequestAuth,
): SessionResult {
  if (result.kind === 'sso' || result.kind === 'anonymous') return result;
  // Only an own `sealed` property counts, so a polluted `Object.prototype` cannot supply a cookie.
  if (result.kind !== 'ended' && !Object.hasOwn(result, 'sealed')) return result;
  if (!canSetCookie(req, res)) return result;
  if (result.kind === 'ended') {
    const { session } = result;
    const isLive = () => authenticator.isLive?.(session) ?? true;
    const mayClear = () => deadline.elapsed() < CLEARED_WITHIN && isLive() && startClearing(session);
    // The decision is made only once. `clearSession` asks for it for each cookie, and again if other middleware changes
    // the headers as they are written.
    let isClearing: boolean | undefined;
    cookies.clearSession(req, res, () => (isClearing ??= mayClear()));
    // If a new sign-in has replaced the session, the sign-in marker is kept. If the browser cannot replace the old
    // cookie, the marker stops the redirect loop.
    if (isLive()) cookies.clearSignInMarker(req, res);
    return result;
  }
  try {
    const { sealedSession } = ownProperties(result);
    const session = sealedSession ?? (result.kind === 'authenticated' ? result.session : undefined);
    const isLive = () => !session || (authenticator.isLive?.(session) ?? true);
    cookies.setSession(req, res, result.sealed as string, isLive);
    return result;
  } catch (error) {
    return { kind: 'unavailable', error: error as AuthKitError };
  }
}

/**
 * Converts the result of authenticating a session cookie to the value of `req.auth`.
 *
 * @param url Returns the URL of the login route. It is called only if the request is not authenticated.
 */
function toAuth(result: SessionResult | undefined, url: () => string): Auth {
  switch (result?.kind) {
    case 'authenticated':
      return toSessionAuth(result);
    case 'sso':
      return toSSOAuth(result.session);
    case 'anonymous':
      return signedOut(result.reason, url());
    case 'ended':
      return signedOut('ended', url());
    case 'unavailable':
    case undefined:
      return signedOut('unavailable', url());
  }
}

/** The result for a request whose deadline has passed. */
export function timedOut() {
  return { kind: 'unavailable', error: unavailable('WorkOS or the store did not answer in time') } as const;
}

/**
 * The authentication state of each request at the instances that it has passed through, in mount order. Guards read
 * this state, and never `req.auth` or `req.user`, because the application can replace those properties.
 */
const requestAuths = perObjectState<RequestAuth[]>();

const NONE: readonly RequestAuth[] = [];

export function requestAuthsOf(req: IncomingMessage): readonly RequestAuth[] {
  return requestAuths.get(req) ?? NONE;
}

/** Sets the request's principal at all instances after a guard has accepted the principal's token at one of them. */
export function setBearerAuth(
  req: IncomingMessage,
  principal: Principal,
  { acceptedAt, verifiedBy }: { acceptedAt: RequestAuth; verifiedBy: VerifyBearer },
): void {
  for (const requestAuth of requestAuthsOf(req)) {
    requestAuth.setBearer(principal);
    requestAuth.verifiedBy = undefined;
  }
  acceptedAt.verifiedBy = verifiedBy;
}

/** Makes `req.auth` show the session that a guard accepted at one instance. */
export function setAcceptedSession(req: IncomingMessage, accepted: RequestAuth): void {
  for (const requestAuth of requestAuthsOf(req)) requestAuth.isAcceptedSession = requestAuth === accepted;
}

/**
 * Selects the request's state at one instance. Prefers the instance that accepted a bearer token, then the instance at
 * which a guard accepted the session, so a handler sees the user that the guard has checked. If there is neither,
 * selects the first instance at which the request is authenticated, or else the first instance of all.
 */
export function selectSignedIn(list: readonly RequestAuth[]): RequestAuth | undefined {
  if (list.length === 1) return list[0];
  return (
    list.find((requestAuth) => requestAuth.verifiedBy !== undefined) ??
    list.find((requestAuth) => requestAuth.isAcceptedSession) ??
    list.find((requestAuth) => requestAuth.auth().type !== null) ??
    list[0]
  );
}

/** Marks the response as user-specific, so caches do not reuse it for requests with different cookies. */
export function markPersonal(list: readonly RequestAuth[]): void {
  const [first] = list;
  if (first) first.responseState.isPersonal = true;
}

/** Functions that define `req.auth` and `req.user`. Reading either property marks the response as user-specific. */
export const { expose, ensure: ensureRequestProperties } = defineRequestProperties((req) => {
  const list = nearest(req) ?? NONE;
  markPersonal(list);
  return selectSignedIn(list);
});

/**
 * Finds the authentication state of a request. The request's prototype chain is searched too, because some code wraps
 * requests with `Object.create`.
 */
function nearest(req: object): readonly RequestAuth[] | undefined {
  for (let object: object | null = req; object; object = Object.getPrototypeOf(object) as object | null) {
    const found = requestAuths.get(object);
    if (found) return found;
  }
  return undefined;
}

/**
 * The maximum number of candidate values for the cookies of one session. Each chunk yields one candidate: this chunk
 * joined to those before it.
 */
const MAX_VALUES = MAX_CHUNKS;

/**
 * Authenticates a request at one instance. Repeated calls for the same request return the same state. Returns a promise
 * only if the result is not known immediately.
 */
export type AuthenticateRequest = (req: Request, res: Response) => RequestAuth | Promise<RequestAuth>;

export function createAuthenticateRequest(instance: Instance): AuthenticateRequest {
  const { config, authenticator, softTimeout } = instance;
  const waitForSession = createOptionalWait(softTimeout);
  const startClearing = createStartClearing();
  return (req, res) => {
    let list = requestAuths.get(req);
    if (!list) requestAuths.set(req, (list = []));
    const existing = list.find((requestAuth) => requestAuth.instance === instance);
    if (existing) return existing;
    const stop = config.serverTiming ? startTimer(res, 'authkit-session') : undefined;
    const values = sessionValues(req, instance);
    const pending = authenticator.authenticate(values, () => canSetCookie(req, res));
    if (pending instanceof Promise) void pending.then(stop, stop);
    else stop?.();
    const requestAuth = new RequestAuth(instance, req, res, pending, startClearing);
    if (list.push(requestAuth) === 1) expose(req);
    if (!(pending instanceof Promise)) return requestAuth;
    const waiting = requestAuth.whenAuthenticated() as Promise<SessionResult>;
    // `waitForSession` shortens the waits of later requests after a timeout. A request that is slow because of cookies
    // that an attacker has planted must not have this effect, so its wait is separate.
    const waited = values.length > MAX_VALUES ? withDeadline(softTimeout, waiting) : waitForSession(waiting);
    return waited.then(() => requestAuth);
  };
}

/**
 * Returns the values of the session cookies. Returns an empty list if a page on an untrusted origin opens a WebSocket,
 * because browsers may send the cookies even with such a handshake.
 */
function sessionValues(
  req: Request,
  { config, cookies }: Pick<Instance, 'config' | 'cookies'>,
): readonly string[] {
  return isWebSocketUpgrade(req) && isForeignWebSocket(req, config) ? [] : cookies.sessionValues(req);
}

/** Creates `auth.authenticate()`, which authenticates a request that has no response, such as a WebSocket upgrade. */
export function createAuthenticate({
  config,
  cookies,
  authenticator,
}: Pick<Instance, 'config' | 'cookies' | 'authenticator'>) {
  return async (req: IncomingMessage): Promise<Auth> => {
    const values = isForeignWebSocket(req, config) ? [] : cookies.sessionValues(req);
    const pending = authenticator.authenticate(values, () => false);
    const result =
      pending instanceof Promise
        ? ((await withDeadline(requestTimeoutOf(config), pending)) ?? timedOut())
        : pending;
    return toAuth(result, () => config.routes.login?.public ?? config.returnTo);
  };
}
