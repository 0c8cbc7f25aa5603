import type { AuthKitOptions } from './options.js';
import type { Problems } from './problems.js';

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
  return {
    login: route('login'),
    callback: route('callback'),
    logout: route('logout'),
    signUp: route('signUp'),
    token: route('token'),
    connect: route('connect'),
    switchOrganization: route('switchOrganization'),
  };
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
