import { Buffer } from 'node:buffer';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { trimOWS } from '../../src/http/request.js';
import { FRAMEWORKS, serve } from '../support/frameworks.js';
import { Browser, FETCH, NAVIGATION, send, type Reply } from '../support/browser.js';
import { ADA, whoami, createTestApp } from '../support/app.js';

const EPOCH = 'Expires=Thu, 01 Jan 1970 00:00:00 GMT';
const names = ({ setCookies }: Reply) => setCookies.map((line) => line.split('=', 1)[0]!);
const cleared = ({ setCookies }: Reply) => setCookies.filter((line) => line.includes('Max-Age=0'));

/** Sends the headers as bytes, which Node reads as latin1. */
function raw(origin: string, path: string, cookie: string): Promise<string> {
  const { port } = new URL(origin);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), '127.0.0.1', () => {
      const head = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept: application/json\r\n`;
      socket.write(Buffer.from(`${head}Cookie: ${cookie}\r\n\r\n`, 'latin1'));
    });
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('error', reject);
    socket.on('close', () => {
      resolve(text);
    });
  });
}

test.each([
  ['  a\t', 'a'],
  ['\t \t', ''],
  ['', ''],
  ['a b', 'a b'],
  ['\u00a0a\u00a0', '\u00a0a\u00a0'],
  ['\u000ba\u000c', '\u000ba\u000c'],
  ['\ufeffa\u2003', '\ufeffa\u2003'],
])('around %j only spaces and tabs are optional whitespace', (text, trimmed) => {
  expect(trimOWS(text)).toBe(trimmed);
});

describe.each(FRAMEWORKS)('cookies on %s', (framework) => {
  test.each([
    ['U+00A0', '\u00a0'],
    ['VT', '\u000b'],
    ['FF', '\u000c'],
    ['NEL', '\u0085'],
  ])('a name is its bytes: %s at its side makes another cookie', async (_, byte) => {
    const at = await createTestApp(framework, {
      authkit: { redirectUri: 'https://app.example.com/callback', cookie: { name: '__Host-session' } },
    });
    const own = await at.workos.signIn({ user: ADA, cookieName: '__Host-session' });
    const evil = await at.workos.signIn({ user: 'grace@example.com', cookieName: '__Host-session' });
    for (const planted of [byte + evil, evil.replace('=', `${byte}=`), `x=y;${byte} ${evil}`]) {
      expect(await raw(at.origin, '/account', `${planted}; ${own}`)).not.toContain('grace@');
      expect(await raw(at.origin, '/account', planted)).not.toContain('grace@');
    }
    expect(await raw(at.origin, '/account', `\t ${own} \t`)).toContain(ADA);
  });

  test('planted values do not hide the session, however many there are, whole or in chunks', async () => {
    const { origin, cookie } = await createTestApp(framework);
    const [name, value] = (await cookie({ user: ADA })).split(/=(.*)/s) as [string, string];
    const half = Math.ceil(value.length / 2);
    const chunks = `${name}.0=${value.slice(0, half)}; ${name}.1=${value.slice(half)}`;
    const ask = async (header: string) =>
      (await send(`${origin}/account`, { headers: { ...FETCH, cookie: header } })).status;
    for (const count of [1, 4, 8, 30]) {
      for (const junk of ['x', 'Fe26.2*1*x*x*x**x*x~2', 's1.x.x.x.x']) {
        const plant = (key: string) =>
          Array.from({ length: count }, (_, index) => `${key}=${junk}${index}`).join('; ');
        expect(await ask(`${plant(name)}; ${name}=${value}`)).toBe(200);
        expect(await ask(`${name}=${value}; ${plant(name)}`)).toBe(200);
        expect(await ask(`${plant(`${name}.0`)}; ${chunks}`)).toBe(200);
        expect(await ask(`${plant(`${name}.0`)}; ${plant(`${name}.1`)}; ${chunks}`)).toBe(200);
        expect(await ask(`${chunks}; ${plant(`${name}.0`)}; ${plant(`${name}.1`)}`)).toBe(200);
        expect(await ask(`${plant(name)}; ${chunks}; ${plant(name)}`)).toBe(200);
      }
    }
  });

  test('hundreds of planted sign-ins make no long response, and the newest sign-in works', async () => {
    const { origin, workos, browser } = await createTestApp(framework);
    const planted = Array.from({ length: 600 }, (_, index) => `wos-auth-verifier-${index.toString(36)}=`);
    const headers = { ...NAVIGATION, cookie: planted.join(';') };
    const login = await send(`${origin}/login`, { headers });
    expect(login.setCookies.length).toBeLessThanOrEqual(17);
    const fresh = login.setCookies.filter((line) => !line.includes('Max-Age=0'));
    expect(fresh).toHaveLength(1);
    const out = await send(`${origin}/logout`, {
      method: 'POST',
      headers: { ...headers, 'sec-fetch-site': 'same-origin' },
    });
    expect(out.setCookies.length).toBeLessThanOrEqual(20);
    await browser.jar.setCookie(fresh[0]!, origin);
    const back = await browser.go(await workos.authorize(login.location!, { user: ADA }));
    expect(back.status).toBe(302);
  });
});

test('forty thousand planted cookies are read in one pass', async () => {
  const workos = await createTestWorkOS();
  onTestFinished(() => workos.close());
  const auth = authkit({ ...workos.options, redirectUri: 'http://127.0.0.1/callback' });
  const server = createServer({ maxHeaderSize: 1 << 22 }, (req, res) => {
    auth(req, res, () => res.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const planted = (count: number) =>
    Array.from({ length: count }, (_, index) => `wos-auth-verifier-${index.toString(36)}=`).join(';');
  const headers = { ...NAVIGATION, cookie: planted(40_000) };
  const login = await send(`http://127.0.0.1:${port}/login`, { headers });
  expect([login.status, login.setCookies.length]).toEqual([302, 17]);
});

