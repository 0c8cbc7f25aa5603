import { IncomingMessage } from 'node:http';
import { createVerifier } from './access-token.js';
import { createAnswer } from './answer.js';
import type { SignedIn } from './auth.js';
import { createAuthenticator } from './authenticate.js';
import { authKitParameters } from './authorization/index.js';
import { createCallback } from './callback.js';
import { resolveConfig, type AuthKitConfig } from './config/index.js';
import { createCookies } from './cookies.js';
import { mountDoor, type Door } from './door.js';
import { AuthKitError } from './errors.js';
import { createExchange } from './exchange.js';
import { createGuard, type Check, type GuardRule } from './guards.js';
import type { Middleware } from './http.js';
import { createKeys } from './keys.js';
import { createLogin } from './login.js';
import { createEndSession, createLogout } from './logout.js';
import { createMethods, type Methods } from './methods.js';
import type { AuthKitOptions } from './options.js';
import { createRefresh } from './refresh.js';
import { createRefreshNews } from './refresh-news.js';
import { createSaveAttributes } from './save-attributes.js';
import { openSession, sealSession } from './session.js';
import { createSignIn } from './sign-in.js';
import { createSignInCompletion } from './sign-in-completion.js';
import { checkedAttributes, parseAttributes } from './sign-up.js';
import { createVisits, firstSignedIn, patienceOf, visitsOf } from './visit.js';
import { createWorkOSDoor } from './workos.js';

/** A router with sign-in, callback and sign-out, which also gives every other request `req.auth` and `req.user`. */
export interface AuthKit extends Door, Methods {}

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
  if (options instanceof IncomingMessage) throw withoutParentheses();
  const config = resolveConfig(options, process.env);
  const { cookies, authenticator, door, verify } = createParts(config);
  const answer = createAnswer(config);
  const openVisit = createVisits({ config, cookies, authenticator, answer, patience: patienceOf(config) });
  const { authorizationUrl } = door;
  const parameters = authKitParameters;
  const signIn = createSignIn({ config, cookies, parameters, authorizationUrl });
  const save = createSaveAttributes(config, door);
  const exchange = createExchange({ config, door, verify, save });
  const complete = createSignInCompletion(config.now, async (reply) => {
    const done = await exchange(reply);
    if (done === 'answered') return done;
    return { sealed: await sealSession(done.session, config.cookiePasswords[0]), returnTo: done.returnTo };
  });
  const ending = { config, cookies, authenticator, openVisit, door, answer };
  const end = createEndSession(ending);
  const attributes = (params: URLSearchParams) =>
    checkedAttributes(parseAttributes(params, config.login.params), config.signUp);
  const login = { config, parameters, signIn, answer, attributes };
  const handlers = {
    login: createLogin(login),
    provider: createLogin(login, { hasProvider: true }),
    signUp: createLogin(login, { fixed: { screenHint: 'sign-up' } }),
    callback: createCallback({ config, cookies, openVisit, complete, answer }),
    logout: createLogout(ending, end),
  };
  const methods = createMethods({ config, cookies, authenticator, openVisit, signIn, end });
  return Object.assign(mountDoor(config, openVisit, handlers), methods);
}

/**
 * Lets a request pass only if somebody is signed in and the rule holds; see the table of answers in the README.
 * Takes the first instance, in mount order, at which the request is signed in, else the first one's sign-in.
 * Guards without parentheses too.
 *
 * @throws {TypeError} where the route is defined, if the rule has an unknown key or could not mean anything.
 * @example
 * app.get('/billing', requireAuth({ permission: 'billing:read' }), billing);
 */
export function requireAuth(rule?: GuardRule | Check): Middleware;
export function requireAuth(...request: Parameters<Middleware>): undefined;
export function requireAuth(rule: unknown = {}, ...rest: unknown[]): Middleware | undefined {
  if (rest.length < 2) return createGuard(rule as GuardRule | Check, visitsOf);
  anybody(...([rule, ...rest] as Parameters<Middleware>));
  return undefined;
}

const anybody = createGuard({}, visitsOf);

/**
 * The session of a guarded request, with its type: Express cannot narrow `req` from one handler to the next.
 *
 * @throws {AuthKitError} `unauthenticated` where no guard ran and nobody is signed in.
 */
export function signedIn(req: IncomingMessage): SignedIn {
  const auth = firstSignedIn(visitsOf(req))?.auth();
  if (auth && auth.type !== null) return auth;
  throw new AuthKitError(
    'unauthenticated',
    'nobody is signed in on this request: put requireAuth() before it',
  );
}

/** What lives as long as the instance. */
function createParts(config: AuthKitConfig) {
  const { clientId, issuers, cookiePasswords, now } = config;
  const door = createWorkOSDoor(config);
  const keys = createKeys({ fetchKeys: door.fetchKeys, now, patience: patienceOf(config) });
  const verify = createVerifier({ issuers, clientId, now, keys });
  const refresh = createRefresh({
    clientId,
    refresh: door.refresh,
    verify,
    seal: (session) => sealSession(session, cookiePasswords[0]),
    now,
    ...createRefreshNews(config),
  });
  const open = (sealed: string) => openSession(sealed, cookiePasswords, now());
  const authenticator = createAuthenticator({ open, verify, refresh, now, patience: patienceOf(config) });
  return { cookies: createCookies(config.cookie), authenticator, door, verify };
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
