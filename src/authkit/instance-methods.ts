import type { IncomingMessage, ServerResponse } from 'node:http';
import { isAge } from '../auth/guard-options.js';
import type { Auth, SessionAuth } from '../auth/principal.js';
import {
  type AuthenticateRequest,
  createAuthenticate,
  markPersonal,
  type RequestAuth,
  requestAuthsOf,
} from '../auth/request-auth.js';
import { isRecent } from '../auth/step-up.js';
import type { AuthKitConfig } from '../config/index.js';
import type { SignInOptions, SignInUrlOptions } from '../config/authkit-options.js';
import type { Cookies } from '../http/cookies.js';
import { ownProperties, withoutUndefined } from '../plain-objects.js';
import type { StartSignIn } from '../routes/authorization-request.js';
import { createSignOut, type EndSession, type SignOutOptions } from '../routes/logout.js';
import type { RefreshRequestSession } from '../routes/refresh-session.js';
import type { SaveSession } from '../routes/save-session.js';
import { checkAttributes } from '../routes/sign-up.js';
import { createSwitchToOrganization } from '../routes/switch-organization.js';
import type { Authenticator } from '../session/authenticate-session.js';

/** The methods of an instance that the application's handlers call. */
export interface Methods {
  /**
   * Returns the URL of AuthKit's sign-in page. This method also sets a transaction cookie on `res`, so the URL works
   * only in the browser that receives the response.
   *
   * @throws {AuthKitError} `invalid_request` or `invalid_provider` if an option is invalid.
   * @example
   * app.get('/checkout/sign-in', async (req, res) => {
   *   res.redirect(await auth.getSignInUrl(req, res, { returnTo: '/checkout' }));
   * });
   */
  getSignInUrl: (req: IncomingMessage, res: ServerResponse, options?: SignInUrlOptions) => Promise<string>;
  /** Like `getSignInUrl`, but for AuthKit's sign-up page. */
  getSignUpUrl: (req: IncomingMessage, res: ServerResponse, options?: SignInUrlOptions) => Promise<string>;
  /**
   * Ends the session in this application and redirects the browser to WorkOS. WorkOS then ends its own session and
   * redirects the browser to `returnTo`. This method performs the same checks as the logout route, so another site
   * cannot sign a user out.
   */
  signOut: (req: IncomingMessage, res: ServerResponse, options?: SignOutOptions) => Promise<void>;
  /**
   * Signs a user in after your code has authenticated them with the WorkOS SDK, for example with a password, a magic
   * code, an email verification or a second factor. This method does everything that the callback route does after the
   * code exchange: it verifies the token, calls `onSuccess`, saves the attributes of a first sign-in, ends this
   * browser's earlier sessions and sets the session cookie. Afterwards, `req.auth` contains the new session.
   *
   * If `onSuccess` has sent the response, the user is not signed in, and the result is `undefined`.
   *
   * @param authenticationResponse The result of an `authenticateWith…` call of the SDK.
   * @throws {TypeError} if `authenticationResponse` is anything else, or if the response has already been sent.
   * @throws {AuthKitError} `invalid_request` if the token is invalid or the session has ended; `unauthenticated` if the
   * session ends during the call; `forbidden` if the request has an unsafe method, such as POST, and comes from another
   * site or an unknown origin; `sign_in_rejected` if `onSuccess` rejected the sign-in; `cookie_too_large` if the
   * session does not fit in cookies; `upstream_unavailable` if WorkOS or the store is unavailable.
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
   * Refreshes the session immediately, even if its access token has not expired, and returns the new value of
   * `req.auth`. With `organizationId`, the session is switched to that organization.
   *
   * @throws {AuthKitError} `unauthenticated` if there is no session, or if it has ended; `forbidden` if the user has no
   * access to the given organization; `upstream_unavailable` if WorkOS or the store is unavailable. If WorkOS requires
   * a further step from the user, the error's code names that step, for example `mfa_challenge`. If `loadUser` throws,
   * that error is thrown, although the session has been refreshed.
   */
  refreshSession: (
    req: IncomingMessage,
    res: ServerResponse,
    options?: { organizationId?: string },
  ) => Promise<SessionAuth>;
  /**
   * Switches the session to a different organization by getting new tokens from WorkOS. If that organization requires a
   * separate sign-in, such as SSO, the browser is redirected to that sign-in. In that case, the response has been sent,
   * and the result is `undefined`. If a script (`fetch`) sent the request, an error is thrown instead, and the script
   * must open `/login?organizationId=…` itself.
   *
   * @throws {AuthKitError} `forbidden` if the user has no access to the organization, in which case the session does
   * not change. All other errors are the same as for `refreshSession`.
   */
  switchToOrganization: (
    req: IncomingMessage,
    res: ServerResponse,
    organizationId: string,
  ) => Promise<SessionAuth | undefined>;
  /**
   * Returns whether the user of this request has authenticated within the last `maxAge` seconds. A guard with the same
   * `maxAge` makes the same decision. The result is `false` if the request is not authenticated, or was authenticated
   * with an API key or as a machine.
   *
   * @throws {TypeError} if `maxAge` is not a finite number, or is negative.
   */
  isRecent: (req: IncomingMessage, maxAge: number) => boolean;
  /**
   * Authenticates a request that has no response, such as a WebSocket upgrade. The result is `SignedOut` if the
   * `Origin` header names an origin that is neither the application's own nor trusted. The result is also `SignedOut`
   * if the session must be refreshed first, because the refreshed session could not be stored in a cookie. A refresh is
   * needed if the access token has expired, or if a webhook has reported a change to the user since the token was
   * issued.
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
  const { config, saveSession } = dependencies;
  const getSignInUrl = createGetSignInUrl(dependencies);
  const signOut = createSignOut(dependencies);
  const refreshRequestSession = withLoadedUser(dependencies);
  const switchToOrganization = createSwitchToOrganization({
    ...dependencies,
    refreshRequestSession,
    getSignInUrl,
  });
  const authenticate = createAuthenticate(dependencies);
  return {
    getSignInUrl: async (req, res, options = {}) => {
      assertRequest(req, res, 'getSignInUrl(req, res, options)');
      return getSignInUrl(req, res, options);
    },
    getSignUpUrl: async (req, res, options = {}) => {
      assertRequest(req, res, 'getSignUpUrl(req, res, options)');
      return getSignInUrl(req, res, { ...options, screenHint: 'sign-up' });
    },
    signOut: async (req, res, options) => {
      assertRequest(req, res, 'signOut(req, res, options)');
      return signOut(req, res, options);
    },
    saveSession: async (req, res, response, options) => {
      assertRequest(req, res, 'saveSession(req, res, authenticationResponse)');
      return saveSession(req, res, response, options);
    },
    refreshSession: async (req, res, options = {}) => {
      assertRequest(req, res, 'refreshSession(req, res, options)');
      if (typeof options !== 'object')
        throw new TypeError(
          "refreshSession(req, res, options): options must be like { organizationId: 'org_…' }",
        );
      return refreshRequestSession(req, res, ownProperties(options).organizationId);
    },
    switchToOrganization: async (req, res, organizationId) => {
      const usage = 'switchToOrganization(req, res, organizationId)';
      assertRequest(req, res, usage);
      if (typeof organizationId !== 'string' || organizationId === '')
        throw new TypeError(`${usage}: organizationId must be the ID of an organization, 'org_…'`);
      return switchToOrganization(req, res, organizationId);
    },
    isRecent(req, maxAge) {
      if (!isAge(maxAge)) throw new TypeError('isRecent(req, maxAge): maxAge must be a number of seconds');
      const requestAuth = requestAuthAt(req, config);
      const auth = requestAuth?.auth();
      return requestAuth !== undefined && auth?.user ? isRecent(auth, requestAuth, maxAge) : false;
    },
    authenticate: async (req) => {
      if (!hasHeaders(req)) throw new TypeError('pass the request: authenticate(req)');
      markPersonal(requestAuthsOf(req));
      return authenticate(req);
    },
  };
}

/**
 * Wraps the refresh so that it also calls `loadUser` again. Otherwise, after a switch to a different organization,
 * `req.user` would still be the row that was loaded for the previous one.
 */
function withLoadedUser({
  refreshRequestSession,
  authenticateRequest,
}: Pick<MethodDependencies, 'refreshRequestSession' | 'authenticateRequest'>): RefreshRequestSession {
  return async (req, res, organizationId) => {
    const auth = await refreshRequestSession(req, res, organizationId);
    await (await authenticateRequest(req, res)).loadUser();
    return auth;
  };
}

/**
 * Checks that the first two arguments are the request and its response.
 *
 * @throws {TypeError} if they are not.
 */
function assertRequest(req: unknown, res: unknown, usage: string): void {
  const { setHeader } = Object(res) as { setHeader?: unknown };
  if (hasHeaders(req) && typeof setHeader === 'function') return;
  throw new TypeError(`pass the request and its response first: ${usage}`);
}

function hasHeaders(req: unknown): boolean {
  return typeof (Object(req) as { headers?: unknown }).headers === 'object';
}

/**
 * Returns the authentication state of a request at this instance, or `undefined` if the session middleware has not run
 * on that request. Also marks the response as user-specific.
 */
function requestAuthAt(req: IncomingMessage, config: AuthKitConfig): RequestAuth | undefined {
  const requestAuths = requestAuthsOf(req);
  markPersonal(requestAuths);
  return requestAuths.find(({ instance }) => instance.config === config);
}

/**
 * Creates a function that returns the `req.auth` of a request, whether or not the session middleware has run on that
 * request.
 */
export function createAuthOf(config: AuthKitConfig, { authenticate }: Pick<Methods, 'authenticate'>) {
  return async (req: IncomingMessage): Promise<Auth> => {
    const requestAuth = requestAuthAt(req, config);
    if (!requestAuth) return authenticate(req);
    await requestAuth.whenAuthenticated();
    return requestAuth.auth();
  };
}

/** Creates `auth.getSignInUrl()`, which starts a sign-in with options from the application's code. */
export function createGetSignInUrl({
  config,
  startSignIn,
}: Pick<MethodDependencies, 'config' | 'startSignIn'>) {
  return async (req: IncomingMessage, res: ServerResponse, given: SignInUrlOptions): Promise<string> => {
    const { returnTo, state, redirectUri, codeChallenge, attributes, ...options } = ownProperties(given);
    const checked = attributes && checkAttributes(attributes, config.signUp);
    return startSignIn(req, res, options, {
      from: 'app',
      ...withoutUndefined({ returnTo, state, redirectUri, codeChallenge, attributes: checked }),
    });
  };
}
