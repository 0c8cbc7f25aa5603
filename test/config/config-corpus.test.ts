import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { AuthKitError } from 'authkit-express';
import { resolveConfig } from '../../src/config/index.js';
import { createCookies } from '../../src/http/cookies.js';
import type { Row } from '../support/corpora.js';
import { random } from '../support/random.js';
import { tryAll } from '../support/tally.js';
import { checkOwnCookie, parseSetCookie } from '../support/leak-checks/set-cookie.js';

type Given = Parameters<typeof resolveConfig>[0];
type Resolved = ReturnType<typeof resolveConfig>;

const good = {
  clientId: 'client_01TEST',
  apiKey: 'sk_test_secret',
  redirectUri: 'https://app.example.com/auth/callback',
  cookiePassword: 'correct-horse-battery-staple-0123456789',
};

/** Returns the configuration, or `undefined` for `config_invalid`. Any other error fails the test. */
function resolved(options: unknown, env: NodeJS.ProcessEnv = {}): Resolved | undefined {
  try {
    return resolveConfig({ ...good, ...(options as Given) }, env);
  } catch (error) {
    expect(error).toBeInstanceOf(AuthKitError);
    expect((error as AuthKitError).code).toBe('config_invalid');
    return undefined;
  }
}

const NAMES = [
  'wos',
  'a',
  '__Host-x',
  '__Secure-x',
  '__host-x',
  '__Http-x',
  '__Host-Http-x',
  'A.b',
  "!#$%&'*+-.^_`|~",
  'x'.repeat(64),
];
const DOMAINS = [
  'example.com',
  'app.example.com',
  'EXAMPLE.com',
  '.example.com',
  'com',
  'example.com.',
  'xn--e1awd7f.com',
  '127.0.0.1',
  '[::1]',
  'localhost',
  'other.com',
  'ample.com',
  'a..com',
  '-a.com',
  'example.com:443',
  'https://example.com',
  'example.com/x',
];
const SAME_SITES = ['lax', 'strict', 'none', 'Lax', 'LAX', ' lax', 'no', '', 'lax,none', true, 0, null];
const AGES = [
  1,
  600,
  34_560_000,
  34_560_001,
  0,
  -0,
  -1,
  1.5,
  NaN,
  Infinity,
  1e21,
  '600',
  '1e3',
  '',
  true,
  null,
  [600],
  {},
  2 ** 53,
  'session',
];
const PATHS = ['/', '/', '/callback', '/auth', '/a b', '', 'x', '/;', '/é', null, 0];
const URIS = [
  'https://app.example.com/auth/callback',
  'http://localhost:3000/callback',
  'http://[::1]:3000/callback',
  'http://127.0.0.1/callback',
  'HTTPS://APP.EXAMPLE.COM/callback',
  'https://app.example.com:443/callback',
  'https://bücher.example.com/callback',
  'https://app.example.com./callback',
  'https://a:b@app.example.com/callback',
  'https://app.example.com/callback?',
  'https://app.example.com/callback#',
  'https://app.example.com/callback?a',
  'https://app.example.com/callback/',
  'https://app.example.com/x/../callback',
  'https://app.example.com\\callback',
  'https:app.example.com/callback',
  '//app.example.com/callback',
  'https://app.example.com/call\tback',
  ' https://app.example.com/callback',
  'https://app.example.com:0/callback',
  'https://app.example.com:65536/callback',
  'https://999.1.1.1/callback',
  'blob:https://app.example.com/callback',
  'https://%00/callback',
  'callback',
  '',
];
const PIECES = [
  ';',
  ',',
  '=',
  ' ',
  '\t',
  '\r\n',
  '\0',
  '"',
  '\\',
  'é',
  '\u200b',
  '; Secure',
  '; Domain=x',
  '/',
  '<',
  '(',
  '@',
  '\u007f',
  '\ud800',
  '.',
  '-',
];

interface ConfigRow extends Row {
  options: object;
}

