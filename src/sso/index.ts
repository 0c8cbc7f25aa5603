import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BearerVerifiers } from '../auth/bearer-token.js';
import { createAuthenticateRequest, createAuthenticate } from '../auth/request-auth.js';
import { ssoParameters as parameters } from '../config/authorization-parameters.js';
import { softTimeoutOf } from '../config/index.js';
import type { SSOOptions, SSOSignInOptions, SSOSignInUrlOptions } from '../config/sso-options.js';
import { resolveSSOConfig, type SSOConfig } from '../config/resolve-sso-config.js';
import { AuthKitError } from '../errors.js';
import { createCookies } from '../http/cookies.js';
import { createErrorResponder } from '../http/error-response.js';
import { isRequest } from '../http/handler-to-middleware.js';
import { ownProperties, withoutUndefined } from '../plain-objects.js';
import { createAuthorizationRequest, type StartSignIn } from '../routes/authorization-request.js';
import { createCallback } from '../routes/callback.js';
import { createExchangeOnce } from '../routes/exchange-code-once.js';
import { createLogin } from '../routes/login.js';
import { createEndSession, createLogout, createSignOut, type SignOutOptions } from '../routes/logout.js';
import { createRedirectLoopGuard } from '../routes/redirect-loop.js';
import { earlierSessionsOf } from '../routes/sign-in-transaction.js';
import { type AuthRouter, createAuthRouter } from '../routes/router.js';
import { createRevocation } from '../session/revocation.js';
import { createSignedStore } from '../stores/signed-store.js';
import { createWorkOSClient } from '../workos/api-client.js';
import { type HasAppClient, withAppClient } from '../workos/load-sdk.js';
import { createSSOSessions } from './sessions.js';
import {
  createIdPInitiated,
  createProfileExchange,
  type ExchangeProfile,
  type SSOSignInStart,
} from './profile-exchange.js';

/**
 * The router that `sso()` returns. It handles the routes for single sign-on with the WorkOS SSO API, and sets
 * `req.auth` and `req.user` on all other requests.
 */
export interface SSO extends AuthRouter, HasAppClient {
  /**
   * Ends the request's session and sends the browser to `returnTo`. Only this application has a session, because WorkOS
   * creates none for an SSO sign-in. This method performs the same checks as the logout route, so another site cannot
   * sign a user out.
   */
  signOut: (req: IncomingMessage, res: ServerResponse, options?: SignOutOptions) => Promise<void>;
  /**
   * Authenticates a request that has no response, such as a WebSocket upgrade. The result is `SignedOut` if the
   * `Origin` header names an origin that is neither the application's own nor trusted.
   */
  authenticate: ReturnType<typeof createAuthenticate>;
  /**
   * Returns the URL of a sign-in at WorkOS, which redirects the browser to the identity provider. This method also sets
   * a transaction cookie on `res`, so the URL works only in the browser that receives the response.
   *
   * @throws {AuthKitError} `invalid_request` or `invalid_provider` if an option is invalid.
   */
  getSignInUrl: (req: IncomingMessage, res: ServerResponse, options?: SSOSignInUrlOptions) => Promise<string>;
}

/**
 * Creates a router that adds standalone single sign-on to an app. It handles the routes `GET /sso/login`, `GET
 * /sso/callback` and `POST /sso/logout`, and authenticates all other requests by their session. It can be used alone or
 * together with `authkit()`: a guard that accepts `session` accepts the sessions of both.
 *
 * @throws {AuthKitError} `config_invalid`. The message lists every problem in the options and the environment, and how
 * to fix it.
 * @see https://workos.com/docs/sso
 * @example
 * const app = express();
 * app.use(sso({ redirectUri: 'https://app.example.com/sso/callback' }));
 * app.get('/account', requireAuth(), (req, res) => { res.send(`Hello ${signedIn(req).user.email}`); });
 */
