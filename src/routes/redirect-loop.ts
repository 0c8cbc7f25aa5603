import type { AuthenticateRequest } from '../auth/request-auth.js';
import type { Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import { type Cookies, SIGN_IN_MARKER_LIFETIME } from '../http/cookies.js';
import type { Request, Response } from '../http/middleware.js';
import { open, seal } from '../session/seal.js';
import type { TransactionBinding } from './transaction.js';

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
  const { cookiePasswords: passwords, now } = config;
  const isExpected = (req: Request) =>
    cookies.signInMarkerValues(req).some((value) => isSignInMarker(value, config, passwords, now()));
  return {
    async markSignIn(res) {
      cookies.setSignInMarker(res, await sealSignInMarker(config, now(), passwords[0]));
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

const PURPOSE = 'signInMarker';

/**
 * A completed sign-in, for as long as the next one could be the next round of a circle. Sealed, so that whoever plants
 * one, or keeps one, holds up a browser's sign-in for these seconds and not longer.
 */
export function sealSignInMarker(
  { clientId, redirectUri }: TransactionBinding,
  now: number,
  password: string,
): Promise<string> {
  return seal({ purpose: PURPOSE, clientId, redirectUri, at: now }, password);
}

/** Whether it is one of this instance, seconds old; clocks of two servers may differ either way. */
export function isSignInMarker(
  sealed: string,
  { clientId, redirectUri }: TransactionBinding,
  passwords: readonly string[],
  now: number,
): boolean {
  const payload = open(sealed, passwords, now) as Readonly<Record<string, unknown>> | null | undefined;
  if (payload?.['purpose'] !== PURPOSE) return false;
  if (payload['clientId'] !== clientId || payload['redirectUri'] !== redirectUri) return false;
  const { at } = payload;
  return typeof at === 'number' && Math.abs(now - at) < SIGN_IN_MARKER_LIFETIME;
}