/** Options of every form, a third of which contain an unexpected character. */
function made(count: number): ConfigRow[] {
  const { pick, oneIn, below } = random('configuration');
  const bent = (value: unknown) => {
    if (typeof value !== 'string' || !oneIn(3)) return value;
    const at = below(value.length + 1);
    return value.slice(0, at) + pick(PIECES) + value.slice(at);
  };
  return Array.from({ length: count }, (_, index) => {
    const cookie = {
      ...(oneIn(2) ? { name: bent(pick(NAMES)) } : {}),
      ...(oneIn(2) ? { domain: bent(pick(DOMAINS)) } : {}),
      ...(oneIn(3) ? { sameSite: bent(pick(SAME_SITES)) } : {}),
      ...(oneIn(4) ? { maxAge: pick(AGES) } : {}),
      ...(oneIn(6) ? { path: bent(pick(PATHS)) } : {}),
      ...(oneIn(6) ? { partitioned: pick([true, true, false, 1, 'true', null]) } : {}),
    };
    return {
      id: `made${index}`,
      options: { cookie, ...(oneIn(2) ? { redirectUri: bent(pick(URIS)) } : {}) },
    };
  });
}

/** Returns the cookies set for a session and for a sign-in. */
function lines(config: Resolved): Promise<readonly string[]> {
  const cookies = createCookies(config.cookie, config.signInLifetime);
  return new Promise((resolve, reject) => {
    const server = createServer((req: IncomingMessage, res: ServerResponse) => {
      cookies.setSession(req, res, 'Fe26.2*1*x~2', () => true);
      cookies.setTransaction(req, res, 'Fe26.2*1*y~2', 'x'.repeat(43));
      res.end();
    }).listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      fetch(`http://127.0.0.1:${port}/`)
        .then((reply) => {
          resolve(reply.headers.getSetCookie());
        }, reject)
        .finally(() => {
          server.closeAllConnections();
          server.close();
        });
    });
  });
}

test('generated options are rejected, or their cookies are accepted by browsers', async (context) => {
  let taken = 0;
  await tryAll(context, { corpus: 'config-values, made', on: 'function' }, made(400), async ({ options }) => {
    const config = resolved(options);
    if (!config) return 1;
    taken += 1;
    const { cookie, redirectUri } = config;
    expect(redirectUri, 'as it was written').toBe(
      (options as { redirectUri?: string }).redirectUri ?? redirectUri,
    );
    expect(new URL(redirectUri).href).toMatch(/^https?:\/\/[\u0021-\u007e]+\/callback$/);
    const sent = await lines(config);
    expect(sent).toHaveLength(2);
    for (const line of sent) {
      const parsed = parseSetCookie(line);
      checkOwnCookie(parsed);
      expect(parsed.attributes.has('secure')).toBe(new URL(redirectUri).protocol === 'https:');
      const domain = parsed.attributes.get('domain')?.toLowerCase();
      const { hostname } = new URL(redirectUri);
      if (domain !== undefined) expect(`.${hostname}`.endsWith(`.${domain}`)).toBe(true);
    }
    expect(sent.at(-1)!.startsWith(`${cookie.name}=`), 'the session is the last').toBe(true);
    return 1;
  });
  expect(taken).toBeGreaterThan(20);
});

type Look = (config: Resolved) => unknown;
const age: Look = ({ cookie }) => cookie.maxAge;
const site: Look = ({ cookie }) => cookie.sameSite;
const origin: Look = ({ api }) => api.origin;
const REFUSED = Symbol('refused');

