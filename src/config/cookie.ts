import type { CookieConfig } from '../http/cookies.js';
import { number } from './credentials.js';
import { type Problems, variable } from './collect-problems.js';
import { isOptions, ownProperties } from '../plain-objects.js';
import type { Route, Routes } from './routes.js';
import { COOKIE_ADVICE } from './did-you-mean.js';

/** The maximum time that browsers keep a cookie, in seconds: 400 days (RFC 6265bis section 5.5). */
export const MAX_COOKIE_AGE = 34_560_000;

/** Matches a cookie name (`token` in RFC 6265 section 4.1.1) of up to 64 characters. */
const NAME = /^[\w!#$%&'*+\-.^`|~]{1,64}$/;

const DOMAIN = /^(?!-)[a-z\d-]{1,63}(?:\.(?!-)[a-z\d-]{1,63})+$/i;

/** Matches a cookie path (`path-value` in RFC 6265 section 4.1.1) without spaces. */
const PATH = /^\/[\u0021-\u003a\u003c-\u007e]{0,1023}$/;

const KEYS = {
  name: true,
  domain: true,
  path: true,
  sameSite: true,
  partitioned: true,
  maxAge: true,
} as const;

/**
 * The value of the `maxAge` option for a cookie that the browser discards when it closes. Such a cookie has no
 * `Max-Age` attribute. A session in the store is kept there for up to 400 days after it was last written.
 */
const BROWSER_SESSION = 'session';

/** The URL and the paths that the cookie attributes must match. */
interface Addresses {
  /** The redirect URI, or `undefined` if it is invalid. */
  readonly redirect: URL | undefined;
  readonly routes: Routes;
}

/**
 * Reads and checks the cookie options. A combination of options is refused if browsers would silently discard the
 * cookie.
 */
export function cookie(
  value: unknown,
  env: NodeJS.ProcessEnv,
  defaultName: string,
  { redirect, routes }: Addresses,
  problems: Problems,
): CookieConfig {
  const given = value === undefined ? {} : value;
  if (!isOptions(given)) problems.add(`cookie must be an object: { ${Object.keys(KEYS).join(', ')} }`);
  const options = ownProperties(isOptions(given) ? given : {});
  problems.unknownKeys('cookie option', options, KEYS, COOKIE_ADVICE);
  // `null` is reported as a problem and does not select the default, because its meaning is not obvious: in
  // express-session, `maxAge: null` means a cookie that the browser discards when it closes.
  const option = <T>(name: keyof typeof KEYS, otherwise: () => T) =>
    (options[name] === undefined ? otherwise() : options[name]) as T;
  const sameSite = () =>
    variable(env, 'WORKOS_COOKIE_SAMESITE') ?? variable(env, 'WORKOS_COOKIE_SAME_SITE') ?? 'lax';
  const maxAge = option<unknown>(
    'maxAge',
    () => number(variable(env, 'WORKOS_COOKIE_MAX_AGE')) ?? MAX_COOKIE_AGE,
  );
  const config: CookieConfig = {
    name: option('name', () => defaultName),
    domain: option('domain', () => variable(env, 'WORKOS_COOKIE_DOMAIN')),
    path: option('path', () => '/'),
    sameSite: option('sameSite', () => sameSite().toLowerCase() as CookieConfig['sameSite']),
    partitioned: option('partitioned', () => false),
    maxAge: maxAge === BROWSER_SESSION ? MAX_COOKIE_AGE : (maxAge as number),
    endsWithBrowser: maxAge === BROWSER_SESSION,
    secure: redirect?.protocol !== 'http:',
  };
  checkName(config, problems);
  checkDomain(config.domain, redirect?.hostname, problems);
  checkPath(config.path, routes, problems);
  checkSameSite(config, problems);
  checkPartitioned(config, problems);
  checkMaxAge(config.maxAge, problems);
  return Object.freeze(config);
}

function checkName({ name, domain, path, secure }: CookieConfig, problems: Problems): void {
  if (typeof name !== 'string' || !NAME.test(name)) {
    problems.add("cookie.name must be 1 to 64 letters, digits or !#$%&'*+-.^_`|~");
  } else if (/^__(?:host|secure|http)-/i.test(name) && !secure) {
    problems.add(`cookie.name "${name}" needs a redirectUri with https`);
  } else if (/^__host-/i.test(name) && domain !== undefined) {
    problems.add(`cookie.name "${name}" excludes cookie.domain`);
  } else if (/^__host-/i.test(name) && path !== '/') {
    problems.add(`cookie.name "${name}" needs cookie.path "/"`);
  }
}

function checkDomain(domain: unknown, hostname: string | undefined, problems: Problems): void {
  if (domain === undefined) return;
  if (typeof domain !== 'string' || !DOMAIN.test(domain)) {
    problems.add('cookie.domain must be a registrable domain such as "example.com"');
    return;
  }
  if (hostname === undefined) return;
  if (hostname !== domain.toLowerCase() && !hostname.endsWith(`.${domain.toLowerCase()}`)) {
    problems.add(`cookie.domain must be ${hostname} of redirectUri, or a domain above it`);
  }
}

function checkPath(path: unknown, routes: Routes, problems: Problems): void {
  if (typeof path !== 'string' || !PATH.test(path)) {
    problems.add('cookie.path must be a path such as "/app"');
    return;
  }
  const all = Object.values<Route | undefined>({ ...routes });
  const outside = all.find((route) => route !== undefined && !pathMatches(route.public, path));
  if (outside)
    problems.add(
      `cookie.path must contain the routes: the session is not sent to ${outside.public} with ${path}`,
    );
}

/** Whether a request path matches a cookie path (RFC 6265 section 5.1.4). */
function pathMatches(requestPath: string, path: string): boolean {
  if (!requestPath.startsWith(path)) return false;
  return requestPath.length === path.length || path.endsWith('/') || requestPath[path.length] === '/';
}

function checkSameSite({ sameSite, secure }: CookieConfig, problems: Problems): void {
  if (!['lax', 'strict', 'none'].includes(sameSite)) {
    problems.add('cookie.sameSite must be "lax", "strict" or "none"');
  } else if (sameSite === 'none' && !secure) {
    problems.add('cookie.sameSite "none" needs a redirectUri with https');
  }
}

function checkPartitioned({ partitioned, secure }: CookieConfig, problems: Problems): void {
  if (typeof partitioned !== 'boolean') problems.add('cookie.partitioned must be true or false');
  else if (partitioned && !secure) problems.add('cookie.partitioned needs a redirectUri with https');
}

function checkMaxAge(maxAge: unknown, problems: Problems): void {
  if (!Number.isSafeInteger(maxAge) || Number(maxAge) < 1) {
    problems.add(
      'cookie.maxAge must be a whole number of seconds, at least 1, or "session" for a cookie that ends with the browser',
    );
  } else if (Number(maxAge) > MAX_COOKIE_AGE) {
    problems.add(
      `cookie.maxAge is in seconds, at most ${MAX_COOKIE_AGE} (400 days); this looks like milliseconds`,
    );
  }
}
