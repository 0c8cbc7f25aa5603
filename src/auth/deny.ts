import { AuthKitError, type AuthKitErrorCode } from '../errors.js';
import { publish } from '../events.js';
import { isRealError, type Outcome, type Request, type Response } from '../http/middleware.js';
import { isPageLoad, target } from '../http/request.js';
import { redirect } from '../http/response.js';
import type { CompiledGuardRule, Unauthenticated } from './guard-rule.js';
import { loginUrl } from './login-url.js';
import type { Principal } from './principal.js';
import type { RequestAuth, SessionResult } from './request-auth.js';

/** Nobody is signed in: a page load goes to sign-in and comes back, anything else learns where that would be. */
export async function denyUnauthenticated(
  req: Request,
  res: Response,
  requestAuth: RequestAuth,
  result: SessionResult,
  { unauthenticated }: CompiledGuardRule,
  challenge: Challenge,
): Promise<Outcome> {
  const { config, respondWithError: answer } = requestAuth.instance;
  if (result.kind === 'unavailable') return denyUnavailable(req, res, requestAuth, result.error);
  publishDenied(req, requestAuth, 'unauthenticated');
  const login = config.routes.login?.public;
  const error = new AuthKitError('unauthenticated', 'sign in first', { headers: bearerChallenge(challenge) });
  if (typeof unauthenticated === 'function') return callUnauthenticated(unauthenticated, req, res, error);
  const isRedirected = unauthenticated === undefined ? isPageLoad(req) : unauthenticated === 'redirect';
  if (isRedirected && login !== undefined) {
    // 303 makes a GET of whatever was sent.
    return redirect(res, signInAddress(req, requestAuth), isRead(req) ? 302 : 303);
  }
  return answer(error, req, res, login === undefined ? {} : { loginUrl: login });
}

/** With what WorkOS wants of who was signed in until now. */
function signInAddress(req: Request, requestAuth: RequestAuth): string {
  const auth = requestAuth.auth();
  return auth.type === null ? auth.loginUrl : loginUrl(req, requestAuth.instance.config);
}

function isRead({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** The application answers. A `next` that names no error passes ours on: nothing opens a guard. */
function callUnauthenticated(
  answer: Unauthenticated,
  req: Request,
  res: Response,
  error: AuthKitError,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const next = (value?: unknown) => {
      resolve({ error: isRealError(value) ? value : error });
    };
    Promise.resolve(answer(req, res, next)).catch(reject);
  });
}

/** It cannot be told now who this is. */
export function denyUnavailable(
  req: Request,
  res: Response,
  requestAuth: RequestAuth,
  error: AuthKitError,
): Promise<Outcome> {
  publishDenied(req, requestAuth, error.code);
  return requestAuth.instance.respondWithError(error, req, res);
}

/** The token of a request names nobody, or none was brought where one is needed (RFC 6750 section 3.1). */
export function denyToken(
  req: Request,
  res: Response,
  requestAuth: RequestAuth,
  { unauthenticated }: CompiledGuardRule,
  challenge: Challenge,
): Outcome | Promise<Outcome> {
  publishDenied(req, requestAuth, 'unauthenticated');
  const message = challenge.error === undefined ? 'an access token is needed' : 'the token is not accepted';
  const error = new AuthKitError('unauthenticated', message, { headers: bearerChallenge(challenge) });
  if (typeof unauthenticated === 'function') return callUnauthenticated(unauthenticated, req, res, error);
  return requestAuth.instance.respondWithError(error, req, res);
}

/** A rule is not met. Signing in again would change nothing, and so it is never asked for. */
export function denyForbidden(
  req: Request,
  res: Response,
  requestAuth: RequestAuth,
  caller: Principal,
  message: string,
  challenge: Challenge = {},
): Promise<Outcome> {
  publishDenied(req, requestAuth, 'forbidden');
  const headers =
    caller.type === 'session' || caller.type === 'sso'
      ? {}
      : bearerChallenge({ error: 'insufficient_scope', ...challenge });
  return requestAuth.instance.respondWithError(new AuthKitError('forbidden', message, { headers }), req, res);
}

export function publishDenied(req: Request, requestAuth: RequestAuth, code: AuthKitErrorCode): void {
  const [path = '/'] = target(req).split('?', 1);
  const { clientId } = requestAuth.instance.config;
  publish('denied', {
    clientId,
    code,
    userId: requestAuth.auth().user?.id,
    method: req.method ?? 'GET',
    path,
  });
}

/** What `WWW-Authenticate` says, in the names of RFC 6750 section 3, RFC 9470 section 3 and RFC 9728 section 5.1. */
export interface Challenge {
  error?: 'invalid_token' | 'insufficient_scope' | 'insufficient_user_authentication';
  error_description?: string;
  /** Seconds. */
  max_age?: number;
  scope?: string;
  resource_metadata?: string;
}

/** One challenge of the scheme Bearer. Every value is ours or configured: none needs more than quotes. */
export function bearerChallenge(challenge: Challenge): Readonly<Record<'WWW-Authenticate', string>> {
  const params = Object.entries(challenge)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}="${String(value)}"`);
  return { 'WWW-Authenticate': ['Bearer', params.join(', ')].join(' ').trim() };
}
