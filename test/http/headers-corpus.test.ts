import { Agent, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { createTestWorkOS, type TestWorkOS } from 'authkit-express/testing';
import { FRAMEWORKS, serve, type Site } from '../support/frameworks.js';
import { corpus, rowsOn, type Row } from '../support/corpora.js';
import { random } from '../support/random.js';
import { tryAll } from '../support/tally.js';

interface HeaderRow extends Row {
  path: string;
  headers: Record<string, string>;
}

interface Answer {
  status: number;
  location: string;
  cookies: string[];
  body: string;
}

const REDIRECT = 'https://app.example.com/auth/callback';

const HOSTS = [
  'evil.example',
  'evil.example:443',
  'app.example.com.evil.example',
  'app.example.com@evil.example',
  '',
  ' ',
  'x'.repeat(900),
  '[::1]',
  '0',
  'é',
  '"',
  'a,b',
  'evil.example/x?y#z',
  'EVIL.example.',
  '%0d%0aSet-Cookie:x=1',
];
const SPOOFED = [
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-for',
  'x-forwarded-prefix',
  'x-forwarded-port',
  'x-forwarded-server',
  'forwarded',
  'x-original-url',
  'x-rewrite-url',
  'x-original-host',
  'x-host',
  'x-http-method-override',
  'x-method-override',
  'x-workos-session',
  'x-workos-middleware',
  'x-middleware-subrequest',
  'x-user-id',
  'x-auth-request-user',
  'x-remote-user',
  'remote-user',
  'x-url',
  'x-sign-up-paths',
  'via',
  'origin',
  'referer',
  'from',
];
const VALUES = [
  'evil.example',
  'true',
  '1',
  'admin',
  '/public',
  'https',
  'POST',
  'user_01',
  'null',
  '{"user":{"id":"user_01"}}',
  'middleware:middleware',
];
const AUTHORIZATIONS = [
  'Bearer',
  'Bearer ',
  'bearer x',
  'Bearer a.b.c',
  'Bearer eyJhbGciOiJub25lIn0.e30.',
  'BEARER  x  y',
  'Basic',
  'Basic !!!',
  'Basic dXNlcjpwYXNz',
  'Negotiate x',
  'Bearer null',
  'DPoP x',
  '=',
  ',',
  'x'.repeat(8000),
];
const PATHS = [
  '//protected',
  '///protected',
  '/./protected',
  '/../protected',
  '/x/../protected',
  '/%2e/protected',
  '/protected/',
  '/protected/.',
  '/protected//',
  '/PROTECTED',
  '/Protected',
  '/%70rotected',
  '/protected%2f',
  '/protected%00',
  '/protected%20',
  '/protected%09',
  '/protected;x',
  '/protected;/x',
  '/;/protected',
  '/protected?',
  '/protected?/public',
  '/protected#x',
  '/protected%23',
  '/protected%3f',
  '\\protected',
  '/\\protected',
  '/protected%5c',
  '/%2fprotected',
  '/protected%ff',
  '/protected%',
  '/protected.json',
  '/protected.',
  'http://evil.example/protected',
  'HTTP://evil.example//protected',
  '/public/..%2fprotected',
  '/public/%2e%2e/protected',
  '/protected/x',
  '/protected/../public',
  '/protected\u00e9',
];

/** Rows of the same kinds as those in the corpus. */
function further(): HeaderRow[] {
  const rows: HeaderRow[] = [];
  const add = (path: string, headers: Record<string, string>) =>
    void rows.push({ id: `further${rows.length}`, path, headers });
  for (const path of ['/auth/login', '/protected']) {
    for (const host of HOSTS) {
      add(path, { host });
      add(path, { 'x-forwarded-host': host });
    }
    for (const name of SPOOFED) for (const value of VALUES) add(path, { [name]: value });
    for (const authorization of AUTHORIZATIONS) add(path, { authorization });
    for (const site of ['none', 'same-origin', 'same-site', 'cross-site', 'x'])
      for (const mode of ['navigate', 'cors', 'no-cors', 'same-origin', 'websocket', 'x'])
        for (const dest of ['document', 'empty', 'image', 'iframe', 'script', 'x'])
          add(path, { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest });
  }
  for (const path of PATHS) add(path, {});
  return rows;
}

interface MadeRow extends HeaderRow {
  isPage: boolean;
}

const ACCEPTS: readonly (readonly [accept: string, isHtml: boolean])[] = [
  ['text/html', true],
  ['TEXT/HTML', true],
  ['text/html;q=0.1', true],
  ['text/html;level=1;q=0.001', true],
  ['application/json, text/html', true],
  ['application/json,text/html ; q=1', true],
  ['text/html;q=0, text/html;level=2', true],
  ['text/html;q=0', false],
  ['text/html; Q=0.000', false],
  ['application/json, text/html ;q=0.0', false],
  ['*/*', false],
  ['text/*', false],
  ['application/xhtml+xml', false],
  ['text/htmlx', false],
  ['x-text/html', false],
  ['text/html-x, a/b', false],
  ['', false],
  [',', false],
  [';', false],
  ['application/json;profile="text/html"', false],
];

/** Client headers, in addition to those that claim an identity. */
function made(count: number): MadeRow[] {
  const { pick, some, oneIn } = random('headers');
  return Array.from({ length: count }, (_, index) => {
    const spoofed = some(SPOOFED, 0, 3).map((name) => [name, pick(VALUES)]);
    const [accept, isHtml] = pick(ACCEPTS);
    const mode = oneIn(2)
      ? pick(['navigate', 'cors', 'no-cors', 'NAVIGATE', 'navigate, navigate', '', 'x'])
      : undefined;
    const authorization = oneIn(4) ? pick(AUTHORIZATIONS) : undefined;
    const isXhr = oneIn(5);
    const headers = {
      ...(Object.fromEntries(spoofed) as Record<string, string>),
      accept,
      ...(mode === undefined ? {} : { 'sec-fetch-mode': mode }),
      ...(isXhr ? { 'x-requested-with': pick(['XMLHttpRequest', 'xmlhttprequest']) } : {}),
      ...(!isXhr && oneIn(5) ? { 'x-requested-with': pick(['com.example.app', '', 'x']) } : {}),
      ...(oneIn(3) ? { host: pick(HOSTS) } : {}),
      ...(authorization === undefined ? {} : { authorization }),
    };
    // A guard that accepts only sessions ignores Authorization.
    const isPage = mode ? mode === 'navigate' : isHtml && !isXhr;
    return { id: `made${index}`, path: '/protected', headers, isPage };
  });
}

const SETTINGS = FRAMEWORKS.flatMap((framework) =>
  framework.startsWith('express')
    ? ([
        [framework, true],
        [framework, false],
      ] as const)
    : ([[framework, false]] as const),
);

describe.each(SETTINGS)('headers on %s, trust proxy %s', (framework, trustProxy) => {
  let workos: TestWorkOS;
  let site: Site;
  let served = 0;
  const agent = new Agent({ keepAlive: true });
  beforeAll(async () => {
    workos = await createTestWorkOS();
    site = await serve(framework, (app) => {
      app.set?.('trust proxy', trustProxy);
      app.use(authkit({ ...workos.options, redirectUri: REDIRECT }));
      app.use('/protected', requireAuth());
      app.route('/protected', (_req, res) => {
        served += 1;
        res.end('secret page');
      });
    });
  });
  afterAll(async () => {
    agent.destroy();
    await site.close();
    await workos.close();
  });

  /**
   * Sends the request target and headers unchanged. Returns `undefined` if Node's client refuses to send them.
   *
   * A row can make the server close its connection after the response. If the next row is sent on that connection, it is
   * sent again on a new one, as a browser does.
   */
  function ask(row: HeaderRow, connection: Agent | false = agent): Promise<Answer> | undefined {
    const { path, headers } = row;
    const { port } = site.server.address() as AddressInfo;
    const setHost = headers['host'] === undefined;
    let asked: ReturnType<typeof request>;
    try {
      asked = request({ host: '127.0.0.1', port, path, headers, setHost, agent: connection });
    } catch {
      return undefined;
    }
    return new Promise((resolve, reject) => {
      asked.on('response', (res) => {
        let body = '';
        res.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        res.on('end', () => {
          const { location = '', 'set-cookie': cookies = [] } = res.headers;
          resolve({ status: res.statusCode ?? 0, location, cookies, body });
        });
      });
      asked.on('error', (error) => {
        if (asked.reusedSocket) ask(row, false)?.then(resolve, reject);
        else reject(error);
      });
      asked.end();
    });
  }

  async function attempt(row: HeaderRow): Promise<number> {
    const fill = (value: string) => value.replaceAll('@@JWT@@', 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln');
    const filled = Object.entries(row.headers).map(([name, value]) => [name, fill(value)]);
    const headers = Object.fromEntries(filled) as Record<string, string>;
    const reply = await ask({ ...row, headers });
    if (!reply) return 0;
    // A prefetch gets an error status, so its result is not used.
    const isPrefetch = ['purpose', 'sec-purpose', 'x-moz'].some((name) => name in headers);
    expect(reply.status).toBeLessThan(isPrefetch ? 504 : 500);
    expect(reply.body).not.toContain('secret page');
    expect(served).toBe(0);
    if (row.path === '/auth/login' && reply.status === 302) expectOwnAddress(reply);
    else expect(reply.cookies).toEqual([]);
    if (row.path === '/protected') expect([302, 401, 400, 417]).toContain(reply.status);
    if (row.path !== '/auth/login' && reply.location !== '')
      expect(reply.location).toMatch(/^\/auth\/login(\?|$)/);
    return 1;
  }

  function expectOwnAddress({ location, cookies }: Answer): void {
    const { origin, searchParams } = new URL(location);
    expect({ origin, redirectUri: searchParams.get('redirect_uri') }).toEqual({
      origin: workos.url,
      redirectUri: REDIRECT,
    });
    expect(cookies).toHaveLength(1);
    expect(cookies[0]).toMatch(
      /^__Host-wos-auth-verifier-[0-9a-f]{8}=[\w-]{43}; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    );
  }

  test('headers', async (context) => {
    await tryAll(context, { corpus: 'headers', on: framework }, corpus<HeaderRow>('headers'), attempt);
  });

  test('further rows of the same kinds', async (context) => {
    await tryAll(
      context,
      { corpus: 'headers, further', on: framework },
      rowsOn(framework, further()),
      attempt,
    );
  });

  test('generated rows redirect to sign-in for a page load, and respond 401 otherwise', async (context) => {
    await tryAll(
      context,
      { corpus: 'headers, made', on: framework },
      rowsOn(framework, made(150)),
      async (row) => {
        const reply = await ask(row);
        // Node rejects some of the spoofed values before the application sees the request.
        if (!reply || reply.status === 400) return 0;
        expect({ status: reply.status, cookies: reply.cookies }).toEqual({
          status: row.isPage ? 302 : 401,
          cookies: [],
        });
        if (row.isPage) expect(reply.location).toBe('/auth/login?returnTo=%2Fprotected');
        expect(served).toBe(0);
        return 1;
      },
    );
  });
});
