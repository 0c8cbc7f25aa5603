import type { IncomingMessage, ServerResponse } from 'node:http';
import { isAge } from '../auth/guard-rule.js';
import type { Auth, SessionAuth } from '../auth/principal.js';
import { type AuthenticateRequest, createAuthenticate, requestAuthsOf } from '../auth/request-auth.js';
import { isRecent } from '../auth/step-up.js';
import type { AuthKitConfig } from '../config/index.js';
import type { SignInOptions, SignInUrlOptions } from '../config/options.js';
import type { Cookies } from '../http/cookies.js';
import type { StartSignIn } from '../routes/authorization-request.js';
import { createSignOut, type EndSession } from '../routes/logout.js';
import { checkedAttributes } from '../routes/sign-up.js';
import {
  createRefreshRequestSession,
  createSwitchToOrganization,
  type SwitchDependencies,
} from '../routes/switch-organization.js';
import type { Authenticator } from '../session/authenticate.js';

/** What an instance can do for a handler. */
export interface Methods {
  /**
   * URL of AuthKit's sign-in page. Its transaction cookie is set on `res`, so it is good for this browser only.
   *
   * @throws {AuthKitError} `invalid_request`
   */
  getSignInUrl: (req: IncomingMessage, res: ServerResponse, options?: SignInUrlOptions) => Promise<string>;
  /** The same, landing on the sign-up screen. */
  getSignUpUrl: (req: IncomingMessage, res: ServerResponse, options?: SignInUrlOptions) => Promise<string>;
  /** Ends the session here and sends the browser to WorkOS, which ends it there and returns to `returnTo`. */
  signOut: (req: IncomingMessage, res: ServerResponse, options?: { returnTo?: string }) => Promise<void>;
  /**
   * New tokens now; `req.auth` is the new one afterwards.
   *
   * @throws {AuthKitError} `unauthenticated`, `upstream_unavailable`, or what WorkOS wants first.
   */
  refreshSession: (
    req: IncomingMessage,
    res: ServerResponse,
    options?: { organizationId?: string },
  ) => Promise<SessionAuth>;
  /**
   * The same for another organization. Where WorkOS wants that organization's own sign-in first, the request is
   * redirected there and the result is `undefined`: the answer has been sent.
   *
   * A script gets the error instead, and goes to `/login?organizationId=…` itself.
   *
   * @throws {AuthKitError} `forbidden` if WorkOS keeps the person out of it; they stay where they were.
   */
  switchToOrganization: (
    req: IncomingMessage,
    res: ServerResponse,
    organizationId: string,
  ) => Promise<SessionAuth | undefined>;
  /**
   * Whether the person of this request authenticated within the last `maxAge` seconds, as a guard with `maxAge` would
   * decide it. False for nobody, and for API keys and machines.
   *
   * @throws {TypeError} if `maxAge` is no number of seconds.
   */
  isRecent: (req: IncomingMessage, maxAge: number) => boolean;
  /**
   * The session of a request that has no response, such as a WebSocket upgrade. A foreign `Origin` is nobody, and an
   * expired session too: nothing is refreshed where no cookie can be set.
   */
  authenticate: (req: IncomingMessage) => Promise<Auth>;
}

export interface MethodDependencies {
  config: AuthKitConfig;
  cookies: Cookies;
  authenticator: Authenticator;
  authenticateRequest: AuthenticateRequest;
  signIn: StartSignIn<SignInOptions>;
  end: EndSession;
}

export function createMethods(parts: MethodDependencies): Methods {
  const { config, end } = parts;
  const switching = switchPartsOf(parts);
  const { renew, start } = switching;
  return {
    getSignInUrl: (req, res, options = {}) => start(req, res, options),
    getSignUpUrl: (req, res, options = {}) => start(req, res, { ...options, screenHint: 'sign-up' }),
    signOut: createSignOut(config, end),
    refreshSession: (req, res, { organizationId } = {}) => renew(req, res, organizationId),
    switchToOrganization: createSwitchToOrganization(switching),
    isRecent(req, maxAge) {
      if (!isAge(maxAge)) throw new TypeError('isRecent takes a number of seconds');
      const requestAuth = requestAuthsOf(req).find((one) => one.instance.config === config);
      const auth = requestAuth?.auth();
      return requestAuth !== undefined && auth?.user ? isRecent(auth, requestAuth, maxAge) : false;
    },
    authenticate: createAuthenticate(parts),
  };
}

/** Who a request is of, whether or not the session middleware saw it. */
export function createAuthOf(config: AuthKitConfig, { authenticate }: Pick<Methods, 'authenticate'>) {
  return async (req: IncomingMessage): Promise<Auth> => {
    const requestAuth = requestAuthsOf(req).find((one) => one.instance.config === config);
    if (!requestAuth) return authenticate(req);
    await requestAuth.whenAuthenticated();
    return requestAuth.auth();
  };
}

/** What the method and the route that switch organizations have in common. */
export function switchPartsOf(parts: MethodDependencies): SwitchDependencies {
  const { config, authenticateRequest } = parts;
  return { config, authenticateRequest, renew: createRefreshRequestSession(parts), start: fromCode(parts) };
}

/** Starts a sign-in in the application's own words. */
function fromCode({ config, signIn }: MethodDependencies) {
  return async (
    req: IncomingMessage,
    res: ServerResponse,
    { returnTo, state, redirectUri, codeChallenge, attributes, ...options }: SignInUrlOptions,
  ): Promise<string> => {
    const said = attributes && checkedAttributes(attributes, config.signUp);
    return signIn(req, res, options, {
      from: 'app',
      ...(returnTo === undefined ? {} : { returnTo }),
      ...(state === undefined ? {} : { state }),
      ...(redirectUri === undefined ? {} : { redirectUri }),
      ...(codeChallenge === undefined ? {} : { codeChallenge }),
      ...(said === undefined ? {} : { attributes: said }),
    });
  };
}
