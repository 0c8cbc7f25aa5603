import { createErrorResponder } from './answer.js';
import { authKitParameters as parameters } from './authorization/index.js';
import { createCallback } from './callback.js';
import { clientUrl } from './client-code.js';
import { resolveConfig } from './config/index.js';
import { createLinkAccount } from './connect.js';
import { createAuthRouter, type AuthRouter } from './door.js';
import { AuthKitError } from './errors.js';
import { createCodeExchange } from './exchange.js';
import { isRequest, type Middleware } from './http.js';
import { createLogin } from './login.js';
import { createEndSession, createLogout } from './logout.js';
import { createRedirectLoopGuard } from './lost-sessions.js';
import { createManagement, type Management } from './management.js';
import { createAuthOf, createMethods, switchPartsOf, type Methods } from './methods.js';
import type { AuthKitOptions } from './options.js';
import { createInstance } from './parts.js';
import { createSaveAttributes } from './save-attributes.js';
import { createAuthorizationRequest } from './sign-in.js';
import { oncePerState } from './sign-in-completion.js';
import { createSwitchRoute } from './switch-organization.js';
import { checkedAttributes, parseAttributes } from './sign-up.js';
import { createToken } from './token.js';
import { createSignInRetry } from './unfinished.js';
import { createAuthenticateRequest } from './visits.js';
import { createWebhooks, type WebhookOptions } from './webhooks.js';

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
  webhooks(options: WebhookOptions): Middleware;
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
