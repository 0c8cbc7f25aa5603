import type { IncomingMessage } from 'node:http';
import type { Config } from '../config/index.js';
import { withDeadline } from '../deadline.js';
import { type AuthKitError, unavailable } from '../errors.js';
import type { Cookies } from '../http/cookies.js';
import type { RespondWithError } from '../http/error-response.js';
import type { Request, Response } from '../http/middleware.js';
import { header } from '../http/request.js';
import { type ResponseState, responseStateOf, startTimer } from '../http/response.js';
import type { Authentication } from '../session/authenticate.js';
import type { Session } from '../session/sealed-session.js';
import type { SSOSession, VerifiedSSOSession } from '../session/sso-session.js';
import type { BearerVerifiers } from './bearer-token.js';
import { loginUrl, nextLoginParameters } from './login-url.js';
import { type Auth, type Principal, signedOut, toSessionAuth, toSSOAuth } from './principal.js';
import { defineRequestProperties } from './request-properties.js';

/** What the session cookie of a request amounts to, at `authkit()` or at `sso()`. */
export type SessionResult = Authentication | VerifiedSSOSession;

/** Authenticates the session cookies of an instance. */
export interface SessionAuthenticator {
  /** The result for values that need no waiting, such as those of a session that was verified a moment ago. */
  cached: (values: readonly string[]) => SessionResult | undefined;
  /** @param mayRefresh Whether a cookie can be set. If not, a session with an expired token is `anonymous`. */
  authenticate: (values: readonly string[], mayRefresh: () => boolean) => Promise<SessionResult>;
  /** Whether this process still accepts a session that it is about to hand out: false after a sign-out here. */
  isLive?: (session: Session) => boolean;
}

export interface Instance {
  config: Config;
  cookies: Cookies;
  authenticator: SessionAuthenticator;
  respondWithError: RespondWithError;
  bearerVerifiers: BearerVerifiers;
  /** How long a request that may need no session waits for one, in milliseconds. */
  softTimeout: number;
}

/** One request at one instance: the session it came with, and what became of it since. */
export class RequestAuth {
  private result: SessionResult | undefined = undefined;
  private current: Auth | undefined = undefined;
  private caller: Principal | undefined = undefined;
  private ofResponse: ResponseState | undefined = undefined;
  private readonly waiting: Promise<void> | undefined = undefined;

  constructor(
    /** The instance; its identity tells one from another. */
    readonly instance: Instance,
    private readonly req: Request,
    private readonly res: Response,
    pending: SessionResult | Promise<SessionResult>,
  ) {
    if (pending instanceof Promise) this.waiting = this.wait(pending);
    else this.setAuthentication(pending);
  }

  private async wait(pending: Promise<SessionResult>): Promise<void> {
    const result = await pending;
    // What the handler did meanwhile, such as signing out, is newer than what the cookie came to.
    if (!this.result) this.setAuthentication(result);
  }

  /** What has to be in the head of the response. */
  get responseState(): ResponseState {
    return (this.ofResponse ??= responseStateOf(this.res));
  }

  auth(): Auth {
    return (
      this.caller ??
      (this.current ??= toAuth(this.result, (wanted) => loginUrl(this.req, this.instance.config, wanted)))
    );
  }

  /** The session, if somebody is signed in as far as is known now. */
  session(): Session | undefined {
    return this.result?.kind === 'authenticated' && !this.caller ? this.result.session : undefined;
  }

  /** The SSO session, if the request has one. */
  ssoSession(): SSOSession | undefined {
    return this.result?.kind === 'sso' && !this.caller ? this.result.session : undefined;
  }

  /** What the cookie came to, waited for within the deadline of a request. */
  whenAuthenticated(): SessionResult | Promise<SessionResult> {
    if (this.result) return this.result;
    const { timeout } = this.instance.config;
    return withDeadline(timeout * 2, this.waiting as Promise<void>).then(() => this.result ?? unanswered());
  }

  /** From here on the request has this session, and its response the cookie that goes with it. */
  setAuthentication(next: SessionResult): void {
    this.result = setSessionCookie(this.req, this.res, next, this.instance);
    this.current = undefined;
  }

  /** From here on the request is of this caller, whom a token names. A cookie says nothing any more. */
  setBearer(caller: Principal): void {
    this.caller = caller;
  }
}

/** The cookie that goes with a result. A session that no cookie can hold is said so, never dropped in silence. */
function setSessionCookie(
  req: Request,
  res: Response,
  result: SessionResult,
  { cookies, authenticator }: Instance,
): SessionResult {
  if (result.kind === 'sso' || result.kind === 'anonymous') return result;
  if (result.kind !== 'ended' && result.sealed === undefined) return result;
  if (!canSetCookie(res)) return result;
  if (result.kind === 'ended') {
    cookies.clearSession(req, res);
    return result;
  }
  try {
    const session = result.sealedSession ?? (result.kind === 'authenticated' ? result.session : undefined);
    const isLive = () => !session || (authenticator.isLive?.(session) ?? true);
    cookies.setSession(req, res, result.sealed as string, isLive);
    return result;
  } catch (error) {
    return { kind: 'unavailable', error: error as AuthKitError };
  }
}

