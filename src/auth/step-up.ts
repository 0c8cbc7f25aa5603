import type { Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import type { Outcome, Request, Response } from '../http/middleware.js';
import { isPageLoad } from '../http/request.js';
import { redirect } from '../http/response.js';
import { bearerChallenge, denyForbidden, publishDenied } from './deny.js';
import { loginUrl } from './login-url.js';
import type { SignedIn } from './principal.js';
import type { RequestAuth } from './request-auth.js';

/** Signed in again so lately, in seconds, and still too long ago: asking once more would go in circles. */
const JUST_SIGNED_IN = 10;

/**
 * Whether somebody authenticated recently enough for a `maxAge` in seconds: by `auth_time`, else by our own sign-in if
 * that made them authenticate afresh, else not.
 */
export function isRecent(auth: SignedIn, requestAuth: RequestAuth, maxAge: number): boolean {
  const at = auth.type === 'sso' ? undefined : (auth.claims.auth_time ?? ownSignIn(requestAuth));
  // Both in whole seconds, as the claim is: a fraction of one is no age.
  return typeof at === 'number' && Math.floor(requestAuth.instance.config.now() / 1000) - at <= maxAge;
}

function ownSignIn(requestAuth: RequestAuth): number | undefined {
  return requestAuth.session()?.extension.authenticatedAt;
}

/** RFC 9470: signed in, but too long ago for this route. */
export function stepUp(
  req: Request,
  res: Response,
  requestAuth: RequestAuth,
  auth: SignedIn,
  maxAge: number,
): Outcome | Promise<Outcome> {
  const { config, respondWithError: answer } = requestAuth.instance;
  if (isRecent(auth, requestAuth, maxAge)) return 'next';
  const since =
    config.now() / 1000 - (ownSignIn(requestAuth) ?? requestAuth.ssoSession()?.signedInAt ?? -Infinity);
  if (since <= Math.max(maxAge, JUST_SIGNED_IN)) {
    return denyForbidden(req, res, requestAuth, auth, 'WorkOS did not ask to authenticate again');
  }
  publishDenied(req, requestAuth, 'step_up_required');
  const again = config.routes.login && signInAgainUrl(req, config, maxAge);
  if (again !== undefined && auth.type !== 'bearer' && isPageLoad(req)) return redirect(res, again);
  const headers = bearerChallenge({ error: 'insufficient_user_authentication', max_age: maxAge });
  const error = new AuthKitError('step_up_required', 'sign in again', { headers });
  const loginUrl = auth.type !== 'bearer' ? config.routes.login?.public : undefined;
  return answer(error, req, res, loginUrl === undefined ? {} : { loginUrl });
}

/** The login route, asking for a fresh sign-in, and back to this page. */
function signInAgainUrl(req: Request, config: Config, maxAge: number): string {
  const url = loginUrl(req, config);
  return `${url}${url.includes('?') ? '&' : '?'}maxAge=${String(maxAge)}`;
}
