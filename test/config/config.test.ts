import { WorkOS } from '@workos-inc/node';
import { describe, expect, test } from 'vitest';
import { AuthKitError, authkit } from 'authkit-express';
import { resolveConfig } from '../../src/config/index.js';
import { corpus, type Row } from '../support/corpora.js';
import { counted } from '../support/tally.js';

const good = {
  clientId: 'client_01TEST',
  apiKey: 'sk_test_secret',
  redirectUri: 'https://app.example.com/auth/callback',
  cookiePassword: 'correct-horse-battery-staple-0123456789',
};

type Given = Parameters<typeof resolveConfig>[0];

function problemOf(options: unknown, env: NodeJS.ProcessEnv = {}): string {
  try {
    resolveConfig(options as Given, env);
  } catch (error) {
    expect(error).toBeInstanceOf(AuthKitError);
    expect((error as AuthKitError).code).toBe('config_invalid');
    return (error as AuthKitError).message;
  }
  return '';
}

interface ValueRow extends Row {
  field: string;
  value: unknown;
}

const PLACES: Record<string, (value: unknown) => object> = {
  cookieName: (name) => ({ cookie: { name } }),
  cookiePath: (path) => ({ cookie: { path } }),
  cookieDomain: (domain) => ({ cookie: { domain } }),
  sameSite: (sameSite) => ({ cookie: { sameSite } }),
  maxAge: (maxAge) => ({ cookie: { maxAge } }),
  cookiePassword: (cookiePassword) => ({ cookiePassword }),
  redirectUri: (redirectUri) => ({ redirectUri }),
};

describe('values of the corpus', () => {
  test.for(corpus<ValueRow>('config-values'))('$id $field $value is refused', ({ field, value }, context) => {
    counted(context, { corpus: 'config-values', on: 'function' });
    const options = { ...good, ...PLACES[field]!(value) };
    // A __Host- name is valid if the cookie is secure and has no domain.
    if (value === '__Host-x') expect(problemOf(options)).toBe('');
    else expect(problemOf(options)).not.toBe('');
    if (value === '__Host-x')
      expect(problemOf({ ...options, redirectUri: 'http://localhost/callback' })).not.toBe('');
  });
});

test('all problems are listed at once, each with its fix and without secrets', () => {
  const message = problemOf({
    ...good,
    apiKey: undefined,
    cookiePassword: 'hunter2',
    redirectUri: '/callback',
    retrunTo: '/',
  });
  expect(message.match(/\n {2}- /g)).toHaveLength(4);
  expect(message).toContain('set WORKOS_API_KEY');
  expect(message).toContain('npx authkit-express secret');
  expect(message).toContain('unknown option "retrunTo"');
  expect(message).not.toContain('hunter2');
});

test('options override the environment, and an empty variable counts as unset', () => {
  const env = {
    WORKOS_CLIENT_ID: 'client_env',
    WORKOS_API_KEY: 'sk_env',
    WORKOS_REDIRECT_URI: 'http://localhost:3000/callback',
    WORKOS_COOKIE_PASSWORD: good.cookiePassword,
    WORKOS_COOKIE_SAME_SITE: 'STRICT',
    WORKOS_COOKIE_MAX_AGE: '600',
    WORKOS_COOKIE_DOMAIN: '',
    WORKOS_API_HOSTNAME: '127.0.0.1',
    WORKOS_API_HTTPS: 'false',
    WORKOS_API_PORT: '4000',
  };
  expect(resolveConfig({ clientId: 'client_option' }, env)).toMatchObject({
    clientId: 'client_option',
    apiKey: 'sk_env',
    cookie: { name: 'wos-session', domain: undefined, sameSite: 'strict', maxAge: 600, secure: false },
    api: { origin: 'http://127.0.0.1:4000' },
    issuers: [
      'http://127.0.0.1:4000',
      'http://127.0.0.1:4000/',
      'http://127.0.0.1:4000/user_management/client_option',
    ],
  });
  expect(problemOf({}, { ...env, WORKOS_COOKIE_MAX_AGE: 'soon', WORKOS_API_PORT: 'x' })).toMatch(
    /maxAge[\s\S]*|apiPort/,
  );
});

test('Secure, the prefix and the public paths are derived', () => {
  expect(resolveConfig(good, {})).toMatchObject({
    cookie: { secure: true },
    routes: { login: { mounted: '/login', public: '/auth/login' }, logout: { public: '/auth/logout' } },
  });
  expect(problemOf({ ...good, redirectUri: 'https://app.example.com/auth/return' })).toContain(
    'must end in the callback route',
  );
  expect(
    problemOf({ ...good, routes: { callback: false }, redirectUri: 'https://app.example.com/auth/return' }),
  ).toBe('');
});