/** Where the head is gone no cookie can be set, so nothing is refreshed that could not be handed over. */
export function canSetCookie(res: Response): boolean {
  return !res.headersSent;
}

export function toAuth(
  result: SessionResult | undefined,
  url: (wanted?: Readonly<Record<string, string>>) => string,
): Auth {
  switch (result?.kind) {
    case 'authenticated':
      return toSessionAuth(result);
    case 'sso':
      return toSSOAuth(result.session);
    case 'anonymous':
      return signedOut(result.reason, url());
    case 'ended':
      return signedOut('ended', url(nextLoginParameters(result.error, result.organizationId)));
    case 'unavailable':
    case undefined:
      return signedOut('unavailable', url());
  }
}

function unanswered(): SessionResult {
  return { kind: 'unavailable', error: unavailable('WorkOS did not answer in time') };
}

/**
 * The state of each request at each instance that has seen it, in mount order. Guards read this and never `req.auth` or
 * `req.user`, which the application can replace.
 */
const requestAuths = new WeakMap<object, RequestAuth[]>();

const NONE: readonly RequestAuth[] = [];

export function requestAuthsOf(req: IncomingMessage): readonly RequestAuth[] {
  return requestAuths.get(req) ?? NONE;
}

/** A guard believed a token: all instances speak of the same caller from here on. */
export function setBearerAuth(req: IncomingMessage, caller: Principal): void {
  for (const requestAuth of requestAuthsOf(req)) requestAuth.setBearer(caller);
}

/** Of several instances, the first at which the request is signed in, else the first. */
export function selectSignedIn(list: readonly RequestAuth[]): RequestAuth | undefined {
  if (list.length === 1) return list[0];
  return list.find((requestAuth) => requestAuth.auth().type !== null) ?? list[0];
}

/** Gives a request `auth` and `user`, read as they are at the moment; reading marks the answer as personal. */
export const { expose, ensure: ensureRequestProperties } = defineRequestProperties((req) => {
  const list = nearest(req) ?? NONE;
  const [first] = list;
  if (first) first.responseState.isPersonal = true;
  return selectSignedIn(list)?.auth();
});

/** Of the request, or of the one that it inherits from: some wrap a request by `Object.create`. */
function nearest(req: object): readonly RequestAuth[] | undefined {
  for (let object: object | null = req; object; object = Object.getPrototypeOf(object) as object | null) {
    const found = requestAuths.get(object);
    if (found) return found;
  }
  return undefined;
}

/** Opens the requestAuth of a request, once. Returns a promise only if the request has to wait. */
export type AuthenticateRequest = (req: Request, res: Response) => RequestAuth | Promise<RequestAuth>;

export function createAuthenticateRequest(parts: Instance): AuthenticateRequest {
  const { config, cookies, authenticator, softTimeout } = parts;
  return (req, res) => {
    let list = requestAuths.get(req);
    if (!list) requestAuths.set(req, (list = []));
    const opened = list.find((requestAuth) => requestAuth.instance === parts);
    if (opened) return opened;
    const stop = config.serverTiming ? startTimer(res, 'authkit-session') : undefined;
    const values = cookies.sessionValues(req);
    const pending =
      authenticator.cached(values) ?? authenticator.authenticate(values, () => canSetCookie(res));
    if (pending instanceof Promise) void pending.then(stop, stop);
    else stop?.();
    const requestAuth = new RequestAuth(parts, req, res, pending);
    if (list.push(requestAuth) === 1) expose(req);
    return pending instanceof Promise
      ? withDeadline(softTimeout, requestAuth.whenAuthenticated() as Promise<unknown>).then(() => requestAuth)
      : requestAuth;
  };
}

/** `auth.authenticate()`: the session of a request that has no response, such as a WebSocket upgrade. */
export function createAuthenticate({
  config,
  cookies,
  authenticator,
}: Pick<Instance, 'config' | 'cookies' | 'authenticator'>) {
  return async (req: IncomingMessage): Promise<Auth> => {
    const origin = header(req, 'origin');
    const { origin: own, origins } = config.returnToRules;
    const isForeign = origin !== undefined && origin !== own && !origins.includes(origin);
    const result = await authenticator.authenticate(isForeign ? [] : cookies.sessionValues(req), () => false);
    return toAuth(result, () => config.routes.login?.public ?? config.returnTo);
  };
}
