import { createBearerVerifiers } from '../auth/bearer-token.js';
import { createAuthenticateRequest } from '../auth/request-auth.js';
import { authKitParameters as parameters } from '../config/authorization-parameters.js';
import { type AuthKitConfig, resolveConfig, softTimeoutOf } from '../config/index.js';
import type { AuthKitOptions } from '../config/options.js';
import { after } from '../deadline.js';
import { AuthKitError } from '../errors.js';
import { createCookies } from '../http/cookies.js';
import { createErrorResponder } from '../http/error-response.js';
import { isRequest, type Middleware } from '../http/middleware.js';
import { createAuthorizationRequest, createSignInRetry } from '../routes/authorization-request.js';
import { createCallback } from '../routes/callback.js';
import { createCodeExchange, oncePerState } from '../routes/code-exchange.js';
import { createLinkAccount } from '../routes/link-account.js';
import { createLogin } from '../routes/login.js';
import { createEndSession, createLogout } from '../routes/logout.js';
import { createRedirectLoopGuard } from '../routes/redirect-loop.js';
import { checkedAttributes, createSaveAttributes, parseAttributes } from '../routes/sign-up.js';
import { createSwitchRoute } from '../routes/switch-organization.js';
import { clientUrl, createToken } from '../routes/token.js';
import { createWebhooks, type WebhookOptions } from '../routes/webhooks.js';
import { createAuthenticator } from '../session/authenticate.js';
import { createSessions } from '../session/lifecycle.js';
import { withRefreshLock } from '../session/refresh-lock.js';
import { createRefresh } from '../session/refresh.js';
import { createRevocation } from '../session/revocation.js';
import { openSession, sealSession, type Session, sessionIdentityIn } from '../session/sealed-session.js';
import { createSessionStorage } from '../session/storage.js';
import { createRefreshHooks, createTokenRefresh } from '../session/token-refresh.js';
import { createSignedStore } from '../stores/signed-store.js';
import { createVerifier, type TokenClaims } from '../workos/access-token.js';
import { createWorkOSClient } from '../workos/client.js';
import { createJWKS } from '../workos/jwks.js';
import { createAuthOf, createMethods, type Methods, switchPartsOf } from './instance-methods.js';
import { type AuthRouter, createAuthRouter } from '../routes/router.js';
import { createManagement, type Management } from './session-management.js';

/** A router with sign-in, callback and sign-out, which also gives every other request `req.auth` and `req.user`. */
export interface AuthKit extends AuthRouter, Methods, Management {
  /**
   * Receives WorkOS's webhooks, before or after any body parser: what WorkOS ends or changes takes effect here, and in
   * every process where there is a store.
   *
   * @throws {AuthKitError} `config_invalid` where the route is defined, if there is no secret.
   * @example
   * app.post('/webhooks/workos', auth.webhooks({ secret: webhookSecret }));
   */
  webhooks: (options: WebhookOptions) => Middleware;
}

/**
 * Mounts WorkOS AuthKit: `GET /login`, `GET /callback`, `POST /logout`, and the session on every other request.
 *
 * @throws {AuthKitError} `config_invalid`, with every problem of options and environment and its fix.
 * @example
 * const app = express();
 * app.use(authkit());
 * app.get('/account', requireAuth(), (req, res) => { res.send(`Hello ${signedIn(req).user.email}`); });
 */
