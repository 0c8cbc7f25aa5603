import type { SignedIn } from './auth.js';
import { bearerChallenge } from './challenge.js';
import type { Config } from './config/index.js';
import { AuthKitError } from './errors.js';
import { isPageLoad, redirect, type Outcome, type Request, type Response } from './http.js';
import { refuse, tell } from './refusals.js';
import { signInUrl } from './sign-in-url.js';
import type { Visit } from './visit.js';

/** Signed in again so lately, in seconds, and still too long ago: asking once more would go in circles. */
const JUST_SIGNED_IN = 10;

/**
 * Whether somebody authenticated recently enough for a `maxAge` in seconds: by `auth_time`, else by our own sign-in if
 * that made them authenticate afresh, else not.
 */
export function isRecent(auth: SignedIn, visit: Visit, maxAge: number): boolean {
  const at = auth.claims.auth_time ?? ownSignIn(visit);
  // Both in whole seconds, as the claim is: a fraction of one is no age.
  return typeof at === 'number' && Math.floor(visit.at.config.now() / 1000) - at <= maxAge;
}

function ownSignIn(visit: Visit): number | undefined {
  return visit.session()?.own.authenticatedAt;
}

/** RFC 9470: signed in, but too long ago for this route. */
export function stepUp(
  req: Request,
  res: Response,
  visit: Visit,
  auth: SignedIn,
  maxAge: number,
): Outcome | Promise<Outcome> {
  const { config, answer } = visit.at;
  if (isRecent(auth, visit, maxAge)) return 'next';
  const since = config.now() / 1000 - (ownSignIn(visit) ?? visit.session()?.own.signedInAt ?? -Infinity);
  if (since <= Math.max(maxAge, JUST_SIGNED_IN)) {
    return refuse(req, res, visit, auth, 'WorkOS did not ask to authenticate again');
  }
  tell(req, visit, 'step_up_required');
  const again = config.routes.login && signInAgainUrl(req, config, maxAge);
  if (again !== undefined && auth.type === 'session' && isPageLoad(req)) return redirect(res, again);
  const headers = bearerChallenge({ error: 'insufficient_user_authentication', max_age: maxAge });
  const error = new AuthKitError('step_up_required', 'sign in again', { headers });
  const loginUrl = auth.type === 'session' ? config.routes.login?.public : undefined;
  return answer(error, req, res, loginUrl === undefined ? {} : { loginUrl });
}

/** The login route, asking for a fresh sign-in, and back to this page. */
function signInAgainUrl(req: Request, config: Config, maxAge: number): string {
  const url = signInUrl(req, config);
  return `${url}${url.includes('?') ? '&' : '?'}maxAge=${String(maxAge)}`;
}
