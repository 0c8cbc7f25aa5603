import { AuthKitError } from '../errors.js';
import type { Outcome, Request, Response } from '../http/handler-to-middleware.js';
import { isPageLoad } from '../http/request.js';
import { redirect } from '../http/response.js';
import { ownProperties } from '../plain-objects.js';
import { bearerChallenge, denyForbidden, publishDenied } from './deny.js';
import { loginUrl, loginUrlForScript } from './login-url.js';
import { isSessionType, type SignedIn } from './principal.js';
import type { RequestAuth } from './request-auth.js';

/** A sign-in that is at most this many seconds old counts as a new sign-in. */
const JUST_SIGNED_IN = 10;

/** The largest `maxAge` that the login route accepts, in seconds. */
const MAX_AGE = 999_999_999;

/**
 * Whether the user authenticated within the last `maxAge` seconds. The time of the authentication is taken from the
 * `auth_time` claim or, if the claim is missing, from {@link freshSignInAt}. If neither is available, the result is
 * false.
 */
export function isRecent(auth: SignedIn, requestAuth: RequestAuth, maxAge: number): boolean {
  const claimed = claimedAge(auth, requestAuth);
  if (claimed !== undefined) return claimed <= maxAge;
  const at = freshSignInAt(requestAuth);
  return at !== undefined && seconds(requestAuth.instance.config.now) - at <= maxAge;
}

/** Returns the current time in seconds. It is rounded down, because `auth_time` is in whole seconds. */
function seconds(now: () => number): number {
  return Math.floor(now() / 1000);
}

/** How much later than `iat` the time in `auth_time` may be, in seconds, because clocks differ. */
const CLOCK_SKEW = 60;

/**
 * Returns how long ago the user authenticated according to the `auth_time` claim, in seconds. Returns `undefined` if
 * the claim is missing. SSO sessions have no claims, because the SSO API issues no tokens.
 *
 * A user authenticates before the token is issued. If `auth_time` is later, it cannot be a time in seconds, and would
 * count as recent forever. The result is then `Infinity`, so the authentication counts as old. `auth_time` is compared
 * with `iat` and with the time at WorkOS, because all of them come from the clock of WorkOS.
 */
function claimedAge(auth: SignedIn, { instance }: RequestAuth): number | undefined {
  if (auth.type === 'sso') return undefined;
  const now = seconds(instance.workosNow);
  const { auth_time: at, iat = now } = ownProperties<{ auth_time?: unknown; iat?: number }>(auth.claims);
  if (at === undefined || at === null) return undefined;
  return typeof at === 'number' && at <= iat + CLOCK_SKEW ? now - at : Infinity;
}

/**
 * Returns the earliest time at which the user may have authenticated, in seconds since the epoch: the time of the
 * sign-in minus its `maxAge`. Returns `undefined` if the sign-in had no `maxAge`.
 */
function freshSignInAt(requestAuth: RequestAuth): number | undefined {
  return requestAuth.session()?.extension.authenticatedAt;
}

/**
 * Returns the `maxAge` of the sign-in that a guard with this `maxAge` starts, or `undefined` if another sign-in would
 * not help: if the user has just signed in with `maxAge` 0, redirecting to sign-in again would cause a redirect loop. A
 * sign-in with `sso()` never helps, because the SSO API cannot require users to authenticate again.
 */
function maxAgeOfSignIn(auth: SignedIn, requestAuth: RequestAuth, maxAge: number): number | undefined {
  if (auth.type === 'sso') return undefined;
  const { signedInAt = -Infinity, authenticatedAt } = ownProperties(requestAuth.session()?.extension ?? {});
  const hasJustSignedIn = requestAuth.instance.config.now() / 1000 - signedInAt <= JUST_SIGNED_IN;
  if (hasJustSignedIn && authenticatedAt === signedInAt) return undefined;
  // Without the `auth_time` claim, only a new authentication shows when the user authenticated.
  return hasJustSignedIn || claimedAge(auth, requestAuth) === undefined ? 0 : wholeSeconds(maxAge);
}

/** Returns a guard's `maxAge` in the form that the login route and RFC 9470 require: as a whole number of seconds. */
function wholeSeconds(maxAge: number): number {
  return Math.min(Math.floor(maxAge), MAX_AGE);
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
  const maxAgeToAsk = maxAgeOfSignIn(auth, requestAuth, maxAge);
  if (maxAgeToAsk === undefined) {
    const message = 'WorkOS did not ask to authenticate again';
    return denyForbidden(req, res, requestAuth, auth, { message, rule: { maxAge } });
  }
  publishDenied(req, requestAuth, 'step_up_required', { maxAge });
  const parameters = { maxAge: String(maxAgeToAsk) };
  const isSession = isSessionType(auth.type);
  if (config.routes.login && isSession && isPageLoad(req))
    return redirect(res, loginUrl(req, config, parameters));
  const headers = bearerChallenge({
    error: 'insufficient_user_authentication',
    max_age: wholeSeconds(maxAge),
  });
  const error = new AuthKitError('step_up_required', 'sign in again', { headers });
  return respondWithError(error, req, res, isSession ? loginUrlForScript(req, config, parameters) : {});
}