describe('two cookies of one name', () => {
  const site = async (cookie: object) => {
    const workos = await createTestWorkOS();
    onTestFinished(() => workos.close());
    const redirectUri = 'http://app.example.com/callback';
    const { origin, close } = await serve('express5', (app) => {
      app.use(authkit({ ...workos.options, redirectUri, cookie, allowInsecureHttp: true }));
      app.route('/account', requireAuth(), whoami);
    });
    onTestFinished(close);
    return { workos, origin };
  };

  test('of which one is of this host alone: the next session replaces both, and a sign-out clears both', async () => {
    const { workos, origin } = await site({ domain: 'example.com' });
    const cookie = await workos.signIn({ user: ADA });
    workos.clock.advance(600_000);
    const both = `${cookie}; ${cookie}`;
    const renewed = await send(`${origin}/account`, { headers: { ...FETCH, cookie: both } });
    expect(renewed.status).toBe(200);
    expect(cleared(renewed)).toEqual([`wos-session=; Max-Age=0; Path=/; ${EPOCH}; HttpOnly; SameSite=Lax`]);
    expect(renewed.setCookies.at(-1)).toMatch(/^wos-session=[^;]+; .*Domain=example\.com/);
    const out = await send(`${origin}/logout`, { method: 'POST', headers: { cookie: both } });
    expect(
      cleared(out)
        .filter((line) => line.startsWith('wos-session='))
        .map((line) => line.includes('Domain=')),
    ).toEqual([false, true]);
  });

  test('are both cleared where there are chunks', async () => {
    const { origin, workos } = await site({ domain: 'example.com' });
    const value = (await workos.signIn({ user: ADA })).split(/=(.*)/s)[1]!;
    const chunks = `wos-session.0=${value.slice(0, 500)}; wos-session.1=${value.slice(500)}`;
    const out = await send(`${origin}/logout`, {
      method: 'POST',
      headers: { cookie: `${chunks}; ${chunks}` },
    });
    for (const name of ['wos-session.0', 'wos-session.1'])
      expect(cleared(out).filter((line) => line.startsWith(`${name}=`))).toHaveLength(2);
  });

  test('without cookie.domain, only the cookie of this host is known', async () => {
    const { origin, workos } = await site({});
    const cookie = await workos.signIn({ user: ADA });
    const out = await send(`${origin}/logout`, {
      method: 'POST',
      headers: { cookie: `${cookie}; ${cookie}` },
    });
    expect(names(out)).toEqual(['wos-session']);
  });
});

