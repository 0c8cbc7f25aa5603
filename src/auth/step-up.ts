import { AuthKitError } from '../errors.js';
import type { Outcome, Request, Response } from '../http/handler-to-middleware.js';
import { isPageLoad } from '../http/request.js';
import { redirect } from '../http/response.js';
import { ownProperties } from '../plain-objects.js';
import { bearerChallenge, denyForbidden, publishDenied } from './deny.js';
import { loginUrl, loginUrlForScript } from './login-url.js';
import { isSessionType, type SignedIn } from './principal.js';
import type { RequestAuth } from './request-auth.js';

/**
 * A sign-in that is at most this many seconds old counts as a new sign-in. If even a new sign-in does not meet
 * `maxAge`, the guard denies the request: redirecting the user to sign-in again would cause a redirect loop.
 */
const JUST_SIGNED_IN = 10;

/**
 * Whether the user authenticated within the last `maxAge` seconds. The time of the authentication is taken from the
 * `auth_time` claim or, if the claim is missing, from {@link freshSignInAt}. If neither is available, the result is
 * false.
 */
export function isRecent(auth: SignedIn, requestAuth: RequestAuth, maxAge: number): boolean {
  const { config, workosNow } = requestAuth.instance;
  const claimed = claimedAt(auth, seconds(workosNow));
  const at = claimed ?? freshSignInAt(requestAuth);
  // The claim is from the clock of WorkOS, and the time of the sign-in is from this server's clock.
  const now = seconds(claimed === undefined ? config.now : workosNow);
  return typeof at === 'number' && now - at <= maxAge;
}

/** Returns the current time in seconds. It is rounded down, because `auth_time` is in whole seconds. */
function seconds(now: () => number): number {
  return Math.floor(now() / 1000);
}

/** How much later than `iat` the time in `auth_time` may be, in seconds, because clocks differ. */
const CLOCK_SKEW = 60;

/**
 * Returns the `auth_time` claim, in seconds since the epoch. Returns `undefined` for SSO sessions, which have no claims
 * because the SSO API issues no tokens.
 *
 * A user authenticates before the token is issued. If `auth_time` is later, it cannot be a time in seconds, and would
 * count as recent forever. The result is then `-Infinity`, so the authentication counts as old. `auth_time` is compared
 * with `iat`, because both come from the clock of WorkOS.
 */
function claimedAt(auth: SignedIn, now: number): unknown {
  if (auth.type === 'sso') return undefined;
  const { auth_time: at, iat = now } = ownProperties(auth.claims);
  return typeof at === 'number' && at > iat + CLOCK_SKEW ? -Infinity : at;
}

/**
 * Returns the earliest time at which the user may have authenticated, in seconds since the epoch: the time of the
 * sign-in minus its `maxAge`. Returns `undefined` if the sign-in had no `maxAge`.
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
