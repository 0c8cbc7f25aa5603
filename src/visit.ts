import type { IncomingMessage } from 'node:http';
import type { AnswerError } from './answer.js';
import { expose, signedOut, type Auth, type Caller } from './auth.js';
import type { Authentication, Authenticator } from './authenticate.js';
import { signedInAs } from './callers.js';
import type { Config } from './config/index.js';
import type { Cookies } from './cookies.js';
import type { TokenJudges } from './credentials.js';
import { type AuthKitError, unavailable } from './errors.js';
import { target, type Request, type Response } from './http.js';
import { atMost } from './keys.js';
import { startTimer } from './response-head.js';
import { safeReturnTo } from './return-to.js';
import type { Session } from './session.js';

/** One request at one instance: the session it came with, and what became of it since. */
export interface Visit {
  /** The instance; its identity tells one from another. */
  readonly at: VisitParts;
  auth: () => Auth;
  /** The session, if somebody is signed in as far as is known now. */
  session: () => Session | undefined;
  /** What the cookie came to, waited for within the deadline of a request. */
  settled: () => Authentication | Promise<Authentication>;
  /** From here on the request has this session, and its response the cookie that goes with it. */
  become: (result: Authentication) => void;
  /** From here on the request is of this caller, whom a token names. A cookie says nothing any more. */
  present: (caller: Caller) => void;
}

/** What guards believe. `req.auth` and `req.user` are for the application, and anybody can set them. */
const visits = new WeakMap<IncomingMessage, Visit[]>();

/** The visits of a request, in mount order. */
export function visitsOf(req: IncomingMessage): readonly Visit[] {
  return visits.get(req) ?? [];
}

/** A guard believed a token: all instances speak of the same caller from here on. */
export function present(req: IncomingMessage, caller: Caller): void {
  for (const visit of visitsOf(req)) visit.present(caller);
}

/** Of several instances, the first at which the request is signed in, else the first. */
export function firstSignedIn(list: readonly Visit[]): Visit | undefined {
  return list.find((visit) => visit.auth().type !== null) ?? list[0];
}

export interface VisitParts {
  config: Config;
  cookies: Cookies;
  authenticator: Authenticator;
  answer: AnswerError;
  tokens: TokenJudges;
  /** How long a request that may need no session waits for one, in milliseconds. */
  patience: number;
}

/** Opens the visit of a request, once. Returns a promise only if the request has to wait. */
export type OpenVisit = (req: Request, res: Response) => Visit | Promise<Visit>;

export function createVisits(parts: VisitParts): OpenVisit {
  const { config, cookies, authenticator, patience } = parts;
  return (req, res) => {
    const list = visits.get(req) ?? [];
    const opened = list.find((visit) => visit.at === parts);
    if (opened) return opened;
    // Where the head is gone no cookie can be set, so nothing is refreshed that could not be handed over.
    const stop = config.serverTiming ? startTimer(res, 'authkit-session') : undefined;
    const pending = authenticator.authenticate(cookies.sessionValues(req), !res.headersSent);
    if (pending instanceof Promise) void pending.then(stop, stop);
    else stop?.();
    const visit = createVisit(req, res, pending, parts);
    list.push(visit);
    if (list.length === 1) {
      visits.set(req, list);
      expose(req, res, () => (firstSignedIn(list) ?? visit).auth());
    }
    return pending instanceof Promise
      ? atMost(patience, visit.settled() as Promise<unknown>).then(() => visit)
      : visit;
  };
}

function createVisit(
  req: Request,
  res: Response,
  pending: Authentication | Promise<Authentication>,
  parts: VisitParts,
): Visit {
  const { config, cookies, authenticator } = parts;
  let result: Authentication | undefined;
  let auth: Auth | undefined;
  let caller: Caller | undefined;

  const become = (next: Authentication) => {
    result = deliver(req, res, next, cookies, authenticator);
    auth = undefined;
  };
  // What the handler did meanwhile, such as signing out, is newer than what the cookie came to.
  const waiting =
    pending instanceof Promise
      ? pending.then((value) => {
          if (!result) become(value);
        })
      : undefined;
  if (!(pending instanceof Promise)) become(pending);

  return {
    at: parts,
    auth: () => caller ?? (auth ??= toAuth(result, () => signInUrl(req, config))),
    session: () => (result?.kind === 'active' && !caller ? result.session : undefined),
    settled: () =>
      result ?? atMost(config.timeout * 2, waiting as Promise<void>).then(() => result ?? unanswered()),
    become,
    present: (next) => {
      caller = next;
    },
  };
}

/** The cookie that goes with a result. A session that no cookie can hold is said so, never dropped in silence. */
function deliver(
  req: Request,
  res: Response,
  result: Authentication,
  cookies: Cookies,
  authenticator: Authenticator,
): Authentication {
  if (res.headersSent) return result;
  if (result.kind === 'ended') cookies.clearSession(req, res);
  if ((result.kind !== 'active' && result.kind !== 'unknown') || result.sealed === undefined) return result;
  try {
    const isLive = () => result.kind !== 'active' || authenticator.isLive(result.session);
    cookies.setSession(req, res, result.sealed, isLive);
    return result;
  } catch (error) {
    return { kind: 'unknown', error: error as AuthKitError };
  }
}

export function toAuth(result: Authentication | undefined, url: () => string): Auth {
  switch (result?.kind) {
    case 'active':
      return signedInAs(result.session, result.claims);
    case 'absent':
      return signedOut(result.reason, url());
    case 'ended':
      return signedOut('ended', url());
    case 'unknown':
    case undefined:
      return signedOut('unknown', url());
  }
}

/** The login route, with this page to come back to if a redirect can come back to it. */
export function signInUrl(req: Request, { routes, returnTo, returnToRules }: Config): string {
  if (!routes.login) return returnTo;
  const here =
    req.method === 'GET' || req.method === 'HEAD' ? safeReturnTo(target(req), returnToRules) : undefined;
  return here === undefined
    ? routes.login.public
    : `${routes.login.public}?returnTo=${encodeURIComponent(here)}`;
}

function unanswered(): Authentication {
  return { kind: 'unknown', error: unavailable('WorkOS did not answer in time') };
}

/** How long a request waits for what it may not need, in milliseconds: a second, or less where calls are short. */
export function patienceOf({ timeout }: Pick<Config, 'timeout'>): number {
  return Math.min(1000, timeout / 5);
}
