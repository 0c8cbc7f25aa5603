import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Auth, SessionAuth } from './auth.js';
import type { Authenticator } from './authenticate.js';
import type { AuthKitConfig, Config } from './config/index.js';
import type { Cookies } from './cookies.js';
import { isAge } from './guard-rule.js';
import { header } from './http.js';
import { redirectToLogout, type EndSession } from './logout.js';
import type { SignInOptions, SignInUrlOptions } from './options.js';
import { createRefreshRequestSession } from './request-renewal.js';
import type { StartSignIn } from './sign-in.js';
import { checkedAttributes } from './sign-up.js';
import { isRecent } from './step-up.js';
import { createSwitchToOrganization, type SwitchDependencies } from './switch-organization.js';
import { toAuth } from './visit.js';
import { requestAuthsOf, type AuthenticateRequest } from './visits.js';

/** What an instance can do for a handler. */
export interface Methods {
  /**
   * URL of AuthKit's sign-in page. Its transaction cookie is set on `res`, so it is good for this browser only.
   *
   * @throws {AuthKitError} `invalid_request`
   */
  getSignInUrl(req: IncomingMessage, res: ServerResponse, options?: SignInUrlOptions): Promise<string>;
  /** The same, landing on the sign-up screen. */
  getSignUpUrl(req: IncomingMessage, res: ServerResponse, options?: SignInUrlOptions): Promise<string>;
  /** Ends the session here and sends the browser to WorkOS, which ends it there and returns to `returnTo`. */
  signOut(req: IncomingMessage, res: ServerResponse, options?: { returnTo?: string }): Promise<void>;
  /**
   * New tokens now; `req.auth` is the new one afterwards.
   *
   * @throws {AuthKitError} `unauthenticated`, `upstream_unavailable`, or what WorkOS wants first.
   */
  refreshSession(
    req: IncomingMessage,
    res: ServerResponse,
    options?: { organizationId?: string },
  ): Promise<SessionAuth>;
  /**
   * The same for another organization. Where WorkOS wants that organization's own sign-in first, the request is
   * redirected there and the result is `undefined`: the answer has been sent.
   *
   * A script gets the error instead, and goes to `/login?organizationId=…` itself.
   *
   * @throws {AuthKitError} `forbidden` if WorkOS keeps the person out of it; they stay where they were.
   */
  switchToOrganization(
    req: IncomingMessage,
    res: ServerResponse,
    organizationId: string,
  ): Promise<SessionAuth | undefined>;
  /**
   * Whether the person of this request authenticated within the last `maxAge` seconds, as a guard with `maxAge` would
   * decide it. False for nobody, and for API keys and machines.
   *
   * @throws {TypeError} if `maxAge` is no number of seconds.
   */
  isRecent(req: IncomingMessage, maxAge: number): boolean;
  /**
   * The session of a request that has no response, such as a WebSocket upgrade. A foreign `Origin` is nobody, and an
   * expired session too: nothing is refreshed where no cookie can be set.
   */
  authenticate(req: IncomingMessage): Promise<Auth>;
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

export function createSignOut(config: Config, end: EndSession): Methods['signOut'] {
  return async (req, res, { returnTo } = {}) => {
    redirectToLogout(req, res, await end(req, res, returnTo), config);
  };
}

export function createAuthenticate({
  config,
  cookies,
  authenticator,
}: Pick<MethodDependencies, 'cookies' | 'authenticator'> & { config: Config }): Methods['authenticate'] {
  return async (req) => {
    const origin = header(req, 'origin');
    const { origin: own, origins } = config.returnToRules;
    const isForeign = origin !== undefined && origin !== own && !origins.includes(origin);
    const result = await authenticator.authenticate(isForeign ? [] : cookies.sessionValues(req), () => false);
    return toAuth(result, () => config.routes.login?.public ?? config.returnTo);
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
