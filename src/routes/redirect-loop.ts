import type { AuthenticateRequest } from '../auth/request-auth.js';
import type { Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import { type Cookies, SIGN_IN_MARKER_LIFETIME } from '../http/cookies.js';
import type { Request, Response } from '../http/middleware.js';
import { openPayload, type PayloadPurpose, sealPayload } from '../session/sealed-payload.js';

/**
 * Tells a browser that brings its session back from one that does not. To a guard the latter is nobody, WorkOS knows
 * who it is and sends it back at once, and so it would go in circles.
 */
export interface RedirectLoopGuard {
  /** A session goes out with this response: the next requests should bring it. */
  markSignIn: (res: Response) => Promise<void>;
  /** Whether this browser was given a session seconds ago, and is nobody all the same. */
  isLooping: (req: Request, res: Response) => Promise<boolean>;
  /** Ends the circle. The next sign-in is a first one again. */
  toError: (req: Request, res: Response) => AuthKitError;
}

export interface RedirectLoopGuardDependencies {
  config: Config;
  cookies: Cookies;
  authenticateRequest: AuthenticateRequest;
}

export function createRedirectLoopGuard({
  config,
  cookies,
  authenticateRequest,
}: RedirectLoopGuardDependencies): RedirectLoopGuard {
  const isExpected = (req: Request) =>
    cookies.signInMarkerValues(req).some((value) => openPayload(SIGN_IN_MARKER, config, value) !== undefined);
  return {
    async markSignIn(res) {
      cookies.setSignInMarker(res, await sealPayload(SIGN_IN_MARKER, config));
    },
    async isLooping(req, res) {
      if (!isExpected(req)) return false;
      const requestAuth = await authenticateRequest(req, res);
      const { kind } = await requestAuth.whenAuthenticated();
      return kind === 'anonymous' && requestAuth.auth().type === null;
    },
    toError(req, res) {
      cookies.clearSignInMarker(req, res);
      return new AuthKitError('session_lost', lossOf(config));
    },
  };
}

/** For who runs the application: what is set, and what may be in its way. */
function lossOf({ cookie: { name, domain, secure }, redirectUri }: Config): string {
  const { host } = new URL(redirectUri);
  const reach = domain === undefined ? `of ${host} alone` : `of ${domain} and its sub-domains`;
  return (
    `twice within seconds this browser signed in and came back without its session: the cookie ${name}, ${reach}` +
    `${secure ? ', https only' : ''}, was not sent along, or could not be opened. Look at Set-Cookie of the callback ` +
    'and at Cookie of the request after it, for: a proxy or a middleware that drops a cookie of 4 KB or several of ' +
    'them; guarded pages at another host, without cookie.domain; http where https is meant; a process with another ' +
    'cookiePassword; a browser that blocks cookies'
  );
}

/**
 * A completed sign-in, sealed so that a planted or kept marker holds up the sign-ins of a browser for these seconds and
 * no longer. The clocks of two servers may differ either way.
 */
const SIGN_IN_MARKER: PayloadPurpose = {
  name: 'sign-in-marker',
  isBoundToRedirectUri: true,
  lifetime: SIGN_IN_MARKER_LIFETIME,
  clockSkew: SIGN_IN_MARKER_LIFETIME,
};
