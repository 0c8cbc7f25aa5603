import type { IncomingMessage, ServerResponse } from 'node:http';
import Router from 'router';
import { type AuthenticateRequest, requestAuthsOf } from '../auth/request-auth.js';
import { createRequireAuth, guardContext, type RequireAuth } from '../auth/require-auth.js';
import type { Config } from '../config/index.js';
import type { Route } from '../config/routes.js';
import { providerNamed } from '../config/provider-names.js';
import { after } from '../deadline.js';
import { answerErrors, createErrorResponder, type RouteName } from '../http/error-response.js';
import { type Handler, type Middleware, middleware, type Next } from '../http/handler-to-middleware.js';
import { lastSegment } from '../http/request.js';
import { startTimer } from '../http/response.js';

/** A mounted instance: what `authkit()` and `sso()` have in common. */
export interface AuthRouter extends Middleware {
  /** Sets `req.auth` and `req.user`. The router does so too, and setting them twice has no effect. */
  readonly session: Middleware;
  /** The guard of this instance. */
  readonly requireAuth: RequireAuth;
  /** Handles the callback, for an application that defines its own callback route. */
  readonly handleCallback: (req: IncomingMessage, res: ServerResponse, next?: Next) => void;
}

/** The handlers of an instance. A route that the configuration leaves out is not mounted. */
export interface RouteHandlers {
  readonly login: Handler;
  /** Handles `GET /login/:provider`. */
  readonly provider: Handler;
  readonly callback: Handler;
  readonly logout: Handler;
  readonly signUp?: Handler;
  /** Handles `POST` requests to the token route. */
  readonly token?: Handler;
  /** Handles `GET /connect/:slug`, behind the guard. */
  readonly connect?: Handler;
  /** Handles `POST` requests to the route that switches the organization. */
  readonly switchOrganization?: Handler;
}

/** Mounts the routes of an instance, and its session middleware for all other requests. */
export function createAuthRouter(
  config: Config,
  authenticateRequest: AuthenticateRequest,
  handlers: RouteHandlers,
): AuthRouter {
  const session = createSessionMiddleware(authenticateRequest);
  const requireAuth = createRequireAuth(
    guardContext((req) =>
      requestAuthsOf(req).filter((requestAuth) => requestAuth.instance.config === config),
    ),
  );
  const route = (name: RouteName, handler: Handler) => routeMiddleware(name, handler, config);
  const callback = route('callback', handlers.callback);
  const router = createRoutes(config, handlers, session, requireAuth());
  const mayBeRoute = createPathFilter(config);
  const mounted: Middleware = (req, res, next) => {
    if (!mayBeRoute.test(req.url ?? '')) {
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
    handleCallback: (req: IncomingMessage, res: ServerResponse, next: Next = endResponse(res)) => {
      callback(req, res, next);
    },
  });
}

function createRoutes(config: Config, handlers: RouteHandlers, session: Middleware, guard: Middleware) {
  const router = Router();
  const publicAndMounted = (name: keyof Config['routes']) =>
    [...new Set(Object.values(config.routes[name] ?? {}))] as string[];
  const paths = (name: keyof Config['routes']) => publicAndMounted(name).map(exactly);
  const route = (name: RouteName, handler: Handler) => routeMiddleware(name, handler, config);
  router.get(paths('login'), route('login', handlers.login));
  router.get(paths('callback'), route('callback', handlers.callback));
  router.get(paths('logout'), route('logout', handlers.logout));
  router.post(paths('logout'), route('logout', handlers.logout));
  if (handlers.signUp) router.get(paths('signUp'), route('signUp', handlers.signUp));
  if (handlers.token) router.post(paths('token'), route('token', handlers.token));
  if (handlers.switchOrganization)
    router.post(paths('switchOrganization'), route('switchOrganization', handlers.switchOrganization));
  if (handlers.connect)
    router.get(
      publicAndMounted('connect').map(segmentBelow),
      session,
      guard,
      route('connect', handlers.connect),
    );
  // Mounted last, because other routes of this package and pages of the application may have paths below the login
  // route.
  router.get(publicAndMounted('login').map(segmentBelow), route('login', forProviders(handlers.provider)));
  return router;
}

/**
 * Matches every request target that could be a route, so that most requests do not pass through the router, which would
 * compare the path with each route. A target that is not a path, such as `http://host/login`, is left to the router, and
 * so is one with a backslash, which the router may read as a slash.
 */
function createPathFilter({ routes }: Config): RegExp {
  const paths = Object.values<Route | undefined>({ ...routes }).flatMap((route) =>
    route ? [route.mounted, route.public] : [],
  );
  return new RegExp(`^(?:[^/]|[^?]*\\\\|(?:${paths.map(escapeRegExp).join('|')})(?![\\w.~-]))`, 'i');
}

/** A path below the login route that is not the name of a provider belongs to the application. */
function forProviders(handler: Handler): Handler {
  return (req, res) => (providerNamed(lastSegment(req)) === undefined ? 'next' : handler(req, res));
}

/**
 * Creates the middleware of a route. Errors become responses and, if `serverTiming` is set, the duration is reported.
 */
function routeMiddleware(name: RouteName, handler: Handler, config: Config): Middleware {
  const answered = answerErrors(createErrorResponder(config, name), handler);
  return middleware(config.serverTiming ? withTimer(TIMERS[name] ?? name, answered) : answered);
}

/** Names in the `Server-Timing` header that differ from the route's name. */
const TIMERS: Readonly<Partial<Record<RouteName, string>>> = {
  signUp: 'login',
  switchOrganization: 'switch',
};

function withTimer(name: string, handler: Handler): Handler {
  return (req, res) => {
    startTimer(res, `authkit-${name}`);
    return handler(req, res);
  };
}

function createSessionMiddleware(authenticateRequest: AuthenticateRequest): Middleware {
  return middleware((req, res) => {
    const requestAuth = authenticateRequest(req, res);
    if (requestAuth instanceof Promise)
      return requestAuth.then((found) => found.loadUser()).then(() => 'next' as const);
    return after(requestAuth.loadUser(), () => 'next' as const);
  });
}

/**
 * Matches a path. As a string, the router would read it as a pattern, and the path of the redirect URI may contain any
 * character, as in `/:team/callback`.
 */
function exactly(path: string): RegExp {
  return new RegExp(`^${escapeRegExp(path)}/?$`, 'i');
}

/**
 * Matches one segment below a path. If the path were written with `:name`, the router would decode the segment, and
 * reject a malformed one itself.
 */
function segmentBelow(path: string): RegExp {
  return new RegExp(`^${escapeRegExp(path)}/[^/]+/?$`, 'i');
}

function escapeRegExp(path: string): string {
  return path.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** Creates a `next` for a call without one, so that the request ends even if there is an error. */
function endResponse(res: ServerResponse): Next {
  return () => {
    if (!res.headersSent) res.statusCode = 500;
    res.end();
  };
}
