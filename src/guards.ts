import type { IncomingMessage } from 'node:http';
import { isRecent, type SignedIn } from './auth.js';
import { AuthKitError, type AuthKitErrorCode } from './errors.js';
import {
  isPageLoad,
  middleware,
  redirect,
  target,
  type Middleware,
  type Outcome,
  type Request,
  type Response,
} from './http.js';
import { publish } from './events.js';
import { markGuarded } from './response-head.js';
import { compileRule, type Rule } from './rules.js';
import { firstSignedIn, signInUrl, type Visit } from './visit.js';

/** Decides by itself; anything but `true` is no. */
export type Check = (auth: SignedIn, req: IncomingMessage) => boolean | Promise<boolean>;

/** What `requireAuth` asks for. Several keys must all hold. */
export interface GuardRule extends Omit<Rule, 'organization'> {
  /** `true`: any organization. A string: that one. A function: the one that this request is about. */
  organization?: true | string | ((req: IncomingMessage) => string | undefined);
  /** Longest time since the person last authenticated, in seconds. */
  maxAge?: number;
  check?: Check;
}

/** Signed in again so lately, in seconds, and still too long ago: asking once more would go in circles. */
const JUST_SIGNED_IN = 10;

/** What a request must meet, beyond being signed in. */
type Test = (auth: SignedIn, req: IncomingMessage) => boolean | Promise<boolean>;

/**
 * Makes a guard.
 *
 * @param find The visits that count for a request. A guard believes them, and never `req.auth` or `req.user`.
 * @throws {TypeError} where the guard is written, if its rule could not mean anything.
 */
export function createGuard(
  rule: GuardRule | Check,
  find: (req: IncomingMessage) => readonly Visit[],
): Middleware {
  const { maxAge, ...others } = typeof rule === 'function' ? { check: rule } : rule;
  if (maxAge !== undefined && !(Number.isFinite(maxAge) && maxAge >= 0)) {
    throw new TypeError('rule "maxAge" must be a number of seconds');
  }
  const test = compileTest(others);
  const decide = (req: Request, res: Response, visits: readonly Visit[]): Outcome | Promise<Outcome> => {
    markGuarded(res);
    const visit = firstSignedIn(visits) as Visit;
    const auth = visit.auth();
    if (auth.type === null) return turnAway(req, res, visit);
    const allowed = test(auth, req);
    const go = (value: boolean) =>
      value
        ? stepUp(req, res, visit, auth, maxAge)
        : refuse(req, res, visit, 'the rule of this route is not met');
    return allowed instanceof Promise ? allowed.then(go) : go(allowed);
  };

  return middleware((req, res) => {
    const visits = find(req);
    if (visits.length === 0) return { error: notMounted() };
    const pending = visits.map((visit) => visit.settled()).filter((settled) => settled instanceof Promise);
    return pending.length === 0
      ? decide(req, res, visits)
      : Promise.all(pending).then(() => decide(req, res, visits));
  });
}

function compileTest({ organization, check, ...rule }: Omit<GuardRule, 'maxAge'>): Test {
  const isDynamic = typeof organization === 'function';
  const holds = compileRule({
    ...rule,
    ...(isDynamic || organization === undefined ? {} : { organization }),
  });
  if (check !== undefined && typeof check !== 'function')
    throw new TypeError('rule "check" must be a function');
  return (auth, req) => {
    if (!holds(auth)) return false;
    if (isDynamic && (auth.organizationId === undefined || organization(req) !== auth.organizationId))
      return false;
    if (!check) return true;
    const verdict: unknown = check(auth, req);
    // Only `true` is yes: an error object, say, is not.
    return isThenable(verdict) ? Promise.resolve(verdict).then((value) => value === true) : verdict === true;
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}

/** Nobody is signed in: a page load goes to sign-in and comes back, anything else learns where that would be. */
async function turnAway(req: Request, res: Response, visit: Visit): Promise<Outcome> {
  const { config, answer } = visit.at;
  const result = await visit.settled();
  if (result.kind === 'unknown') {
    tell(req, visit, result.error.code);
    return answer(result.error, req, res);
  }
  tell(req, visit, 'unauthenticated');
  if (config.routes.login && isPageLoad(req)) return redirect(res, signInUrl(req, config));
  const loginUrl = config.routes.login?.public;
  return answer(
    new AuthKitError('unauthenticated', 'sign in first'),
    req,
    res,
    loginUrl === undefined ? {} : { loginUrl },
  );
}

function refuse(req: Request, res: Response, visit: Visit, message: string): Promise<Outcome> {
  tell(req, visit, 'forbidden');
  return visit.at.answer(new AuthKitError('forbidden', message), req, res);
}

/** RFC 9470: signed in, but too long ago for this route. */
function stepUp(
  req: Request,
  res: Response,
  visit: Visit,
  auth: SignedIn,
  maxAge: number | undefined,
): Outcome | Promise<Outcome> {
  const { config, answer } = visit.at;
  if (maxAge === undefined) return 'next';
  const session = visit.session();
  if (session && isRecent(auth, session, maxAge, config.now())) return 'next';
  const since = config.now() / 1000 - (session?.own.authenticatedAt ?? -Infinity);
  if (since <= Math.max(maxAge, JUST_SIGNED_IN)) {
    return refuse(req, res, visit, 'WorkOS did not ask to authenticate again');
  }
  tell(req, visit, 'step_up_required');
  if (config.routes.login && isPageLoad(req)) {
    const url = signInUrl(req, config);
    return redirect(res, `${url}${url.includes('?') ? '&' : '?'}maxAge=${String(maxAge)}`);
  }
  const challenge = `Bearer error="insufficient_user_authentication", max_age="${String(maxAge)}"`;
  const error = new AuthKitError('step_up_required', 'sign in again', {
    headers: { 'WWW-Authenticate': challenge },
  });
  return answer(error, req, res, config.routes.login ? { loginUrl: config.routes.login.public } : {});
}

function tell(req: Request, visit: Visit, code: AuthKitErrorCode): void {
  const [path = '/'] = target(req).split('?', 1);
  const { clientId } = visit.at.config;
  publish('denied', { clientId, code, userId: visit.auth().user?.id, method: req.method ?? 'GET', path });
}

function notMounted(): AuthKitError {
  return new AuthKitError(
    'not_mounted',
    'requireAuth() ran on a request that authkit() has not seen: add app.use(authkit()) before this route, ' +
      'or app.use(auth.session) if authkit() is mounted at a path',
  );
}
