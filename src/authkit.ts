import { createAnswer } from './answer.js';
import { authKitParameters as parameters } from './authorization/index.js';
import { createCallback } from './callback.js';
import { clientUrl } from './client-code.js';
import { resolveConfig } from './config/index.js';
import { createConnect } from './connect.js';
import { mountDoor, type Door } from './door.js';
import { AuthKitError } from './errors.js';
import { createExchange } from './exchange.js';
import { isRequest, type Middleware } from './http.js';
import { createLogin } from './login.js';
import { createEndSession, createLogout } from './logout.js';
import { createLostSessions } from './lost-sessions.js';
import { createManagement, type Management } from './management.js';
import { createAuthOf, createMethods, switchPartsOf, type Methods } from './methods.js';
import type { AuthKitOptions } from './options.js';
import { createParts } from './parts.js';
import { createSaveAttributes } from './save-attributes.js';
import { createSignIn } from './sign-in.js';
import { createSignInCompletion } from './sign-in-completion.js';
import { createSwitchRoute } from './switch-organization.js';
import { checkedAttributes, parseAttributes } from './sign-up.js';
import { createToken } from './token.js';
import { createRestart } from './unfinished.js';
import { createVisits } from './visits.js';
import { createWebhooks, type WebhookOptions } from './webhooks.js';

/** A router with sign-in, callback and sign-out, which also gives every other request `req.auth` and `req.user`. */
export interface AuthKit extends Door, Methods, Management {
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
  const parts = createParts(config);
  const { cookies, authenticator, sessions, door, verify, tokens, patience } = parts;
  const answer = createAnswer(config);
  const openVisit = createVisits({ config, cookies, authenticator, answer, tokens, patience });
  const { authorizationUrl } = door;
  const losses = createLostSessions({ config, cookies, openVisit });
  const signIn = createSignIn({ config, cookies, losses, parameters, authorizationUrl });
  const save = createSaveAttributes(config, door);
  const exchange = createExchange({ config, door, verify, save });
  const complete = createSignInCompletion(config.now, async (reply) => {
    const done = await exchange(reply);
    if (done === 'answered') return done;
    const sealed = await sessions.start(done.session, cookies.sessionValues(reply.req));
    return { sealed, returnTo: done.returnTo };
  });
  const ending = { config, cookies, sessions, openVisit, door, answer };
  const end = createEndSession(ending);
  const attributes = (params: URLSearchParams) =>
    checkedAttributes(parseAttributes(params, config.login.params), config.signUp);
  const login = { config, parameters, signIn, answer, attributes };
  const methodParts = { config, cookies, authenticator, openVisit, signIn, end };
  const handlers = {
    login: createLogin(login),
    provider: createLogin(login, { hasProvider: true }),
    signUp: createLogin(login, { fixed: { screenHint: 'sign-up' } }),
    callback: createCallback({
      ...{ config, cookies, openVisit, complete, answer, losses },
      handOver: (reply, transaction) => clientUrl(reply, transaction, config),
      restart: createRestart(signIn),
    }),
    logout: createLogout(ending, end),
    token: createToken({ config, authenticator, exchange, answer }),
    connect: createConnect({ config, openVisit, door, answer }),
    switchOrganization: createSwitchRoute(switchPartsOf(methodParts), answer),
  };
  const methods = createMethods(methodParts);
  const { now, timeout } = config;
  const authOf = createAuthOf(config, methods);
  const management = createManagement({ ...parts, now, authOf });
  const webhooks = createWebhooks({ ...parts, answer, now, timeout });
  return Object.assign(mountDoor(config, openVisit, handlers), methods, management, { webhooks });
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
