import { createBearerVerifiers } from '../auth/bearer-token.js';
import { createAuthenticateRequest } from '../auth/request-auth.js';
import { authKitParameters as parameters } from '../config/authorization-parameters.js';
import { resolveConfig, requestTimeoutOf, softTimeoutOf } from '../config/index.js';
import type { AuthKitOptions } from '../config/authkit-options.js';
import { AuthKitError } from '../errors.js';
import { createCookies } from '../http/cookies.js';
import { createErrorResponder } from '../http/error-response.js';
import { isRequest, type Middleware } from '../http/handler-to-middleware.js';
import { createCompleteSignIn, createVerifyInTime } from '../routes/complete-sign-in.js';
import { createAuthorizationRequest, createSignInRetry } from '../routes/authorization-request.js';
import { createCallback } from '../routes/callback.js';
import { createCodeExchange } from '../routes/code-exchange.js';
import { createExchangeOnce } from '../routes/exchange-code-once.js';
import { createLinkAccount } from '../routes/link-account.js';
import { createLogin } from '../routes/login.js';
import {
  createEndBearerSession,
  createEndSession,
  createEndSessions,
  createLogout,
} from '../routes/logout.js';
import { createRedirectLoopGuard } from '../routes/redirect-loop.js';
import { createRefreshRequestSession } from '../routes/refresh-session.js';
import { createSaveSession } from '../routes/save-session.js';
import { checkAttributes, createSaveAttributes, parseAttributes } from '../routes/sign-up.js';
import { earlierSessionsOf } from '../routes/sign-in-transaction.js';
import { createSwitchRoute } from '../routes/switch-organization.js';
import { clientUrl, createToken } from '../routes/token.js';
import { createWebhooks, type WebhookOptions } from '../routes/webhooks.js';
import { createAuthenticator } from '../session/authenticate-session.js';
import { createSessions } from '../session/create-and-end.js';
import { withRefreshLock } from '../session/refresh-lock.js';
import { createRefresh } from '../session/refresh.js';
import { createRevocation } from '../session/revocation.js';
import {
  openSession,
  problemOfSealed,
  sealSession,
  type Session,
  sessionIdentityIn,
} from '../session/sealed-session.js';
import { createSessionStorage } from '../session/cookie-or-store.js';
import { createRefreshHooks, createTokenRefresh } from '../session/refresh-at-workos.js';
import { createSignedStore } from '../stores/signed-store.js';
import { createMacVerifier, createVerifier, type TokenClaims } from '../workos/access-token.js';
import { createClaimNonce } from '../workos/claim-token.js';
import { createWorkOSClient } from '../workos/api-client.js';
import { createWorkOSClock } from '../workos/clock-difference.js';
import { type HasAppClient, withAppClient } from '../workos/load-sdk.js';
import { createJWKS } from '../workos/jwks.js';
import { preloadKeys } from '../workos/preload-keys.js';
import { createTokenMacs } from '../workos/verified-token-mac.js';
import { createAuthOf, createGetSignInUrl, createMethods, type Methods } from './instance-methods.js';
import { type AuthRouter, createAuthRouter } from '../routes/router.js';
import { createReady, type Readiness } from './readiness.js';
import { createManagement, type Management } from './list-and-revoke-sessions.js';

/**
 * The router that `authkit()` returns. It handles the routes for sign-in, callback and sign-out, and sets `req.auth`
 * and `req.user` on all other requests.
 */
export interface AuthKit extends AuthRouter, Methods, Management, HasAppClient {
  /**
   * Creates a middleware that receives webhooks from WorkOS. It can be mounted before or after a body parser. When
   * WorkOS reports that a session has ended or that a user has changed, the change takes effect in this process. With a
   * store, it takes effect in all processes.
   *
   * @throws {AuthKitError} `config_invalid` if there is no webhook secret, or if a secret is too short.
   * @example
   * app.post('/webhooks/workos', auth.webhooks());
   */
  webhooks: (options?: WebhookOptions) => Middleware;
  /**
   * Checks whether this process can serve signed-in users: the signing keys must be loaded, the store must return data
   * that was written to it, and the server's clock must agree with the clock of WorkOS. The promise resolves within a
   * second and never rejects. The result also reports a WorkOS outage, but such an outage does not make the process
   * unready.
   *
   * @example
   * app.get('/readyz', async (req, res) => {
   *   const readiness = await auth.ready();
   *   res.status(readiness.ready ? 200 : 503).json(readiness);
   * });
   */
  ready: () => Promise<Readiness>;
}

