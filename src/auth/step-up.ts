import { AuthKitError } from '../errors.js';
import type { Outcome, Request, Response } from '../http/middleware.js';
import { isPageLoad } from '../http/request.js';
import { redirect } from '../http/response.js';
import { bearerChallenge, denyForbidden, publishDenied } from './deny.js';
import { loginUrl, loginUrlForScript } from './login-url.js';
import { isSessionType, type SignedIn } from './principal.js';
import type { RequestAuth } from './request-auth.js';

/** In seconds. If a sign-in newer than this is still not recent enough, another one would not help and would loop. */
const JUST_SIGNED_IN = 10;

/**
 * Whether the user authenticated within the last `maxAge` seconds: by the `auth_time` claim, otherwise by the time of
 * the sign-in here if that sign-in asked for a fresh authentication. Without either the answer is no.
 */
export function isRecent(auth: SignedIn, requestAuth: RequestAuth, maxAge: number): boolean {
  const at = claimedAt(auth) ?? freshSignInAt(requestAuth);
  // In whole seconds, as the claim is.
  return typeof at === 'number' && Math.floor(requestAuth.instance.config.now() / 1000) - at <= maxAge;
}

/** The `auth_time` claim. The SSO API issues no tokens. */
function claimedAt(auth: SignedIn): unknown {
  if (auth.type === 'sso') return undefined;
  return Object.hasOwn(auth.claims, 'auth_time') ? auth.claims.auth_time : undefined;
}

/** Seconds since the epoch. */
function freshSignInAt(requestAuth: RequestAuth): number | undefined {
  return requestAuth.session()?.extension.authenticatedAt;
}

/** RFC 9470: the user is signed in, but authenticated too long ago for this route. */
export function stepUp(
  req: Request,
  res: Response,
  requestAuth: RequestAuth,
  auth: SignedIn,
  maxAge: number,
): Outcome | Promise<Outcome> {
  const { config, respondWithError } = requestAuth.instance;
  if (isRecent(auth, requestAuth, maxAge)) return 'next';
  const signedInAt = freshSignInAt(requestAuth) ?? requestAuth.ssoSession()?.signedInAt ?? -Infinity;
  if (config.now() / 1000 - signedInAt <= Math.max(maxAge, JUST_SIGNED_IN)) {
    return denyForbidden(req, res, requestAuth, auth, 'WorkOS did not ask to authenticate again');
  }
  publishDenied(req, requestAuth, 'step_up_required');
  const parameters = { maxAge: String(maxAge) };
  const isSession = isSessionType(auth.type);
  if (config.routes.login && isSession && isPageLoad(req))
    return redirect(res, loginUrl(req, config, parameters));
  const headers = bearerChallenge({ error: 'insufficient_user_authentication', max_age: maxAge });
  const error = new AuthKitError('step_up_required', 'sign in again', { headers });
  return respondWithError(error, req, res, isSession ? loginUrlForScript(req, config, parameters) : {});
}
