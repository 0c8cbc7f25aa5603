import { IncomingMessage, type ServerResponse } from 'node:http';
import Router from 'router';
import { createVerifier } from './access-token.js';
import { createAnswer } from './answer.js';
import type { SignedIn } from './auth.js';
import { createAuthenticator } from './authenticate.js';
import { createCallback } from './callback.js';
import { resolveConfig, type Config } from './config/index.js';
import { createCookies } from './cookies.js';
import { AuthKitError } from './errors.js';
import { createGuard, type Check, type GuardRule } from './guards.js';
import { middleware, type Handler, type Middleware, type Next } from './http.js';
import { createKeys } from './keys.js';
import { createLogin } from './login.js';
import { createEndSession, createLogout } from './logout.js';
import { createMethods, type Methods } from './methods.js';
import type { AuthKitOptions } from './options.js';
import { createRefresh } from './refresh.js';
import { createRefreshNews } from './refresh-news.js';
import { startTimer } from './response-head.js';
import { openSession, sealSession } from './session.js';
import { createSignIn } from './sign-in.js';
import { createSignInCompletion } from './sign-in-completion.js';
import { createVisits, firstSignedIn, visitsOf } from './visit.js';
import { createWorkOSDoor } from './workos.js';

/** A router with sign-in, callback and sign-out, which also gives every other request `req.auth` and `req.user`. */
export interface AuthKit extends Middleware, Methods {
  /** Gives a request `req.auth` and `req.user`. The router runs it too; twice does nothing. */
  readonly session: Middleware;
  /** The guard of this instance. */
  requireAuth(rule?: GuardRule | Check): Middleware;
  /** The callback, for an application that keeps its own route. */
  handleCallback(req: IncomingMessage, res: ServerResponse, next?: Next): void;
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
  if (options instanceof IncomingMessage) throw withoutParentheses();
  const config = resolveConfig(options, process.env);
  const { cookies, authenticator, door, verify } = createParts(config);
  const answer = createAnswer(config);
  const patience = patienceOf(config);
  const openVisit = createVisits({ config, cookies, authenticator, answer, patience });
  const signIn = createSignIn(config, cookies, door);
  const complete = createSignInCompletion(config, door, verify);
  const end = createEndSession({ config, cookies, authenticator, openVisit, door, answer });

  const session = middleware((req, res) => {
    const visit = openVisit(req, res);
    return visit instanceof Promise ? visit.then(() => 'next') : 'next';
  });
  const timed = config.serverTiming ? withTimer : (_name: string, handler: Handler) => handler;
  const callback = middleware(
    timed('callback', createCallback({ config, cookies, openVisit, complete, answer })),
  );
  const router = Router();
  const at = (route: keyof Config['routes']) =>
    [...new Set(Object.values(config.routes[route] ?? {}))] as string[];
  const logout = middleware(
    timed('logout', createLogout({ config, cookies, authenticator, openVisit, door, answer }, end)),
  );
  router.get(at('login'), middleware(timed('login', createLogin(config, signIn, answer))));
  router.get(at('callback'), callback);
  router.get(at('logout'), logout);
  router.post(at('logout'), logout);
  router.use(session);

  const own = (req: IncomingMessage) => visitsOf(req).filter((visit) => visit.at.config === config);
  const guard = (rule: GuardRule | Check = {}) => createGuard(rule, own);
  const methods = createMethods({ config, cookies, authenticator, openVisit, signIn, end });
  const mounted: Middleware = (req, res, next) => {
    router(req, res, next);
  };
  return Object.assign(mounted, methods, {
    session,
    requireAuth: guard,
    handleCallback: (req: IncomingMessage, res: ServerResponse, next: Next = unhandled(res)) => {
      callback(req, res, next);
    },
  });
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
function createParts(config: Config) {
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

/** A route that tells how long it took to come to its answer. */
function withTimer(name: string, handler: Handler): Handler {
  return (req, res) => {
    startTimer(res, `authkit-${name}`);
    return handler(req, res);
  };
}

/** Where there is nobody to hand an error to, the request still ends. */
function unhandled(res: ServerResponse): Next {
  return () => {
    if (!res.headersSent) res.statusCode = 500;
    res.end();
  };
}

/** How long a request waits for what it may not need, in milliseconds: a second, or less where calls are short. */
function patienceOf({ timeout }: Config): number {
  return Math.min(1000, timeout / 5);
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
