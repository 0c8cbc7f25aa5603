import type { IncomingMessage, ServerResponse } from 'node:http';
import Router from 'router';
import { type AuthenticateRequest, requestAuthsOf } from '../auth/request-auth.js';
import { createRequireAuth, guardContext, type RequireAuth } from '../auth/require-auth.js';
import type { Config } from '../config/index.js';
import type { Route } from '../config/routes.js';
import { after } from '../deadline.js';
import { type Handler, type Middleware, middleware, type Next } from '../http/middleware.js';
import { startTimer } from '../http/response.js';

/** A way into the application, mounted: what `authkit()` and `sso()` have in common. */
export interface AuthRouter extends Middleware {
  /** Gives a request `req.auth` and `req.user`. The router runs it too; twice does nothing. */
  readonly session: Middleware;
  /** The guard of this instance. */
  readonly requireAuth: RequireAuth;
  /** The callback, for an application that keeps its own route. */
  readonly handleCallback: (req: IncomingMessage, res: ServerResponse, next?: Next) => void;
}

/** What answers at each route; a route that the configuration leaves out is not mounted. */
export interface RouteHandlers {
  readonly login: Handler;
  /** `/login/:provider` */
  readonly provider: Handler;
  readonly callback: Handler;
  readonly logout: Handler;
  readonly signUp?: Handler;
  /** `POST` */
  readonly token?: Handler;
  /** `/connect/:slug`, behind the guard. */
  readonly connect?: Handler;
  readonly switchOrganization?: Handler;
}

/** Mounts the routes of an instance, and its session on every other request. */
export function createAuthRouter(
  config: Config,
  authenticateRequest: AuthenticateRequest,
  handlers: RouteHandlers,
): AuthRouter {
  const session = sessionOf(authenticateRequest);
  const timed = (name: string, handler: Handler) =>
    middleware(config.serverTiming ? withTimer(name, handler) : handler);
  const callback = timed('callback', handlers.callback);
  const logout = timed('logout', handlers.logout);
  const router = Router();
  const at = (route: keyof Config['routes']) =>
    [...new Set(Object.values(config.routes[route] ?? {}))] as string[];
  router.get(at('login'), timed('login', handlers.login));
  router.get(at('login').map(below), timed('login', handlers.provider));
  router.get(at('callback'), callback);
  router.get(at('logout'), logout);
  router.post(at('logout'), logout);
  if (handlers.switchOrganization)
    router.post(at('switchOrganization'), timed('switch', handlers.switchOrganization));
  if (handlers.signUp) router.get(at('signUp'), timed('login', handlers.signUp));

  const requireAuth = createRequireAuth(
    guardContext((req) =>
      requestAuthsOf(req).filter((requestAuth) => requestAuth.instance.config === config),
    ),
  );
  if (handlers.token) router.post(at('token'), timed('token', handlers.token));
  if (handlers.connect)
    router.get(at('connect').map(below), session, requireAuth(), timed('connect', handlers.connect));

  const mayBeOurs = startsLike(routePaths(config));
  const mounted: Middleware = (req, res, next) => {
    if (!mayBeOurs(req.url ?? '')) {
      session(req, res, next);
      return;
    }
    router(req, res, (error) => {
      if (error === undefined || error === null) session(req, res, next);
      else next(error);
    });
  };
  return Object.assign(mounted, {
    session,
    requireAuth,
    handleCallback: (req: IncomingMessage, res: ServerResponse, next: Next = unhandled(res)) => {
      callback(req, res, next);
    },
  });
}

function sessionOf(authenticateRequest: AuthenticateRequest): Middleware {
  return middleware((req, res) => {
    const requestAuth = authenticateRequest(req, res);
    if (requestAuth instanceof Promise)
      return requestAuth.then((found) => found.loadUser()).then(() => 'next' as const);
    return after(requestAuth.loadUser(), () => 'next' as const);
  });
}

function routePaths({ routes }: Config): string[] {
  return Object.values<Route | undefined>({ ...routes })
    .filter((route) => route !== undefined)
    .flatMap(({ mounted, public: seen }) => [mounted, seen]);
}

/**
 * Whether a request target may be one of these paths, or below one: by its first letters, so that every other request
 * passes by the router at no cost. What is not a plain path is left to the router.
 */
function startsLike(paths: readonly string[]): (target: string) => boolean {
  const starts = paths.map((path) => path.toLowerCase());
  // Small letters differ from capital ones in this bit alone; other characters only become likelier by it.
  const CASE = 32;
  const initials = new Set(starts.map((path) => path.charCodeAt(1) | CASE));
  return (target) => {
    if (!target.startsWith('/')) return true;
    if (!initials.has(target.charCodeAt(1) | CASE)) return false;
    return starts.some((start) => target.slice(0, start.length).toLowerCase() === start);
  };
}

/** One segment below a path. Not `:name`, which the router would decode, and answer itself if it cannot. */
function below(path: string): RegExp {
  return new RegExp(`^${path.replace(/[.~]/g, '\\$&')}/[^/]+/?$`, 'i');
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
