import { canParse } from '../url-can-parse.js';
import type { Problems } from './collect-problems.js';
import { refuseInsecureHttp } from './insecure-http.js';

/**
 * Parses and checks the redirect URI. `parseRoutes` checks later whether its path matches the callback route.
 *
 * @returns The URL, or `undefined` if the redirect URI is missing or invalid. In that case, other options are not
 * compared with it, so that one mistake is reported only once.
 */
export function parseRedirectUri(value: string, isHttpAllowed: boolean, problems: Problems): URL | undefined {
  if (value === '') return undefined;
  const url = /^https?:\/\/[^/\\]/i.test(value) && canParse(value) ? new URL(value) : undefined;
  if (!url || /[?#]/.test(url.href) || url.username !== '' || url.password !== '') {
    problems.add('redirectUri must be an absolute http(s) URL without query, fragment or credentials');
    return undefined;
  }
  if (url.pathname.includes('//')) {
    problems.add(`the path of redirectUri (${url.pathname}) must not contain "//"`);
    return undefined;
  }
  if (url.protocol === 'http:') {
    const { hostname } = url;
    const sends = 'session cookies and authorization codes';
    refuseInsecureHttp({ option: 'redirectUri', sends, hostname }, isHttpAllowed, problems);
  }
  return url;
}