test('lifetimes in milliseconds, foreign domains and cookies that browsers reject are configuration errors', () => {
  for (const cookie of [
    { maxAge: 34_560_001 },
    { maxAge: 31_536_000_000 },
    { domain: 'other.example.com' },
    { domain: 'example.org' },
    { sameSite: 'None' },
  ]) {
    expect(problemOf({ ...good, cookie }), JSON.stringify(cookie)).not.toBe('');
  }
  expect(
    problemOf({ ...good, redirectUri: 'http://localhost/callback', cookie: { sameSite: 'none' } }),
  ).toContain('https');
  expect(problemOf({ ...good, cookie: { domain: 'example.com' } })).toBe('');
});

test('a WorkOS client of the application provides key, client id and base URL', () => {
  const workos = new WorkOS('sk_lent', {
    clientId: 'client_lent',
    apiHostname: 'api.example.com',
    port: 8443,
  });
  const { redirectUri, cookiePassword } = good;
  expect(resolveConfig({ workos, redirectUri, cookiePassword }, {})).toMatchObject({
    apiKey: 'sk_lent',
    clientId: 'client_lent',
    api: { origin: 'https://api.example.com:8443' },
  });
});

test('only config_invalid is thrown', () => {
  const odd = [
    null,
    undefined,
    0,
    '',
    'x',
    [],
    {},
    true,
    Symbol.iterator,
    () => 1,
    NaN,
    new Date(),
    new Map(),
  ];
  for (const key of Object.keys({
    ...good,
    cookie: 1,
    routes: 1,
    signIn: 1,
    issuer: 1,
    timeout: 1,
    apiPort: 1,
    workos: 1,
    now: 1,
    returnTo: 1,
    returnToOrigins: 1,
    onError: 1,
  })) {
    for (const value of odd) problemOf({ ...good, [key]: value });
  }
  for (const value of odd) problemOf(value);
  expect(() => authkit(null as never)).toThrow(AuthKitError);
});

test('a callback route of the application is not accepted as returnTo', () => {
  const config = resolveConfig({ ...good, routes: { callback: false } }, {});
  expect(config.returnToRules.ownPaths).toContain('/auth/callback');
});

describe('further values of the same kinds', () => {
  const HEADER = [
    '\r\nSet-Cookie: x=1',
    'a;b',
    'a=b',
    'a b',
    'a,b',
    '"a"',
    'é',
    '\u0000',
    ' a',
    'a ',
    '',
    null,
    1,
    [],
    {},
  ];
  const rows: [field: string, value: unknown][] = [
    ...HEADER.filter((value) => value !== null).map((value): [string, unknown] => ['cookieName', value]),
    ...HEADER.filter((value) => value !== null).map((value): [string, unknown] => ['cookieDomain', value]),
    ...['/', '/x', '', 'x', '/;Secure'].map((value): [string, unknown] => ['cookiePath', value]),
    ...['Lax', 'LAX', 'none', 'no', '', 1, true, 'lax; Secure', 'strict\n'].map(
      (value): [string, unknown] => ['sameSite', value],
    ),
    ...[0, -1, 1.5, NaN, Infinity, '5', 34_560_001, 1e18, {}, [60]].map((value): [string, unknown] => [
      'maxAge',
      value,
    ]),
    ...[
      '',
      'short',
      'x'.repeat(64),
      'ab'.repeat(40),
      'abcdefghij'.repeat(4),
      ['good', 1],
      [''],
      7,
      {},
      [[]],
      ' '.repeat(40),
    ].map((value): [string, unknown] => ['cookiePassword', value]),
    ...[
      '',
      '/cb',
      'x',
      'ftp://x/callback',
      'javascript:alert(1)',
      'https://u:p@x/callback',
      'https://x/callback?a=1',
      'https://x/callback#a',
      'https:\\\\x\\callback',
      'https:///callback',
      'http://[::1/callback',
      'https://x/other',
      'data:,/callback',
      ' https://x/callback',
      'https://x/call back',
      7,
      {},
    ].map((value): [string, unknown] => ['redirectUri', value]),
  ];
  test.for(rows)('%s %j is refused', ([field, value], context) => {
    counted(context, { corpus: 'config-values, further', on: 'function' });
    // SameSite=None requires https, which this configuration has.
    const isFine = (field === 'sameSite' && value === 'none') || (field === 'cookiePath' && value === '/');
    expect(problemOf({ ...good, ...PLACES[field]!(value) }) === '').toBe(isFine);
  });
});

test('T34 weak cookie passwords are rejected, with the command that creates a strong one', () => {
  for (const cookiePassword of [
    '',
    'short',
    'x'.repeat(64),
    'abc'.repeat(20),
    'abcdefghij'.repeat(4),
    [],
    ['correct-horse-battery-staple-0123456789', ''],
  ])
    expect(() => authkit({ ...good, cookiePassword })).toThrow(/openssl rand -base64 32|secret/);
});
