import { describe, expect, test } from 'vitest';
import { safeReturnTo } from '../../src/http/return-to.js';
import { corpus, type Row } from '../support/corpora.js';

const origin = 'https://app.example.com';
const rules = {
  origin,
  origins: ['https://admin.example.com'],
  ownPaths: ['/auth/login', '/auth/callback', '/auth/logout'],
};

interface RedirectRow extends Row {
  input: string;
  must_resolve_to: string;
}

/** Whether a browser, or a proxy that decodes once, stays on the origin when it follows this Location. */
export function staysOnOrigin(location: string, base: string): boolean {
  const url = new URL(location, base);
  const again = [decodeURIComponent(url.pathname), url.pathname + url.search].map(
    (path) => new URL(path, base).origin,
  );
  return (
    /^[\u0021-\u007e]*$/.test(location) &&
    [url.origin, ...again].every((found) => found === new URL(base).origin)
  );
}

describe('open redirects of the corpus', () => {
  test.each(corpus<RedirectRow>('open-redirect'))('$id $input', ({ input }) => {
    const safe = safeReturnTo(input, rules);
    if (safe === undefined) return;
    expect(staysOnOrigin(safe, `${origin}/auth/callback`)).toBe(true);
    expect(safeReturnTo(safe, rules), 'safe once is safe again').toBe(safe);
    expect(safe).not.toMatch(/^\/auth\/(login|callback|logout)/i);
  });

  test.each(corpus<RedirectRow>('open-redirect-accept'))(
    '$id $input is kept',
    ({ input, must_resolve_to: expected }) => {
      const safe = safeReturnTo(input, rules);
      expect(new URL(safe!, `${origin}/auth/callback`).href).toBe(expected);
    },
  );
});

test('the auth routes are rejected in any spelling that a router accepts', () => {
  for (const path of [
    '/auth/logout',
    '/AUTH/Logout',
    '/auth/logout/',
    '/auth/./logout',
    '/auth/%6cogout',
    '/auth/logout?x=1',
  ]) {
    expect(safeReturnTo(path, rules), path).toBeUndefined();
  }
  for (const path of ['/auth/logout-help', '/auth/logouts', '/auth/logouX', '/auth'])
    expect(safeReturnTo(path, rules)).toBe(path);
});

test('the auth routes are rejected in any spelling that a proxy may turn into them', () => {
  for (const path of [
    '/auth//logout',
    '/auth///logout',
    '/auth/x%2F..%2Flogout',
    '/auth%2Flogout',
    '/auth/x/%2e%2e/logout',
    '/auth%2F%2Flogout',
    '/x%2F..%2Fauth%2Flogout%2F',
  ])
    expect(safeReturnTo(path, rules), path).toBeUndefined();
  for (const path of ['/authlogout', '/auth%20/logout', '/auth/x%2Flogout', '/auth//other'])
    expect(safeReturnTo(path, rules)).toBe(path);
});

test('a backslash is rejected in the path, where a URL parser treats it as a slash, and kept in the query', () => {
  for (const path of ['/\\evil.example', '/x\\y', '/some/way/down\\', 'https://admin.example.com/x\\y?z'])
    expect(safeReturnTo(path, rules), path).toBeUndefined();
  for (const path of ['/x?y=a\\b', '/x#a\\b', '/x?y=\\', '/x?\\#\\'])
    expect(safeReturnTo(path, rules)).toBe(path);
});

test('an auth route that ends in a slash includes everything below it, in any letter case, and nothing else', () => {
  const below = { ...rules, ownPaths: ['/auth/Login/'] };
  for (const path of ['/auth/login/GoogleOAuth', '/AUTH/LOGIN/x', '/auth/%6cogin/x'])
    expect(safeReturnTo(path, below), path).toBeUndefined();
  for (const path of ['/auth/login', '/auth/loginX', '/x/auth/login/y'])
    expect(safeReturnTo(path, below)).toBe(path);
});

test('a path that begins with two slashes and a host is rejected, even for this host and if encoded', () => {
  for (const path of [
    '/.//app.example.com/x',
    '/x/..//app.example.com/x',
    '/%2Fapp.example.com/x',
    '/%252e//app.example.com/x',
    '/%252e/%2Fapp.example.com/x',
  ])
    expect(safeReturnTo(path, rules), path).toBeUndefined();
  expect(safeReturnTo('/x//app.example.com/', rules)).toBe('/x//app.example.com/');
});

test('a URL of a listed origin is kept, and one of another origin or with credentials is rejected', () => {
  expect(safeReturnTo('https://admin.example.com/x?y=1', rules)).toBe('https://admin.example.com/x?y=1');
  for (const who of ['user', ':password', 'user:password'])
    expect(safeReturnTo(`https://${who}@admin.example.com/`, rules)).toBeUndefined();
  expect(safeReturnTo('https://admin.example.com.evil.example/', rules)).toBeUndefined();
  expect(safeReturnTo('https://app.example.com/x#y', rules)).toBe('/x#y');
});

test('only strings are accepted', () => {
  for (const value of [undefined, null, 1, {}, ['/x'], '', 'x', '?x', '#x', `/${'x'.repeat(5000)}`]) {
    expect(safeReturnTo(value, rules)).toBeUndefined();
  }
});

test('a returnTo has at most 4096 characters, and a URL is http or https', () => {
  expect(safeReturnTo(`/${'x'.repeat(4095)}`, rules)).toHaveLength(4096);
  expect(safeReturnTo(`/${'x'.repeat(4096)}`, rules)).toBeUndefined();
  const plain = { origin: 'http://app.example.com', origins: [], ownPaths: ['/auth/Login'] };
  expect(safeReturnTo('http://app.example.com/x', plain)).toBe('/x');
  expect(safeReturnTo('https://app.example.com/x', plain)).toBeUndefined();
  for (const value of [
    'x/y',
    'xhttps://app.example.com/',
    'http:/x',
    ' /x',
    'https://app.example.com:99999/',
  ])
    expect(safeReturnTo(value, rules), value).toBeUndefined();
  for (const value of ['/auth/login', '/auth/Login/', '/AUTH/LOGIN'])
    expect(safeReturnTo(value, plain)).toBeUndefined();
  expect(safeReturnTo('/', { ...plain, ownPaths: [''] })).toBe('/');
  expect(safeReturnTo('/x?y=//evil.example', rules)).toBe('/x?y=//evil.example');
  expect(safeReturnTo('/%', rules)).toBeUndefined();
});
