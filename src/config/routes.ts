import type { AuthKitOptions } from '../options.js';
import type { Problems } from './problems.js';

/** Where our routes are: below the mount point, and as browsers see them. */
export interface Routes {
  readonly login: Route | undefined;
  readonly callback: Route | undefined;
  readonly logout: Route | undefined;
}

export interface Route {
  /** Path below the mount point, `/login`. */
  readonly mounted: string;
  /** Path as a browser sees it, `/auth/login`. */
  readonly public: string;
}

const DEFAULTS = { login: '/login', callback: '/callback', logout: '/logout' } as const;

/** Literal segments only: a route of ours is never a pattern. */
const PATH = /^(?:\/[\w.~-]+)+$/;

/** Stands in for a redirect URI that could not be read, so that the other checks can go on. */
const NOWHERE = new URL('https://invalid.example/callback');

export function parseRedirectUri(value: string, problems: Problems): URL {
  if (value === '') return NOWHERE;
  const url = /^https?:\/\/[^/\\]/i.test(value) && URL.canParse(value) ? new URL(value) : undefined;
  if (!url || url.hash !== '' || url.search !== '' || url.username !== '' || url.password !== '') {
    problems.add('redirectUri must be an absolute http(s) URL without query, fragment or credentials');
    return NOWHERE;
  }
  return url;
}

/** Public paths follow from the redirect URI: its path less the callback route is the prefix. */
export function parseRoutes(value: AuthKitOptions['routes'], redirect: URL, problems: Problems): Routes {
  const paths = { ...DEFAULTS, ...value };
  problems.unknownKeys('route', paths, { login: true, callback: true, logout: true });
  for (const [name, path] of Object.entries(paths)) {
    if (path !== false && !(typeof path === 'string' && PATH.test(path))) {
      problems.add(`routes.${name} must be a path such as "/${name}", or false`);
      return { login: undefined, callback: undefined, logout: undefined };
    }
  }
  const prefix = prefixOf(redirect, paths.callback, problems);
  const route = (path: string | false) =>
    path === false ? undefined : { mounted: path, public: prefix + path };
  return { login: route(paths.login), callback: route(paths.callback), logout: route(paths.logout) };
}

function prefixOf(redirect: URL, callback: string | false, problems: Problems): string {
  const route = callback === false ? DEFAULTS.callback : callback;
  if (redirect.pathname.endsWith(route)) return redirect.pathname.slice(0, -route.length);
  if (callback !== false) {
    problems.add(
      `the path of redirectUri (${redirect.pathname}) must end in the callback route (${route}): ` +
        `change one of them, e.g. routes: { callback: '${redirect.pathname}' }`,
    );
  }
  return '';
}
