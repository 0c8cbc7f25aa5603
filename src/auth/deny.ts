import { AuthKitError, type AuthKitErrorCode } from '../errors.js';
import { type FailedCondition, publish } from '../diagnostics.js';
import { isRealError, type Outcome, type Request, type Response } from '../http/handler-to-middleware.js';
import { isPageLoad, target } from '../http/request.js';
import { redirect } from '../http/response.js';
import type { CompiledGuardRule, Unauthenticated } from './guard-options.js';
import { loginUrlForScript } from './login-url.js';
import { isSessionType, type Principal } from './principal.js';
import type { RequestAuth } from './request-auth.js';

/**
 * Responds to a request that is not authenticated. By default, a page load is redirected to sign-in. Any other request
 * receives a 401 response that contains `loginUrl`.
 */
export function denyUnauthenticated(
  req: Request,
  res: Response,
  requestAuth: RequestAuth,
  { unauthenticated }: CompiledGuardRule,
): Outcome | Promise<Outcome> {
  const { config, respondWithError } = requestAuth.instance;
  publishDenied(req, requestAuth, 'unauthenticated');
  const error = new AuthKitError('unauthenticated', 'sign in first');
  if (typeof unauthenticated === 'function') return callUnauthenticated(unauthenticated, req, res, error);
  const isRedirected = unauthenticated === undefined ? isPageLoad(req) : unauthenticated === 'redirect';
  if (isRedirected && config.routes.login) {
    // After a 303 response, the browser follows the redirect with GET, regardless of the original request's method.
    return redirect(res, requestAuth.loginUrl(), isRead(req) ? 302 : 303);
  }
  return respondWithError(error, req, res, loginUrlForScript(req, config, requestAuth.loginParameters()));
}

function isRead({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD';
}

/**
 * Calls the application's `unauthenticated` function. If the function calls `next` without an error, `next` receives
 * the `unauthenticated` error instead, so the request is still denied.
 */
function callUnauthenticated(
  respond: Unauthenticated,
  req: Request,
  res: Response,
  error: AuthKitError,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const next = (value?: unknown) => {
      resolve({ error: isRealError(value) ? value : error });
    };
    Promise.resolve(respond(req, res, next)).catch(reject);
  });
}

/**
 * Responds to a request whose credential cannot be verified at this time, for example because WorkOS is unavailable.
 */
export function denyUnavailable(
  req: Request,
  res: Response,
  requestAuth: RequestAuth,
  error: AuthKitError,
): Promise<Outcome> {
  publishDenied(req, requestAuth, error.code);
  return requestAuth.instance.respondWithError(error, req, res);
}

/** Responds to a request that lacks a required token, or whose token is not accepted (RFC 6750 section 3.1). */
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

/** Why a guard responds with 403. */
interface Denial {
  readonly message: string;
  readonly rule: FailedCondition;
  readonly challenge?: Challenge;
}

/**
 * Responds with 403 to a request that does not meet the guard's rule. The request is not redirected to sign-in, because
 * signing in again would not change the result.
 */
export function denyForbidden(
  req: Request,
  res: Response,
  requestAuth: RequestAuth,
  principal: Principal,
  { message, rule, challenge = {} }: Denial,
): Promise<Outcome> {
  publishDenied(req, requestAuth, 'forbidden', rule);
  const headers = isSessionType(principal.type)
    ? {}
    : bearerChallenge({ error: 'insufficient_scope', ...challenge });
  return requestAuth.instance.respondWithError(new AuthKitError('forbidden', message, { headers }), req, res);
}

/** Responds with 403 because `loadUser` found no user in the application for the signed-in WorkOS user. */
export function denyUnknownUser(req: Request, res: Response, requestAuth: RequestAuth): Promise<Outcome> {
  publishDenied(req, requestAuth, 'unknown_user');
  const error = new AuthKitError('unknown_user', 'this application has no account for the signed-in user');
  return requestAuth.instance.respondWithError(error, req, res);
}

export function publishDenied(
  req: Request,
  requestAuth: RequestAuth,
  code: AuthKitErrorCode,
  rule?: FailedCondition,
): void {
  const { clientId } = requestAuth.instance.config;
  publish('denied', {
    clientId,
    code,
    userId: requestAuth.auth().user?.id,
    method: req.method as string,
    path: target(req).replace(/\?.*/s, ''),
    rule,
  });
}

/**
 * The parameters of a `Bearer` challenge in the `WWW-Authenticate` header, as defined in RFC 6750 section 3, RFC 9470
 * section 3 and RFC 9728 section 5.1.
 */
export interface Challenge {
  error?: 'invalid_token' | 'insufficient_scope' | 'insufficient_user_authentication';
  error_description?: string;
  /** The maximum time that may have passed since the user last authenticated, in seconds. */
  max_age?: number;
  scope?: string;
  resource_metadata?: string;
}

/**
 * Builds a `WWW-Authenticate` header for the `Bearer` scheme. The parameter values are not escaped, because all of them
 * are constants or come from the configuration.
 */
export function bearerChallenge(challenge: Challenge): Readonly<Record<'WWW-Authenticate', string>> {
  const params = Object.entries(challenge).map(([name, value]) => `${name}="${String(value)}"`);
  return { 'WWW-Authenticate': ['Bearer', params.join(', ')].join(' ').trim() };
}