export function authkit(options: AuthKitOptions = {}): AuthKit {
  if (isRequest(options)) throw withoutParentheses();
  const config = resolveConfig(options, process.env);
  const parts = createInstance(config);
  const { cookies, authenticator, sessions, workos, verify, tokens, softTimeout } = parts;
  const answer = createErrorResponder(config);
  const authenticateRequest = createAuthenticateRequest({
    config,
    cookies,
    authenticator,
    respondWithError: answer,
    bearerVerifiers: tokens,
    softTimeout: softTimeout,
  });
  const { authorizationUrl } = workos;
  const redirectLoop = createRedirectLoopGuard({ config, cookies, authenticateRequest });
  const signIn = createAuthorizationRequest({ config, cookies, redirectLoop, parameters, authorizationUrl });
  const save = createSaveAttributes(config, workos);
  const exchange = createCodeExchange({ config, workos, verify, save });
  const complete = oncePerState(config.now, async (reply) => {
    const done = await exchange(reply);
    if (done === 'answered') return done;
    const sealed = await sessions.create(done.session, cookies.sessionValues(reply.req));
    return { sealed, returnTo: done.returnTo };
  });
  const ending = { config, cookies, sessions, authenticateRequest, workos, answer };
  const end = createEndSession(ending);
  const attributes = (params: URLSearchParams) =>
    checkedAttributes(parseAttributes(params, config.login.params), config.signUp);
  const login = { config, parameters, signIn, answer, attributes };
  const methodParts = { config, cookies, authenticator, authenticateRequest, signIn, end };
  const handlers = {
    login: createLogin(login),
    provider: createLogin(login, { hasProvider: true }),
    signUp: createLogin(login, { fixed: { screenHint: 'sign-up' } }),
    callback: createCallback({
      ...{ config, cookies, authenticateRequest, exchangeOnce: complete, answer, redirectLoop: redirectLoop },
      issueClientCode: (reply, transaction) => clientUrl(reply, transaction, config),
      retrySignIn: createSignInRetry(signIn),
    }),
    logout: createLogout(ending, end),
    token: createToken({ config, authenticator, exchange, answer }),
    connect: createLinkAccount({ config, authenticateRequest, workos, answer }),
    switchOrganization: createSwitchRoute(switchPartsOf(methodParts), answer),
  };
  const methods = createMethods(methodParts);
  const { now, timeout } = config;
  const authOf = createAuthOf(config, methods);
  const management = createManagement({ ...parts, now, authOf });
  const webhooks = createWebhooks({ ...parts, answer, now, timeout });
  return Object.assign(createAuthRouter(config, authenticateRequest, handlers), methods, management, {
    webhooks,
  });
}

function withoutParentheses(): AuthKitError {
  return new AuthKitError(
    'config_invalid',
    'app.use(authkit) passes the function itself: write app.use(authkit())',
  );
}

// `app.use(authkit)` would only be noticed by the first visitor. Express and Connect look at `handle` when they mount
// something, to tell an application from a function, and so the mistake is found at start-up.
Object.defineProperty(authkit, 'handle', {
  get: () => {
    throw withoutParentheses();
  },
});

/** What lives as long as an instance. */
export function createInstance(config: AuthKitConfig) {
  const { clientId, issuers, cookiePasswords: passwords, now, timeout } = config;
  const softTimeout = softTimeoutOf(config);
  const store = sharedStoreOf(config, softTimeout);
  const workos = createWorkOSClient(config);
  const keys = createJWKS({ fetchKeys: workos.fetchKeys, now, softTimeout: softTimeout });
  const verify = createVerifier({ issuers, clientId, now, keys });
  const open = (sealed: string) => openSession(sealed, passwords, now());
  const openKept = (sealed: string) => openSession(sealed, passwords, now(), Infinity);
  const seal = (session: Session) => sealSession(session, passwords[0]);
  const alone = createTokenRefresh({ refresh: workos.refresh, verify, seal, ...createRefreshHooks(config) });
  // Less than the deadline of a request, so that who waited in vain still has time to go on alone.
  const cluster = store && { store, open: openKept, now, waitForLock: timeout * 1.5 };
  const renew = cluster ? withRefreshLock(alone, cluster) : alone;
  const refresh = createRefresh({ clientId, renew, now });
  const revocation = createRevocation({ store, now });
  const { mode } = config.storage;
  const lifetime = config.cookie.maxAge * 1000;
  const storage = createSessionStorage({ mode, store, passwords, open, openKept, seal, lifetime });
  const authenticator = createAuthenticator({
    storage,
    verify,
    refresh,
    revocation,
    memoryBytes: config.memoryBytes,
    now,
    softTimeout: softTimeout,
  });
  const sessions = createSessions({ storage, revocation });
  const isLive = (claims: TokenClaims) =>
    after(revocation.status(sessionIdentityIn(claims)), (status) => status !== 'revoked');
  const tokens = createBearerVerifiers({ verify, workos, isLive, now, softTimeout: softTimeout });
  const cookies = createCookies(config.cookie);
  return { cookies, authenticator, sessions, revocation, store, workos, verify, tokens, softTimeout };
}

function sharedStoreOf({ storage, clientId, cookiePasswords: passwords }: AuthKitConfig, deadline: number) {
  const { store } = storage;
  return store && createSignedStore({ store, clientId, passwords, deadline });
}
