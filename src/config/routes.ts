import type { AuthKitOptions } from './options.js';
import type { Problems } from './problems.js';
import { providerNamed } from './providers.js';

/** Where our routes are: below the mount point, and as browsers see them. */
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
  /** Path below the mount point, `/login`. */
  readonly mounted: string;
  /** Path as a browser sees it, `/auth/login`. */
  readonly public: string;
}

/** What a defaults has unless options say otherwise. Routes that are `false` are off until named. */
export type RouteDefaults = Readonly<Record<keyof Routes, string | false>>;

/** Literal segments only: a route of ours is never a pattern. */
const PATH = /^(?:\/[\w.~-]+)+$/;

/** Stands in for a redirect URI that could not be read, so that the other checks can go on. */
const NOWHERE = new URL('https://invalid.example/callback');

export function parseRedirectUri(value: string, problems: Problems): URL {
  if (value === '') return NOWHERE;
  const url = /^https?:\/\/[^/\\]/i.test(value) && URL.canParse(value) ? new URL(value) : undefined;
  if (!url || /[?#]/.test(url.href) || url.username !== '' || url.password !== '') {
    problems.add('redirectUri must be an absolute http(s) URL without query, fragment or credentials');
    return NOWHERE;
  }
  return url;
}

/** Public paths follow from the redirect URI: its path less the callback route is the prefix. */
export function parseRoutes(
  value: AuthKitOptions['routes'],
  defaults: RouteDefaults,
  redirect: URL,
  problems: Problems,
): Routes {
  const paths = { ...defaults, ...value };
  problems.unknownKeys('route', paths, ROUTES);
  const isPath = (path: unknown): path is string => typeof path === 'string' && PATH.test(path);
  const bad = Object.entries(paths).find(([, path]) => path !== false && !isPath(path));
  if (bad)
    problems.add(`routes.${bad[0].slice(0, 64)} must be a path such as "/${bad[0].slice(0, 64)}", or false`);
  const prefix = bad ? '' : prefixOf(redirect, paths.callback, defaults, problems);
  const route = (name: keyof Routes) => {
    const path = paths[name];
    return isPath(path) ? { mounted: path, public: prefix + path } : undefined;
  };
  const routes = {
    login: route('login'),
    callback: route('callback'),
    logout: route('logout'),
    signUp: route('signUp'),
    token: route('token'),
    connect: route('connect'),
    switchOrganization: route('switchOrganization'),
  };
  checkCollisions(routes, problems);
  return routes;
}

/** What each route answers: a method and, for `/login/:provider` and `/connect/:slug`, everything one level below. */
const METHODS: Readonly<Record<keyof Routes, readonly string[]>> = {
  login: ['GET'],
  callback: ['GET'],
  logout: ['GET', 'POST'],
  signUp: ['GET'],
  token: ['POST'],
  connect: ['GET below'],
  switchOrganization: ['POST'],
};

/** Two routes at one path: only one of them would ever respond. */
function checkCollisions(routes: Routes, problems: Problems): void {
  const taken = new Map<string, keyof Routes>();
  for (const name of Object.keys(METHODS) as (keyof Routes)[]) {
    const route = routes[name];
    if (!route) continue;
    const methods = name === 'login' ? [...METHODS.login, 'GET below'] : METHODS[name];
    const keys = [...new Set([route.mounted, route.public])].flatMap((path) =>
      methods.map((method) => `${method} ${path.toLowerCase()}`),
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

/** A route below the login route must not be named like a provider: `/login/google` signs in with Google. */
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

const ROUTES: Readonly<Record<keyof Routes, true>> = {
  login: true,
  callback: true,
  logout: true,
  signUp: true,
  token: true,
  connect: true,
  switchOrganization: true,
};

function prefixOf(
  redirect: URL,
  callback: string | false,
  defaults: RouteDefaults,
  problems: Problems,
): string {
  const route = callback === false ? String(defaults.callback) : callback;
  if (redirect.pathname.endsWith(route)) return redirect.pathname.slice(0, -route.length);
  if (callback !== false) {
    problems.add(
      `the path of redirectUri (${redirect.pathname}) must end in the callback route (${route}): ` +
        `change one of them, e.g. routes: { callback: '${redirect.pathname}' }`,
    );
  }
  return '';
}
