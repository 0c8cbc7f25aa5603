import { isOptions, ownProperties } from '../plain-objects.js';
import type { AuthKitOptions } from './authkit-options.js';
import type { Problems } from './collect-problems.js';
import { providerNamed } from './provider-names.js';
import { ROUTE_ADVICE } from './did-you-mean.js';

/** The paths of an instance's routes. A disabled route is `undefined`. */
export interface Routes {
  readonly login: Route | undefined;
  readonly callback: Route | undefined;
  readonly logout: Route | undefined;
  readonly signUp: Route | undefined;
  readonly token: Route | undefined;
  readonly connect: Route | undefined;
  readonly switchOrganization: Route | undefined;
}

export interface Route {
  /** Path below the mount point, such as `/login`. */
  readonly mounted: string;
  /** Path as a browser sees it, such as `/auth/login`. */
  readonly public: string;
}

/**
 * The default paths of an instance's routes. `false` means that the route is disabled unless an option sets its path.
 */
export type RouteDefaults = Readonly<Record<keyof Routes, string | false>>;

/** Matches a path that consists of literal segments. Express never interprets such a path as a pattern. */
const PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)+$/;

/**
 * Reads the paths of the routes. The public paths follow from the redirect URI: the part of its path before the
 * callback route is the prefix of every route.
 */
export function parseRoutes(
  value: AuthKitOptions['routes'],
  defaults: RouteDefaults,
  redirect: URL | undefined,
  problems: Problems,
): Routes {
  const given: unknown = value ?? {};
  if (!isOptions(given)) problems.add("routes must be an object of paths, such as { login: '/login' }");
  const own = isOptions(given) ? ownProperties(given) : {};
  problems.unknownKeys('route', own, METHODS, ROUTE_ADVICE);
  const paths: Readonly<Record<string, unknown>> = { ...defaults, ...own };
  const names = Object.keys(METHODS) as (keyof Routes)[];
  const invalid = names.filter((name) => paths[name] !== false && !isPath(paths[name]));
  for (const name of invalid) problems.add(`routes.${name} must be a path such as "/${name}", or false`);
  const prefix =
    redirect && invalid.length === 0 ? prefixOf(redirect, paths['callback'], defaults, problems) : '';
  const routes = Object.fromEntries(
    names.map((name) => {
      const path = paths[name];
      return [name, isPath(path) ? { mounted: path, public: prefix + path } : undefined];
    }),
  );
  checkCollisions(routes as unknown as Routes, problems);
  return routes as unknown as Routes;
}

function isPath(path: unknown): path is string {
  return typeof path === 'string' && PATH.test(path);
}

/**
 * The HTTP methods to which each route responds. `GET below` means `GET` for every path one level below the route, such
 * as `/login/:provider` and `/connect/:slug`.
 */
const METHODS: Readonly<Record<keyof Routes, readonly string[]>> = {
  login: ['GET', 'GET below'],
  callback: ['GET'],
  logout: ['GET', 'POST'],
  signUp: ['GET'],
  token: ['POST'],
  connect: ['GET below'],
  switchOrganization: ['POST'],
};

/** Reports two routes with the same method and path, because only one of them would ever respond. */
function checkCollisions(routes: Routes, problems: Problems): void {
  const taken = new Map<string, keyof Routes>();
  for (const name of Object.keys(METHODS) as (keyof Routes)[]) {
    const route = routes[name];
    if (!route) continue;
    const keys = [...new Set([route.mounted, route.public])].flatMap((path) =>
      METHODS[name].map((method) => `${method} ${path.toLowerCase()}`),
    );
    const other = keys.map((key) => taken.get(key)).find((found) => found !== undefined);
    if (other !== undefined)
      problems.add(
        `routes.${name} (${route.mounted}) is also the path of routes.${other}: change one of them`,
      );
    for (const key of keys) taken.set(key, name);
    checkProviderPath(name, route, routes, problems);
  }
}

/**
 * Reports a route whose path is the login route's path followed by the name of a provider. Such a path already starts a
 * sign-in: `/login/google` signs in with Google.
 */
function checkProviderPath(name: keyof Routes, route: Route, { login }: Routes, problems: Problems): void {
  if (!login || name === 'login' || !METHODS[name].includes('GET')) return;
  for (const below of [`${login.mounted}/`, `${login.public}/`]) {
    const last = route.mounted.slice(below.length);
    if (!route.mounted.toLowerCase().startsWith(below.toLowerCase()) || last.includes('/')) continue;
    if (providerNamed(last) === undefined) continue;
    problems.add(
      `routes.${name} (${route.mounted}) is also the sign-in with ${last}: change it, e.g. '${route.mounted}-page'`,
    );
    return;
  }
}

function prefixOf(redirect: URL, callback: unknown, defaults: RouteDefaults, problems: Problems): string {
  const route = typeof callback === 'string' ? callback : String(defaults.callback);
  const { origin, pathname } = redirect;
  if (pathname.endsWith(route)) return pathname.slice(0, -route.length);
  if (callback === false) return '';
  if (pathname === '/') {
    problems.add(`redirectUri has no path: add ${route}, as in ${origin}${route}`);
  } else if (pathname.endsWith(`${route}/`)) {
    problems.add(`redirectUri ends in a slash: write ${redirect.href.slice(0, -1)}`);
  } else {
    const other = isPath(pathname) ? `, e.g. routes: { callback: '${pathname}' }` : '';
    problems.add(
      `the path of redirectUri (${pathname}) must end in the callback route (${route}): change one of them${other}`,
    );
  }
  return '';
}
