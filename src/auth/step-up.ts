import { AuthKitError } from '../errors.js';
import type { Outcome, Request, Response } from '../http/handler-to-middleware.js';
import { isPageLoad } from '../http/request.js';
import { redirect } from '../http/response.js';
import { bearerChallenge, denyForbidden, publishDenied } from './deny.js';
import { loginUrl, loginUrlForScript } from './login-url.js';
import { isSessionType, type SignedIn } from './principal.js';
import type { RequestAuth } from './request-auth.js';

/**
 * If the user signed in within this many seconds and that is not recent enough, a new sign-in would not help and would
 * cause a redirect loop.
 */
const JUST_SIGNED_IN = 10;

/**
 * Whether the user authenticated within the last `maxAge` seconds. The time comes from the `auth_time` claim. Without
 * that claim, it comes from the sign-in, if the sign-in itself had a maximum age. If neither is known, the result is
 * false.
 */
export function isRecent(auth: SignedIn, requestAuth: RequestAuth, maxAge: number): boolean {
  const at = claimedAt(auth) ?? freshSignInAt(requestAuth);
  // The current time is rounded down to whole seconds, as in the claim.
  return typeof at === 'number' && Math.floor(requestAuth.instance.config.now() / 1000) - at <= maxAge;
}

/** The `auth_time` claim, in seconds since the epoch. SSO sessions have none, because the SSO API issues no tokens. */
function claimedAt(auth: SignedIn): unknown {
  if (auth.type === 'sso') return undefined;
  return Object.hasOwn(auth.claims, 'auth_time') ? auth.claims.auth_time : undefined;
}

/**
 * The earliest time at which the user can have authenticated, in seconds since the epoch. `undefined` if the sign-in
 * had no maximum age.
 */
function freshSignInAt(requestAuth: RequestAuth): number | undefined {
  return requestAuth.session()?.extension.authenticatedAt;
}

/**
 * Requires a signed-in user to authenticate again if they last authenticated more than `maxAge` seconds ago (RFC 9470).
 */
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
    const message = 'WorkOS did not ask to authenticate again';
    return denyForbidden(req, res, requestAuth, auth, { message, rule: { maxAge } });
  }
  publishDenied(req, requestAuth, 'step_up_required', { maxAge });
  const parameters = { maxAge: String(maxAge) };
  const isSession = isSessionType(auth.type);
  if (config.routes.login && isSession && isPageLoad(req))
    return redirect(res, loginUrl(req, config, parameters));
  const headers = bearerChallenge({ error: 'insufficient_user_authentication', max_age: maxAge });
  const error = new AuthKitError('step_up_required', 'sign in again', { headers });
  return respondWithError(error, req, res, isSession ? loginUrlForScript(req, config, parameters) : {});
}
