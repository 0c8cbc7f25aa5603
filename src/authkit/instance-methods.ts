import type { IncomingMessage, ServerResponse } from 'node:http';
import { isAge } from '../auth/guard-options.js';
import type { Auth, SessionAuth } from '../auth/principal.js';
import { type AuthenticateRequest, createAuthenticate, requestAuthsOf } from '../auth/request-auth.js';
import { isRecent } from '../auth/step-up.js';
import type { AuthKitConfig } from '../config/index.js';
import { ownProperties } from '../config/problem-list.js';
import type { SignInOptions, SignInUrlOptions } from '../config/options.js';
import type { Cookies } from '../http/cookies.js';
import type { StartSignIn } from '../routes/authorization-request.js';
import { createSignOut, type EndSession, type SignOutOptions } from '../routes/logout.js';
import type { SaveSession } from '../routes/save-session.js';
import { checkAttributes } from '../routes/sign-up.js';
import { createSwitchToOrganization, type RefreshRequestSession } from '../routes/switch-organization.js';
import type { Authenticator } from '../session/authenticate.js';

/** What an instance can do in a handler. */
export interface Methods {
  /**
   * The URL of AuthKit's sign-in page. It sets a transaction cookie on `res`, so the URL works in this browser only.
   *
   * @throws {AuthKitError} `invalid_request`
   * @example
   * app.get('/checkout/sign-in', async (req, res) => {
   *   res.redirect(await auth.getSignInUrl(req, res, { returnTo: '/checkout' }));
   * });
   */
  getSignInUrl: (req: IncomingMessage, res: ServerResponse, options?: SignInUrlOptions) => Promise<string>;
  /** The same for the sign-up screen. */
  getSignUpUrl: (req: IncomingMessage, res: ServerResponse, options?: SignInUrlOptions) => Promise<string>;
  /**
   * Ends the session in this application and sends the browser to WorkOS, which ends it there and returns to
   * `returnTo`. The checks of the logout route apply, so that another site cannot sign a user out.
   */
  signOut: (req: IncomingMessage, res: ServerResponse, options?: SignOutOptions) => Promise<void>;
  /**
   * Signs the user in with an authentication that your code has made itself with the WorkOS SDK, such as a password
   * sign-in, a magic code, an e-mail verification or a second factor. Everything that the callback does happens here
   * too: the token is verified, `onSuccess` decides, a first sign-in saves its attributes, the earlier session of this
   * browser ends, and the response gets the session cookie. `req.auth` has the new session afterwards.
   *
   * The result is `undefined` if `onSuccess` has sent a response itself. Then the user is not signed in.
   *
   * @param authenticationResponse What an `authenticateWith…` call of the SDK resolved to.
   * @throws {TypeError} if it is not such a response, or the response of this request has been sent.
   * @throws {AuthKitError} `invalid_request` for a token that is not valid or a session that has ended, `forbidden` for a
   * form on another site, `sign_in_rejected`, `cookie_too_large`, `upstream_unavailable`.
   * @example
   * app.post('/password', async (req, res) => {
   *   const { email, password } = req.body;
   *   const response = await auth.workos.userManagement.authenticateWithPassword({ email, password });
   *   const saved = await auth.saveSession(req, res, response, { returnTo: '/account' });
   *   if (saved) res.redirect(303, saved.returnTo);
   * });
   */
  saveSession: SaveSession;
  /**
   * Gets new tokens now. Afterwards `req.auth` has them.
   *
   * @throws {AuthKitError} `unauthenticated`, `upstream_unavailable`, or the further step that WorkOS requires.
   */
  refreshSession: (
    req: IncomingMessage,
    res: ServerResponse,
    options?: { organizationId?: string },
  ) => Promise<SessionAuth>;
  /**
   * Gets new tokens for another organization. If that organization requires its own sign-in, the request is
   * redirected to it, and the result is `undefined`: the response has been sent. A script gets the error instead, and
   * has to open `/login?organizationId=…` itself.
   *
   * @throws {AuthKitError} `forbidden` if the user may not enter the organization; the session does not change.
   */
  switchToOrganization: (
    req: IncomingMessage,
    res: ServerResponse,
    organizationId: string,
  ) => Promise<SessionAuth | undefined>;
  /**
   * Whether the user of this request has authenticated within the last `maxAge` seconds, as a guard with `maxAge`
   * decides it. False for signed-out requests, API keys and machines.
   *
   * @throws {TypeError} if `maxAge` is not a number of seconds.
   */
  isRecent: (req: IncomingMessage, maxAge: number) => boolean;
  /**
   * The `req.auth` of a request that has no response, such as a WebSocket upgrade. A request with a foreign `Origin` is
   * signed out. So is one with an expired session, because a refreshed session could not be stored in a cookie.
   */
  authenticate: (req: IncomingMessage) => Promise<Auth>;
}