/** Environment variables as people type them, and as shells, files and dashboards change them. */
const VARIABLES: readonly (readonly [look: Look, env: Record<string, string>, expected: unknown])[] = [
  ...['5', ' 5', '5\n', '005', '\ufeff5'].map((value) => [age, { WORKOS_COOKIE_MAX_AGE: value }, 5] as const),
  ...['1e3', '0x10', '-1', '+5', '0', '5.0', '5s', '٥', 'NaN', 'Infinity', '34560001', '5 6', '"5"'].map(
    (value) => [age, { WORKOS_COOKIE_MAX_AGE: value }, REFUSED] as const,
  ),
  ...['', ' ', '\t'].map((value) => [age, { WORKOS_COOKIE_MAX_AGE: value }, 34_560_000] as const),
  ...['Lax', ' LAX '].map((value) => [site, { WORKOS_COOKIE_SAMESITE: value }, 'lax'] as const),
  [site, { WORKOS_COOKIE_SAME_SITE: 'None' }, 'none'],
  [site, { WORKOS_COOKIE_SAMESITE: 'strict', WORKOS_COOKIE_SAME_SITE: 'None' }, 'strict'],
  ...['no', 'false', 'lax; Secure', '"lax"', '__proto__'].map(
    (value) => [site, { WORKOS_COOKIE_SAMESITE: value }, REFUSED] as const,
  ),
  ...['TRUE', 'True', '1', ' true'].map(
    (value) => [origin, { WORKOS_API_HTTPS: value }, 'https://api.workos.com'] as const,
  ),
  ...['FALSE', '0'].map((value) => [origin, { WORKOS_API_HTTPS: value }, 'http://api.workos.com'] as const),
  ...['no', 'yes', 'off', '2', '"true"', '__proto__', 'constructor', 'toString'].map(
    (value) => [origin, { WORKOS_API_HTTPS: value }, REFUSED] as const,
  ),
  ...['API.WorkOS.com', ' api.workos.com '].map(
    (value) => [origin, { WORKOS_API_HOSTNAME: value }, 'https://api.workos.com'] as const,
  ),
  [origin, { WORKOS_API_HOSTNAME: '[::1]' }, 'https://[::1]'],
  ...[
    'https://api.workos.com',
    'api.workos.com/',
    'api.workos.com:443',
    'a b',
    'a@b',
    '256.256.256.256',
    '[::',
    '[:::::]',
    'a\\b',
    '%00',
    'é.com',
    'a?b',
    'a#b',
  ].map((value) => [origin, { WORKOS_API_HOSTNAME: value }, REFUSED] as const),
  [origin, { WORKOS_API_PORT: '443' }, 'https://api.workos.com'],
  [origin, { WORKOS_API_PORT: '80', WORKOS_API_HTTPS: 'false' }, 'http://api.workos.com'],
  [origin, { WORKOS_API_PORT: '8443' }, 'https://api.workos.com:8443'],
  ...['0', '-1', '65536', '1e3', '0x50', '80a', '8 0', '999999999999'].map(
    (value) => [origin, { WORKOS_API_PORT: value }, REFUSED] as const,
  ),
  ...['__Host-x', 'x.y'].map(
    (name) => [({ cookie }: Resolved) => cookie.name, { WORKOS_COOKIE_NAME: name }, name] as const,
  ),
  ...['a b', 'a;b', 'a=b', 'a,b', '"a"', 'é', 'a\u200b'].map(
    (name) => [site, { WORKOS_COOKIE_NAME: name }, REFUSED] as const,
  ),
  ...['.example.com', 'com', 'example.com:443', 'https://example.com', 'evil.com', 'example.com/'].map(
    (domain) => [site, { WORKOS_COOKIE_DOMAIN: domain }, REFUSED] as const,
  ),
];

test('environment variables are read correctly or rejected', async (context) => {
  const rows = VARIABLES.map(([look, env, expected]) => ({ id: JSON.stringify(env), look, env, expected }));
  await tryAll(
    context,
    { corpus: 'config-values, variables', on: 'function' },
    rows,
    ({ look, env, expected }) => {
      // Without this, http is rejected for api.workos.com.
      const config = resolved({ allowInsecureHttp: true }, env);
      expect(config ? look(config) : REFUSED).toBe(expected);
      return 1;
    },
  );
});

test('values that are invalid in a header are rejected at start-up', () => {
  for (const odd of ['\u200b', '\ufeff', '\u00a0', 'é', '“', '\n', '\0'])
    for (const name of ['apiKey', 'clientId'])
      for (const value of [`x${odd}`, `${odd}x`]) expect(resolved({ [name]: value }), value).toBeUndefined();
  const variables = { WORKOS_API_KEY: '\ufeffsk_env\u00a0\n' };
  expect(resolved({ apiKey: undefined }, variables)?.apiKey).toBe('sk_env');
});
