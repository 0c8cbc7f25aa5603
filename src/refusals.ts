import type { Caller } from './auth.js';
import type { Authentication } from './authenticate.js';
import { bearerChallenge, type Challenge } from './challenge.js';
import { AuthKitError, type AuthKitErrorCode } from './errors.js';
import { publish } from './events.js';
import type { Demands, Unauthenticated } from './guard-rule.js';
import {
  isPageLoad,
  isPassedOn,
  redirect,
  target,
  type Outcome,
  type Request,
  type Response,
} from './http.js';
import { signInUrl } from './sign-in-url.js';
import type { Visit } from './visit.js';

/** Nobody is signed in: a page load goes to sign-in and comes back, anything else learns where that would be. */
export async function turnAway(
  req: Request,
  res: Response,
  visit: Visit,
  result: Authentication,
  { unauthenticated }: Demands,
  challenge: Challenge,
): Promise<Outcome> {
  const { config, answer } = visit.at;
  if (result.kind === 'unknown') return refuseNow(req, res, visit, result.error);
  tell(req, visit, 'unauthenticated');
  const login = config.routes.login?.public;
  const error = new AuthKitError('unauthenticated', 'sign in first', { headers: bearerChallenge(challenge) });
  if (typeof unauthenticated === 'function') return handOver(unauthenticated, req, res, error);
  const isRedirected = unauthenticated === undefined ? isPageLoad(req) : unauthenticated === 'redirect';
  if (isRedirected && login !== undefined) {
    // 303 makes a GET of whatever was sent.
    return redirect(res, signInAddress(req, visit), isRead(req) ? 302 : 303);
  }
  return answer(error, req, res, login === undefined ? {} : { loginUrl: login });
}

/** With what WorkOS wants of who was signed in until now. */
function signInAddress(req: Request, visit: Visit): string {
  const auth = visit.auth();
  return auth.type === null ? auth.signInUrl : signInUrl(req, visit.at.config);
}

function isRead({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** The application answers. A `next` that names no error passes ours on: nothing opens a guard. */
function handOver(
  answer: Unauthenticated,
  req: Request,
  res: Response,
  error: AuthKitError,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const next = (value?: unknown) => {
      resolve({ error: isPassedOn(value) ? value : error });
    };
    Promise.resolve(answer(req, res, next)).catch(reject);
  });
}

/** It cannot be told now who this is. */
export function refuseNow(req: Request, res: Response, visit: Visit, error: AuthKitError): Promise<Outcome> {
  tell(req, visit, error.code);
  return visit.at.answer(error, req, res);
}

/** The token of a request names nobody, or none was brought where one is needed (RFC 6750 section 3.1). */
export function refuseToken(
  req: Request,
  res: Response,
  visit: Visit,
  { unauthenticated }: Demands,
  challenge: Challenge,
): Outcome | Promise<Outcome> {
  tell(req, visit, 'unauthenticated');
  const message = challenge.error === undefined ? 'an access token is needed' : 'the token is not accepted';
  const error = new AuthKitError('unauthenticated', message, { headers: bearerChallenge(challenge) });
  if (typeof unauthenticated === 'function') return handOver(unauthenticated, req, res, error);
  return visit.at.answer(error, req, res);
}

/** A rule is not met. Signing in again would change nothing, and so it is never asked for. */
export function refuse(
  req: Request,
  res: Response,
  visit: Visit,
  caller: Caller,
  message: string,
  challenge: Challenge = {},
): Promise<Outcome> {
  tell(req, visit, 'forbidden');
  const headers =
    caller.type === 'session' ? {} : bearerChallenge({ error: 'insufficient_scope', ...challenge });
  return visit.at.answer(new AuthKitError('forbidden', message, { headers }), req, res);
}

export function tell(req: Request, visit: Visit, code: AuthKitErrorCode): void {
  const [path = '/'] = target(req).split('?', 1);
  const { clientId } = visit.at.config;
  publish('denied', { clientId, code, userId: visit.auth().user?.id, method: req.method ?? 'GET', path });
}