export interface MethodDependencies {
  config: AuthKitConfig;
  cookies: Cookies;
  authenticator: Authenticator;
  authenticateRequest: AuthenticateRequest;
  startSignIn: StartSignIn<SignInOptions>;
  endSession: EndSession;
  refreshRequestSession: RefreshRequestSession;
  saveSession: SaveSession;
}

export function createMethods(dependencies: MethodDependencies): Methods {
  const { config, endSession, refreshRequestSession, saveSession } = dependencies;
  const getSignInUrl = createGetSignInUrl(dependencies);
  return {
    getSignInUrl: async (req, res, options = {}) => {
      assertRequest(req, res, 'getSignInUrl(req, res, options)');
      return getSignInUrl(req, res, options);
    },
    getSignUpUrl: async (req, res, options = {}) => {
      assertRequest(req, res, 'getSignUpUrl(req, res, options)');
      return getSignInUrl(req, res, { ...options, screenHint: 'sign-up' });
    },
    signOut: createSignOut(config, endSession),
    saveSession: async (req, res, response, options) => {
      assertRequest(req, res, 'saveSession(req, res, authenticationResponse)');
      return saveSession(req, res, response, options);
    },
    refreshSession: (req, res, options = {}) =>
      refreshRequestSession(req, res, ownProperties(options).organizationId),
    switchToOrganization: createSwitchToOrganization({ ...dependencies, getSignInUrl }),
    isRecent(req, maxAge) {
      if (!isAge(maxAge)) throw new TypeError('isRecent(req, maxAge): maxAge must be a number of seconds');
      const requestAuth = requestAuthsOf(req).find(({ instance }) => instance.config === config);
      const auth = requestAuth?.auth();
      return requestAuth !== undefined && auth?.user ? isRecent(auth, requestAuth, maxAge) : false;
    },
    authenticate: createAuthenticate(dependencies),
  };
}

/** @throws {TypeError} where the options were passed as the first argument. */
function assertRequest(req: unknown, res: unknown, usage: string): void {
  const { headers } = Object(req) as { headers?: unknown };
  const { setHeader } = Object(res) as { setHeader?: unknown };
  if (typeof headers === 'object' && typeof setHeader === 'function') return;
  throw new TypeError(`pass the request and its response first: ${usage}`);
}

/** The `req.auth` of a request, whether or not the session middleware has run on it. */
export function createAuthOf(config: AuthKitConfig, { authenticate }: Pick<Methods, 'authenticate'>) {
  return async (req: IncomingMessage): Promise<Auth> => {
    const requestAuth = requestAuthsOf(req).find(({ instance }) => instance.config === config);
    if (!requestAuth) return authenticate(req);
    await requestAuth.whenAuthenticated();
    return requestAuth.auth();
  };
}

/** Starts a sign-in with options that code of the application gives. */
export function createGetSignInUrl({
  config,
  startSignIn,
}: Pick<MethodDependencies, 'config' | 'startSignIn'>) {
  return async (req: IncomingMessage, res: ServerResponse, given: SignInUrlOptions): Promise<string> => {
    const { returnTo, state, redirectUri, codeChallenge, attributes, ...options } = ownProperties(given);
    const checked = attributes && checkAttributes(attributes, config.signUp);
    return startSignIn(req, res, options, {
      from: 'app',
      ...(returnTo === undefined ? {} : { returnTo }),
      ...(state === undefined ? {} : { state }),
      ...(redirectUri === undefined ? {} : { redirectUri }),
      ...(codeChallenge === undefined ? {} : { codeChallenge }),
      ...(checked === undefined ? {} : { attributes: checked }),
    });
  };
}