test('the session is the last Set-Cookie, after what the application and other routes set; the marker is the first', async () => {
  const { origin, workos } = await createTestApp('express5', {
    mount: (app, auth) => {
      app.use((_req, res, next) => {
        res.setHeader('Set-Cookie', 'theme=dark');
        next();
      });
      app.use(auth);
    },
  });
  const login = await send(`${origin}/login`, { headers: NAVIGATION });
  const cookie = login.setCookies.at(-1)!.split(';', 1)[0]!;
  const back = await send(await workos.authorize(login.location!, { user: ADA }), {
    headers: { ...NAVIGATION, cookie },
  });
  const [theme, marker, transaction, session] = names(back);
  expect([theme, marker, session]).toEqual(['theme', 'wos-signed-in', 'wos-session']);
  expect(transaction).toMatch(/^wos-auth-verifier-/);
});

test('a 12 KB session, five open sign-ins and cookies of the application stay below the header limit of Node', async () => {
  const permissions = Array.from({ length: 250 }, (_, index) => `resource-${index}:manage`);
  const { origin, browser, workos, signIn } = await createTestApp('express5', {
    rule: { maxAge: 60 },
    workos: {
      users: [{ email: ADA, memberships: [{ organizationId: 'Big', permissions }] }],
      organizations: [{ name: 'Big' }],
    },
  });
  expect((await signIn(ADA, '/login?returnTo=/open')).status).toBe(200);
  await browser.jar.setCookie(`theme=${'x'.repeat(1000)}; Path=/`, origin);
  workos.clock.advance(120_000);
  for (let tab = 0; tab < 8; tab += 1) {
    // The query becomes three times as long in the URL of the login route.
    const guard = await browser.go(`${origin}/account?tab=${tab}&q=${'%22'.repeat(500)}`);
    expect(guard.status).toBe(302);
    const login = await browser.go(guard.location!);
    expect(login.status).toBe(302);
    const state = new URL(login.location!).searchParams.get('state')!;
    const carried = (await browser.jar.getCookieString(origin)).length;
    expect(carried).toBeGreaterThan(12_000);
    expect(carried + state.length).toBeLessThan(14_500);
    expect((await browser.go(`${origin}/open`)).status).toBe(200);
  }
  const names = await browser.cookieNames(origin);
  expect(names.filter((name) => name.startsWith('wos-auth-verifier-'))).toHaveLength(5);
});

test.each([1000, 2040, 2100, 3000, 4000])('a returnTo of %i characters comes back', async (length) => {
  const { origin, workos, browser } = await createTestApp('express5');
  const path = `/account?f=${'abc0'.repeat(length / 4)}`.slice(0, length);
  const guard = await browser.go(origin + path);
  const login = await browser.go(guard.location!);
  const back = await browser.go(await workos.authorize(login.location!, { user: ADA }));
  expect(back.location).toBe(origin + path);
});

test('a returnTo that is too long is dropped, and the sign-in goes on', async () => {
  const { origin, workos, browser } = await createTestApp('express5');
  const login = await browser.go(`${origin}/login?returnTo=/open?${'x'.repeat(5000)}`);
  const back = await browser.go(await workos.authorize(login.location!, { user: ADA }));
  expect([back.status, back.location]).toEqual([302, `${origin}/`]);
});

