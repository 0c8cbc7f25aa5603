import type { RespondWithError } from './answer.js';
import { signedOut, type Auth, type Principal } from './auth.js';
import type { Authentication, Authenticator } from './authenticate.js';
import { toSessionAuth } from './callers.js';
import type { Config } from './config/index.js';
import type { Cookies } from './cookies.js';
import type { BearerVerifiers } from './credentials.js';
import { type AuthKitError, unavailable } from './errors.js';
import type { Request, Response } from './http.js';
import { withDeadline } from './keys.js';
import { responseStateOf, type ResponseState } from './response-head.js';
import type { Session } from './session.js';
import { loginUrl } from './sign-in-url.js';
import { nextLoginParameters } from './unfinished.js';

export interface Instance {
  config: Config;
  cookies: Cookies;
  authenticator: Authenticator;
  respondWithError: RespondWithError;
  bearerVerifiers: BearerVerifiers;
  /** How long a request that may need no session waits for one, in milliseconds. */
  softTimeout: number;
}

/** One request at one instance: the session it came with, and what became of it since. */
export class RequestAuth {
  private result: Authentication | undefined = undefined;
  private current: Auth | undefined = undefined;
  private caller: Principal | undefined = undefined;
  private ofResponse: ResponseState | undefined = undefined;
  private readonly waiting: Promise<void> | undefined = undefined;

  constructor(
    /** The instance; its identity tells one from another. */
    readonly instance: Instance,
    private readonly req: Request,
    private readonly res: Response,
    pending: Authentication | Promise<Authentication>,
  ) {
    if (pending instanceof Promise) this.waiting = this.wait(pending);
    else this.setAuthentication(pending);
  }

  private async wait(pending: Promise<Authentication>): Promise<void> {
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

  /** What the cookie came to, waited for within the deadline of a request. */
  whenAuthenticated(): Authentication | Promise<Authentication> {
    if (this.result) return this.result;
    const { timeout } = this.instance.config;
    return withDeadline(timeout * 2, this.waiting as Promise<void>).then(() => this.result ?? unanswered());
  }

  /** From here on the request has this session, and its response the cookie that goes with it. */
  setAuthentication(next: Authentication): void {
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
  result: Authentication,
  { cookies, authenticator }: Instance,
): Authentication {
  if (result.kind === 'anonymous' || (result.kind !== 'ended' && result.sealed === undefined)) return result;
  if (!canSetCookie(res)) return result;
  if (result.kind === 'ended') {
    cookies.clearSession(req, res);
    return result;
  }
  try {
    const isLive = () => result.kind !== 'authenticated' || authenticator.isLive(result.session);
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
  result: Authentication | undefined,
  url: (wanted?: Readonly<Record<string, string>>) => string,
): Auth {
  switch (result?.kind) {
    case 'authenticated':
      return toSessionAuth(result);
    case 'anonymous':
      return signedOut(result.reason, url());
    case 'ended':
      return signedOut('ended', url(nextLoginParameters(result.error, result.organizationId)));
    case 'unavailable':
    case undefined:
      return signedOut('unavailable', url());
  }
}

function unanswered(): Authentication {
  return { kind: 'unavailable', error: unavailable('WorkOS did not answer in time') };
}

/** How long a request waits for what it may not need, in milliseconds: a second, or less where calls are short. */
export function softTimeoutOf({ timeout }: Pick<Config, 'timeout'>): number {
  return Math.min(1000, timeout / 5);
}