/**
 * Creates a router that adds WorkOS AuthKit to an app. It handles the routes `GET /login`, `GET /callback` and `POST
 * /logout`, and authenticates all other requests by their session.
 *
 * @throws {AuthKitError} `config_invalid`. The message lists every problem in the options and the environment, and how
 * to fix it.
 * @example
 * const app = express();
 * app.use(authkit());
 * app.get('/account', requireAuth(), (req, res) => { res.send(`Hello ${signedIn(req).user.email}`); });
 */
export function authkit(options: AuthKitOptions = {}): AuthKit {
  if (isRequest(options)) throw withoutParentheses();
  const config = resolveConfig(options, process.env);
  const { clientId, issuers, cookiePasswords: passwords, now, timeout, storage: storageConfig } = config;
  const softTimeout = softTimeoutOf(config);

  // WorkOS: the API client, and the keys that verify access tokens.
  const workos = createWorkOSClient(config);
  const clock = createWorkOSClock(now);
  const fetchKeys = async () => {
    const response = await workos.fetchKeysResponse();
    clock.observe(response.headers);
    return response.json();
  };
  const keys = createJWKS({ clientId, fetchKeys, now, softTimeout });
  preloadKeys(keys.load);
  const macs = createTokenMacs(config);
  const accepts = { kind: 'session', clientId, audience: config.audience } as const;
  const rules = { issuers, accepts, now, keys, macs };
  const verify = createVerifier(rules);

  // Sessions, which are encrypted, kept in a cookie or in the store, refreshed, and revoked. With a store, one process
  // at a time refreshes a session, and a revocation takes effect in all processes.
  const store =
    storageConfig.store &&
    createSignedStore({
      store: storageConfig.store,
      clientId,
      passwords,
      timeout: softTimeout,
      warnsIfLost: storageConfig.mode === 'cookie',
    });
  const seal = (session: Session) => sealSession(session, passwords[0]);
  const open = (sealed: string) => openSession(sealed, passwords, now());
  const openStored = (sealed: string) => openSession(sealed, passwords, now(), Infinity);
  const refreshLocally = createTokenRefresh({
    refresh: workos.refresh,
    verify,
    seal,
    ...createRefreshHooks(config),
  });
  // How long a request waits for the refresh lock, in milliseconds. A request that does not get the lock within this
  // time still has enough time to refresh the session without it.
  const waitForLock = timeout * 1.25;
  const refreshTokens = store
    ? withRefreshLock(refreshLocally, { store, open: openStored, now, waitForLock })
    : refreshLocally;
  const refresh = createRefresh({ clientId, refreshTokens, now });
  const revocation = createRevocation({ clientId, store, now });
  const storageOptions = {
    mode: storageConfig.mode,
    store,
    passwords,
    open,
    openStored,
    seal,
    problemOf: (sealed: string) => problemOfSealed(sealed, passwords, now()),
    lifetime: config.cookie.maxAge * 1000,
  };
  const storage = createSessionStorage(storageOptions);
  const verifyByMac = createMacVerifier(rules);
  const { memoryBytes } = config;
  const authenticatorOptions = { clientId, verify, verifyByMac, refresh, revocation, now, softTimeout };
  const authenticator = createAuthenticator({ ...authenticatorOptions, storage, memoryBytes });
  // The session of a native or single-page client is in the client's refresh token, and never in the store.
  const clientAuthenticator = createAuthenticator({
    ...authenticatorOptions,
    storage: createSessionStorage({ ...storageOptions, store: undefined }),
    memoryBytes: 0,
  });
  const sessions = createSessions({ storage, revocation, refresh });
  const cookies = createCookies(config.cookie, config.signInLifetime);

  // Access tokens and API keys.
  const statusOf = (claims: TokenClaims) => {
    const identity = sessionIdentityIn(claims);
    return revocation.statusNow(identity) ?? revocation.status(identity);
  };
  const bearerVerifiers = createBearerVerifiers({
    clientId,
    verify,
    workos,
    statusOf,
    changedAt: revocation.changedAt,
    now,
    softTimeout,
  });

  // Authentication of requests.
  const respondWithError = createErrorResponder(config);
  const authenticateRequest = createAuthenticateRequest({
    config,
    cookies,
    authenticator,
    respondWithError,
    bearerVerifiers,
    softTimeout,
    workosNow: clock.now,
  });

  // Sign-in: the redirect to AuthKit, and the callback with a code.
  const redirectLoop = createRedirectLoopGuard({ config, cookies, authenticateRequest });
  const startSignIn = createAuthorizationRequest({
    config,
    cookies,
    earlierSessionOf: storage.earlierSessionOf,
    redirectLoop,
    parameters,
    authorizationUrl: workos.authorizationUrl,
    claimNonce: createClaimNonce(config),
  });
  const attributes = (params: URLSearchParams) =>
    checkAttributes(parseAttributes(params, config.login.params), config.signUp);
  const login = { config, parameters, signIn: startSignIn, attributes };
  const saveAttributes = createSaveAttributes(config, workos);
  const verifyInTime = createVerifyInTime(verify, config);
  const completeSignIn = createCompleteSignIn({
    config,
    saveAttributes,
    verifyInTime,
    revocation,
    workosNow: clock.now,
  });
  const exchangeCode = createCodeExchange({ workos, verifyInTime, completeSignIn });
  const exchangeOnce = createExchangeOnce(config, async (exchangeRequest) => {
    const signedIn = await exchangeCode(exchangeRequest);
    if (signedIn === 'answered') return signedIn;
    const { req, deadline, transaction } = exchangeRequest;
    const { session, earlierEnd } = signedIn;
    const values = cookies.sessionValues(req);
    const others = earlierSessionsOf(transaction, values.map(storage.earlierSessionOf));
    const sealed = await sessions.create(session, values, deadline, earlierEnd, others);
    return { sealed, returnTo: signedIn.returnTo };
  });
  const callback = createCallback({
    config,
    cookies,
    authenticateRequest,
    exchangeOnce,
    respondWithError: createErrorResponder(config, 'callback'),
    redirectLoop,
    clientUrl: (codeOrError, transaction) => clientUrl(codeOrError, transaction, config),
    retrySignIn: createSignInRetry(startSignIn),
  });
  const saveSession = createSaveSession({
    config,
    cookies,
    verify,
    revocation,
    completeSignIn,
    sessions,
    authenticator,
    authenticateRequest,
  });

  // Sign-out.
  const endSession = createEndSession({
    config,
    cookies,
    endSessions: createEndSessions(sessions),
    authenticateRequest,
    logoutUrl: workos.logoutUrl,
  });

  // Methods that the application's handlers call.
  const refreshRequestSession = createRefreshRequestSession({ authenticator, authenticateRequest });
  const methods = createMethods({
    config,
    cookies,
    authenticator,
    authenticateRequest,
    startSignIn,
    endSession,
    refreshRequestSession,
    saveSession,
  });
  const authOf = createAuthOf(config, methods);
  const management = createManagement({
    workos,
    revocation,
    now: clock.now,
    requestTimeout: requestTimeoutOf(config),
    authOf,
  });
  const webhooks = createWebhooks({
    // The age of a webhook is measured with the clock of WorkOS, which also set its timestamp.
    config: { ...config, now: clock.now },
    revocation,
    store,
    respondWithError: createErrorResponder(config, 'webhooks'),
  });

  // Routes.
  const endBearerSession = createEndBearerSession({
    config,
    bearerVerifiers,
    revokeSession: (sessionId) => management.revokeSession(sessionId),
    logoutUrl: workos.logoutUrl,
  });
  const getSignInUrl = createGetSignInUrl({ config, startSignIn });
  const router = createAuthRouter(config, authenticateRequest, {
    login: createLogin(login),
    provider: createLogin(login, { hasProvider: true }),
    signUp: createLogin(login, { fixed: { screenHint: 'sign-up' } }),
    callback,
    logout: createLogout({ config, cookies, endSession, endBearerSession }),
    token: createToken({ config, authenticator: clientAuthenticator, exchangeCode, revocation }),
    connect: createLinkAccount({ config, authenticateRequest, workos }),
    switchOrganization: createSwitchRoute(
      { config, authenticateRequest, refreshRequestSession, getSignInUrl },
      createErrorResponder(config, 'switchOrganization'),
    ),
  });
  const ready = createReady({ keys, store, clock, circuit: workos.circuit, softTimeout });
  return withAppClient(Object.assign(router, methods, management, { webhooks, ready }), workos.appClient);
}

function withoutParentheses(): AuthKitError {
  return new AuthKitError(
    'config_invalid',
    'app.use(authkit) passes the function itself: write app.use(authkit())',
  );
}

// Makes `app.use(authkit)` without parentheses fail at start-up instead of on the first request. Express and Connect
// read the `handle` property of every function that they mount, to find out whether the function is an app.
Object.defineProperty(authkit, 'handle', {
  get: () => {
    throw withoutParentheses();
  },
});
