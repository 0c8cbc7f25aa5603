import type { AuthenticateRequest } from '../auth/request-auth.js';
import type { Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import { type Cookies, SIGN_IN_MARKER_LIFETIME } from '../http/cookies.js';
import type { Request, Response } from '../http/handler-to-middleware.js';
import { openPayload, type PayloadPurpose, sealPayload } from '../session/purpose-bound-seal.js';

/**
 * Detects a redirect loop: the browser signs in but does not send the session cookie back, so the guard redirects to
 * sign-in, and WorkOS, which still has a session, redirects straight back.
 */
export interface RedirectLoopGuard {
  /**
   * Sets a marker cookie that lasts for ten seconds. It is set after a sign-in, and after a silent sign-in that left
   * the user signed out. If the browser then begins another sign-in with the marker but without a session, there is a
   * loop.
   */
  markSignIn: (res: Response) => Promise<void>;
  /** Returns whether this browser signed in a few seconds ago but is still signed out. */
  isLooping: (req: Request, res: Response) => Promise<boolean>;
  /**
   * Returns the error that ends the loop. Also clears the marker cookie, so that the next sign-in is not mistaken for a
   * loop.
   */
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
  const hasMarker = (req: Request) =>
    cookies.signInMarkerValues(req).some((value) => openPayload(SIGN_IN_MARKER, config, value) !== undefined);
  return {
    async markSignIn(res) {
      cookies.setSignInMarker(res, await sealPayload(SIGN_IN_MARKER, config));
    },
    async isLooping(req, res) {
      if (!hasMarker(req)) return false;
      const requestAuth = await authenticateRequest(req, res);
      const { kind } = await requestAuth.whenAuthenticated();
      return (kind === 'anonymous' || kind === 'ended') && requestAuth.auth().type === null;
    },
    toError(req, res) {
      cookies.clearSignInMarker(req, res);
      return new AuthKitError('session_lost', lossOf(config));
    },
  };
}

/**
 * Returns the error message for the developer. It says how the cookie is configured, and what can prevent it from
 * working.
 */
function lossOf({ cookie: { name, domain, path, secure }, redirectUri }: Config): string {
  const { host } = new URL(redirectUri);
  const reach = domain === undefined ? `of ${host} alone` : `of ${domain} and its subdomains`;
  return (
    `this browser signed in twice within seconds and came back without its session: the cookie ${name}, ${reach}` +
    `${path === '/' ? '' : `, below ${path}`}${secure ? ', https only' : ''}, was not sent, or could not be opened. ` +
    'Compare Set-Cookie of the callback with Cookie of the next request. Usual causes: a proxy or a middleware that ' +
    'drops a cookie of 4 KB, or one of several cookies; guarded pages at another host, without cookie.domain; http in ' +
    'place of https; a process with another cookiePassword; a browser that blocks cookies'
  );
}

/**
 * How the marker cookie is sealed. A planted marker cannot block sign-ins for long, because only a marker that this
 * application sealed recently is valid. `clockSkew` allows for differences between the clocks of servers.
 */
const SIGN_IN_MARKER: PayloadPurpose = {
  name: 'sign-in-marker',
  isBoundToRedirectUri: true,
  lifetime: SIGN_IN_MARKER_LIFETIME,
  clockSkew: SIGN_IN_MARKER_LIFETIME,
};
