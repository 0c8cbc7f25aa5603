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

/** The properties that the routers of `authkit()` and `sso()` have in common. */
export interface AuthRouter extends Middleware {
  /** The middleware that sets `req.auth` and `req.user`. The router does this too, and it is harmless to run both. */
  readonly session: Middleware;
  /** Creates guards that check only how this instance has authenticated a request. */
  readonly requireAuth: RequireAuth;
  /** Handles the callback in an application that defines the callback route itself. */
  readonly handleCallback: (req: IncomingMessage, res: ServerResponse, next?: Next) => void;
}

/** The route handlers of an instance. Routes that the configuration disables are not mounted. */
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

/**
 * Creates the router of an instance. It handles the routes of the instance, and runs the session middleware on all
 * other requests.
 */
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
  // This route is mounted last, because other routes of this package may have paths below the login route.
  router.get(publicAndMounted('login').map(segmentBelow), route('login', forProviders(handlers.provider)));
  return router;
}

/**
 * Creates a pattern that matches every request target that could be a route. All other requests skip the router, which
 * would compare their path with each route. The pattern also matches a target that is not a path, such as
 * `http://host/login`, and a target with a backslash, which the router may read as a slash.
 */
function createPathFilter({ routes }: Config): RegExp {
  const paths = Object.values<Route | undefined>({ ...routes }).flatMap((route) =>
    route ? [route.mounted, route.public] : [],
  );
  return new RegExp(`^(?:[^/]|[^?]*\\\\|(?:${paths.map(escapeRegExp).join('|')})(?![\\w.~-]))`, 'i');
}

/** Handles only paths that end in a provider name. Any other path below the login route belongs to the application. */
function forProviders(handler: Handler): Handler {
  return (req, res) => (providerNamed(lastSegment(req)) === undefined ? 'next' : handler(req, res));
}

/**
 * Creates the middleware of a route. It turns errors into responses and, if `serverTiming` is set, reports the duration
 * of the request in the `Server-Timing` header.
 */
function routeMiddleware(name: RouteName, handler: Handler, config: Config): Middleware {
  const answered = answerErrors(createErrorResponder(config, name), handler);
  return middleware(config.serverTiming ? withTimer(TIMERS[name] ?? name, answered) : answered);
}

/** The timer names that differ from the names of their routes, without the prefix `authkit-`. */
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
 * Creates a pattern that matches exactly one path. The router would interpret special characters in a string, and the
 * path of the redirect URI may contain them, as in `/:team/callback`.
 */
function exactly(path: string): RegExp {
  return new RegExp(`^${escapeRegExp(path)}/?$`, 'i');
}

/**
 * Creates a pattern that matches any single segment below a path. With a path such as `/login/:name`, the router itself
 * would decode the segment, and would reject a malformed segment.
 */
function segmentBelow(path: string): RegExp {
  return new RegExp(`^${escapeRegExp(path)}/[^/]+/?$`, 'i');
}

function escapeRegExp(path: string): string {
  return path.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/**
 * Creates a `next` for callers that do not pass one. It ends the response, so that the request does not hang after an
 * error.
 */
function endResponse(res: ServerResponse): Next {
  return () => {
    if (!res.headersSent) res.statusCode = 500;
    res.end();
  };
}
