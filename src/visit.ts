import type { AnswerError } from './answer.js';
import { signedOut, type Auth, type Caller } from './auth.js';
import type { Authentication, Authenticator } from './authenticate.js';
import { signedInAs } from './callers.js';
import type { Config } from './config/index.js';
import type { Cookies } from './cookies.js';
import type { TokenJudges } from './credentials.js';
import { type AuthKitError, unavailable } from './errors.js';
import type { Request, Response } from './http.js';
import { atMost } from './keys.js';
import { headOf, type Head } from './response-head.js';
import type { Session } from './session.js';
import { signInUrl } from './sign-in-url.js';
import { wayBack } from './unfinished.js';

export interface VisitParts {
  config: Config;
  cookies: Cookies;
  authenticator: Authenticator;
  answer: AnswerError;
  tokens: TokenJudges;
  /** How long a request that may need no session waits for one, in milliseconds. */
  patience: number;
}

/** One request at one instance: the session it came with, and what became of it since. */
export class Visit {
  private result: Authentication | undefined = undefined;
  private current: Auth | undefined = undefined;
  private caller: Caller | undefined = undefined;
  private ofResponse: Head | undefined = undefined;
  private readonly waiting: Promise<void> | undefined = undefined;

  constructor(
    /** The instance; its identity tells one from another. */
    readonly at: VisitParts,
    private readonly req: Request,
    private readonly res: Response,
    pending: Authentication | Promise<Authentication>,
  ) {
    if (pending instanceof Promise) this.waiting = this.wait(pending);
    else this.become(pending);
  }

  private async wait(pending: Promise<Authentication>): Promise<void> {
    const result = await pending;
    // What the handler did meanwhile, such as signing out, is newer than what the cookie came to.
    if (!this.result) this.become(result);
  }

  /** What has to be in the head of the response. */
  get head(): Head {
    return (this.ofResponse ??= headOf(this.res));
  }

  auth(): Auth {
    return (
      this.caller ??
      (this.current ??= toAuth(this.result, (wanted) => signInUrl(this.req, this.at.config, wanted)))
    );
  }

  /** The session, if somebody is signed in as far as is known now. */
  session(): Session | undefined {
    return this.result?.kind === 'active' && !this.caller ? this.result.session : undefined;
  }

  /** What the cookie came to, waited for within the deadline of a request. */
  settled(): Authentication | Promise<Authentication> {
    if (this.result) return this.result;
    const { timeout } = this.at.config;
    return atMost(timeout * 2, this.waiting as Promise<void>).then(() => this.result ?? unanswered());
  }

  /** From here on the request has this session, and its response the cookie that goes with it. */
  become(next: Authentication): void {
    this.result = deliver(this.req, this.res, next, this.at);
    this.current = undefined;
  }

  /** From here on the request is of this caller, whom a token names. A cookie says nothing any more. */
  present(caller: Caller): void {
    this.caller = caller;
  }
}

/** The cookie that goes with a result. A session that no cookie can hold is said so, never dropped in silence. */
function deliver(
  req: Request,
  res: Response,
  result: Authentication,
  { cookies, authenticator }: VisitParts,
): Authentication {
  if (result.kind === 'absent' || (result.kind !== 'ended' && result.sealed === undefined)) return result;
  if (!canDeliver(res)) return result;
  if (result.kind === 'ended') {
    cookies.clearSession(req, res);
    return result;
  }
  try {
    const isLive = () => result.kind !== 'active' || authenticator.isLive(result.session);
    cookies.setSession(req, res, result.sealed as string, isLive);
    return result;
  } catch (error) {
    return { kind: 'unknown', error: error as AuthKitError };
  }
}

/** Where the head is gone no cookie can be set, so nothing is refreshed that could not be handed over. */
export function canDeliver(res: Response): boolean {
  return !res.headersSent;
}

export function toAuth(
  result: Authentication | undefined,
  url: (wanted?: Readonly<Record<string, string>>) => string,
): Auth {
  switch (result?.kind) {
    case 'active':
      return signedInAs(result);
    case 'absent':
      return signedOut(result.reason, url());
    case 'ended':
      return signedOut('ended', url(wayBack(result.error, result.organizationId)));
    case 'unknown':
    case undefined:
      return signedOut('unknown', url());
  }
}

function unanswered(): Authentication {
  return { kind: 'unknown', error: unavailable('WorkOS did not answer in time') };
}

/** How long a request waits for what it may not need, in milliseconds: a second, or less where calls are short. */
export function patienceOf({ timeout }: Pick<Config, 'timeout'>): number {
  return Math.min(1000, timeout / 5);
}