describe('cookie options', () => {
  const good = {
    clientId: 'client_1',
    apiKey: 'sk_1',
    cookiePassword: 'correct-horse-battery-staple-0123456789',
  };
  const configured =
    (cookie: object, redirectUri = 'https://app.example.com/auth/callback') =>
    () =>
      authkit({ ...good, redirectUri, cookie });

  test.each([
    [{ maxAge: null }, 'cookie.maxAge must be a whole number of seconds'],
    [{ maxAge: 'Session' }, 'cookie.maxAge must be a whole number of seconds'],
    [{ maxAge: undefined, name: null }, 'cookie.name must be'],
    [{ domain: null }, 'cookie.domain must be'],
    [{ path: 'auth' }, 'cookie.path must be a path'],
    [{ path: '' }, 'cookie.path must be a path'],
    [{ path: '/a;b' }, 'cookie.path must be a path'],
    [{ path: null }, 'cookie.path must be a path'],
    [{ path: '/other' }, 'cookie.path must contain the routes'],
    [{ path: '/au' }, 'cookie.path must contain the routes'],
    [{ path: '/auth/callback' }, 'cookie.path must contain the routes'],
    [{ path: '/auth', name: '__Host-session' }, 'needs cookie.path "/"'],
    [{ partitioned: 'true' }, 'cookie.partitioned must be true or false'],
    [{ partitioned: null }, 'cookie.partitioned must be true or false'],
  ])('%j is refused at start-up', (cookie, problem) => {
    expect(configured(cookie)).toThrow(problem);
  });

  test('partitioned needs https, as browsers require it', () => {
    expect(configured({ partitioned: true }, 'http://localhost:3000/callback')).toThrow(
      'cookie.partitioned needs a redirectUri with https',
    );
    for (const cookie of [
      { partitioned: true },
      { path: '/auth' },
      { path: '/auth/' },
      { maxAge: 'session' },
    ])
      expect(configured(cookie)).not.toThrow();
  });

  test('path and a session that ends with the browser are in the session cookie, also as it is renewed', async () => {
    const at = await createTestApp('express5', {
      callback: '/app/callback',
      authkit: { cookie: { path: '/app', maxAge: 'session' } },
      routes: (app) => {
        app.route('/app/me', requireAuth(), whoami);
      },
    });
    const { origin, workos, browser } = at;
    const login = await browser.go(`${origin}/app/login?returnTo=/app/me`);
    const back = await browser.go(await workos.authorize(login.location!, { user: ADA }));
    const expected = /^wos-session=[^;]+; Path=\/app; HttpOnly; SameSite=Lax$/;
    expect(back.setCookies.at(-1)).toMatch(expected);
    workos.clock.advance(600_000);
    const renewed = await browser.go(`${origin}/app/me`);
    expect([renewed.status, renewed.setCookies.at(-1)]).toEqual([200, expect.stringMatching(expected)]);
    expect((await browser.go(`${origin}/open`)).body).toContain('"email":null');
    const out = await browser.go(`${origin}/app/logout`, {
      method: 'POST',
      headers: { 'sec-fetch-site': 'same-origin' },
    });
    expect(out.setCookies.at(-1)).toBe(
      `wos-session=; Max-Age=0; Path=/app; ${EPOCH}; HttpOnly; SameSite=Lax`,
    );
    expect(await new Browser().cookieNames(origin)).toEqual([]);
  });

  test('partitioned is in every cookie, also in those that clear', async () => {
    const { origin, workos } = await createTestApp('express5', {
      authkit: {
        redirectUri: 'https://app.example.com/callback',
        cookie: { partitioned: true, sameSite: 'none' },
      },
    });
    const login = await send(`${origin}/login`, { headers: NAVIGATION });
    const { pathname, search } = new URL(await workos.authorize(login.location!, { user: ADA }));
    const cookie = login.setCookies[0]!.split(';', 1)[0]!;
    const back = await send(origin + pathname + search, { headers: { ...NAVIGATION, cookie } });
    expect(back.setCookies).toHaveLength(3);
    for (const line of [...login.setCookies, ...back.setCookies]) expect(line).toContain('; Partitioned; ');
  });
});