export function sso(options: SSOOptions = {}): SSO {
  if (isRequest(options))
    throw new AuthKitError('config_invalid', 'app.use(sso) passes the function itself: write app.use(sso())');
  const config = resolveSSOConfig(options, process.env);
  const { now, sessionLifetime } = config;
  const softTimeout = softTimeoutOf(config);
  const workos = createWorkOSClient(config);

  // Sessions: each session is in a cookie. The store contains only records of ended sessions.
  const maxAge = Math.min(config.cookie.maxAge, sessionLifetime);
  const cookies = createCookies({ ...config.cookie, maxAge }, config.signInLifetime);
  const store = sharedStoreOf(config, softTimeout);
  const revocation = createRevocation({
    clientId: config.clientId,
    store,
    now,
    endedFor: sessionLifetime * 1000,
  });
  const { authenticator, endSessions, earlierSessionOf } = createSSOSessions(config, revocation);

  // Authentication of requests.
  const authenticateRequest = createAuthenticateRequest({
    config,
    cookies,
    authenticator,
    respondWithError: createErrorResponder(config),
    bearerVerifiers: NO_TOKENS,
    softTimeout,
    workosNow: config.now,
  });

  // Sign-in: the redirect to the identity provider, and the callback with a code.
  const redirectLoop = createRedirectLoopGuard({ config, cookies, authenticateRequest });
  const authorizationUrl = workos.ssoAuthorizationUrl;
  const startSignIn = withSelector(
    createAuthorizationRequest({
      config,
      cookies,
      earlierSessionOf,
      redirectLoop,
      parameters,
      authorizationUrl,
    }),
    config,
  );
  const login = { config, parameters, signIn: startSignIn };
  const exchangeProfile = endingEarlierSessions(createProfileExchange(config, workos), (req, transaction) => {
    const values = cookies.sessionValues(req);
    const others = earlierSessionsOf(transaction, values.map(earlierSessionOf));
    return Promise.all([
      endSessions(values),
      ...others.map(({ sessionId }) => sessionId === undefined || revocation.endSession(sessionId)),
    ]);
  });
  const exchangeOnce = createExchangeOnce(config, exchangeProfile);
  const callback = createCallback({
    config,
    cookies,
    authenticateRequest,
    exchangeOnce,
    respondWithError: createErrorResponder(config, 'callback'),
    redirectLoop,
    unsolicited: createIdPInitiated({ config, workos, startSignIn, exchangeProfile }),
  });

  // Sign-out: in this application only.
  const logoutUrl = () => undefined;
  const endSession = createEndSession({ config, cookies, endSessions, authenticateRequest, logoutUrl });

  const router = createAuthRouter(config, authenticateRequest, {
    login: createLogin(login),
    provider: createLogin(login, { hasProvider: true }),
    callback,
    logout: createLogout({ config, cookies, endSession }),
  });
  const methods = {
    signOut: createSignOut({ config, cookies, endSession }),
    authenticate: createAuthenticate({ config, cookies, authenticator }),
    getSignInUrl: createGetSignInUrl(startSignIn),
  };
  return withAppClient(Object.assign(router, methods), workos.appClient);
}

const NOT_ACCEPTED = { kind: 'refused', reason: 'sso() accepts no bearer tokens' } as const;

/** Verifiers that refuse every bearer token, because only `authkit()` accepts access tokens and API keys. */
const NO_TOKENS: BearerVerifiers = {
  forSessions: () => NOT_ACCEPTED,
  forSignOut: () => NOT_ACCEPTED,
  forResource: () => () => NOT_ACCEPTED,
};

function sharedStoreOf({ store, clientId, cookiePasswords: passwords }: SSOConfig, timeout: number) {
  return store && createSignedStore({ store, clientId, passwords, timeout, warnsIfLost: true });
}

/**
 * Wraps `startSignIn` with a check: it throws `invalid_request` if neither the options nor the configuration name an
 * organization, connection, provider or domain. All of these except the domain are stored in the transaction, because
 * the profile is checked against them later.
 */
function withSelector(
  startSignIn: StartSignIn<SSOSignInOptions>,
  { signIn }: SSOConfig,
): StartSignIn<SSOSignInOptions> {
  return async (req, res, given, flow) => {
    const options = parameters.canonical(given);
    const { organization, connection, provider, domain } = ownProperties({
      ...options,
      ...(await signIn(req)),
    });
    if ([organization, connection, provider, domain].every((value) => value === undefined))
      throw new AuthKitError('invalid_request', 'one of organization, connection and provider is required');
    return startSignIn(req, res, options, {
      ...flow,
      identityProvider: { organization, connection, provider },
    });
  };
}

/** Wraps an exchange so that it also ends this browser's earlier sessions, as a sign-out would (OWASP ASVS 7.2.4). */
function endingEarlierSessions(
  exchangeProfile: ExchangeProfile,
  endSessionsOf: (req: IncomingMessage, transaction: SSOSignInStart) => Promise<unknown>,
): ExchangeProfile {
  return async (request) => {
    const done = await exchangeProfile(request);
    if (done !== 'answered') await endSessionsOf(request.req, request.transaction);
    return done;
  };
}

function createGetSignInUrl(startSignIn: StartSignIn<SSOSignInOptions>): SSO['getSignInUrl'] {
  return async (req, res, given = {}) => {
    const { returnTo, state, redirectUri, ...options } = ownProperties(given);
    return startSignIn(req, res, options, {
      from: 'app',
      ...withoutUndefined({ returnTo, state, redirectUri }),
    });
  };
}
