import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { createCookies } from '../../src/http/cookies.js';
import { open } from '../../src/session/seal.js';
import { openSession, sealSession } from '../../src/session/sealed-session.js';
import { corpus, type Row } from '../support/corpora.js';
import { FETCH, NAVIGATION, send, type Reply } from '../support/browser.js';
import { ADA, world } from '../support/world.js';
import type { Handler } from '../support/apps.js';

const LATER = 600_000;
const isSession = (line: string) => /^wos-session(?:\.\d+)?=[^;]/.test(line);

/** The answer of a handler to a request whose session has just been refreshed. */
async function refreshed(
  handler: Handler,
  ask: { method?: string; headers?: Record<string, string> } = {},
): Promise<Reply> {
  const at = await world('express5', {
    routes: (app) => {
      app.route('/x', requireAuth(), handler);
    },
  });
  const cookie = await at.cookie();
  at.workos.clock.advance(LATER);
  return send(`${at.origin}/x`, { ...ask, headers: { ...FETCH, ...ask.headers, cookie } });
}

test('H01 a handler that sets, rewrites or removes Set-Cookie loses none of ours, and keeps its own', async () => {
  const set = await refreshed((_req, res) => res.setHeader('Set-Cookie', 'theme=dark').end());
  const written = await refreshed((_req, res) => res.writeHead(200, { 'Set-Cookie': 'theme=dark' }).end());
  const removed = await refreshed((_req, res) => {
    res.removeHeader('Set-Cookie');
    res.end();
  });
  for (const reply of [set, written]) expect(reply.setCookies).toContain('theme=dark');
  for (const reply of [set, written, removed]) expect(reply.setCookies.filter(isSession)).toHaveLength(1);
});

test('H02 streams, early flushes, early hints and events: the cookie is in the head', async () => {
  const handlers: Handler[] = [
    (_req, res) => res.write('a') && res.end('b'),
    (_req, res) => {
      res.flushHeaders();
      res.end('b');
    },
    (_req, res) => {
      res.writeEarlyHints({ link: '</style.css>; rel=preload' });
      res.end();
    },
    (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: x\n\n');
      res.end();
    },
  ];
  for (const handler of handlers)
    expect((await refreshed(handler)).setCookies.filter(isSession)).toHaveLength(1);
});

test('H03 whatever the handler says of caching, an answer with our cookie is stored by nobody', async () => {
  const reply = await refreshed((_req, res) => {
    res.setHeader('Cache-Control', 'public, max-age=600').setHeader('Vary', 'Accept').end();
  });
  expect(reply.headers).toMatchObject({ 'cache-control': 'private, no-store', vary: 'Accept, Cookie' });
});

test('H04 304, 204 and HEAD carry the refreshed cookie and no body', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'authkit-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  writeFileSync(join(folder, 'page.txt'), 'text');
  const workos = await createTestWorkOS();
  const app = express();
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
    return workos.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  app.use(authkit({ ...workos.options, redirectUri: `${origin}/callback` }), requireAuth());
  app.get('/empty', (_req, res) => void res.status(204).end());
  app.use(express.static(folder, { maxAge: 60_000 }));
  const etag = (await send(`${origin}/page.txt`, { headers: { ...FETCH, cookie: await workos.signIn() } }))
    .headers.etag!;
  for (const [path, method, headers, status] of [
    ['/page.txt', 'GET', { 'if-none-match': etag }, 304],
    ['/empty', 'GET', {}, 204],
    ['/page.txt', 'HEAD', {}, 200],
  ] as const) {
    const cookie = await workos.signIn();
    workos.clock.advance(LATER);
    const reply = await send(origin + path, { method, headers: { ...FETCH, ...headers, cookie } });
    expect({ status: reply.status, body: reply.body }).toEqual({ status, body: '' });
    expect(reply.setCookies.filter(isSession)).toHaveLength(1);
  }
});

/** Somebody with so many permissions that the session needs chunks. */
const withPermissions = (count: number) => ({
  organizations: [{ id: 'org_1', name: 'One' }],
  users: [
    {
      email: ADA,
      memberships: [
        {
          organizationId: 'org_1',
          permissions: Array.from({ length: count }, (_, index) => `resource-${index}:read`),
        },
      ],
    },
  ],
});

test('H05 chunks are headers of their own, never one with commas', async () => {
  const { signIn, browser, origin } = await world('express5', { workos: withPermissions(120) });
  expect((await signIn()).status).toBe(200);
  expect(await browser.cookieNames(origin)).toEqual(
    expect.arrayContaining(['wos-session.0', 'wos-session.1']),
  );
});

test('M01 HEAD has no side effect anywhere', async () => {
  const { origin, workos, cookie } = await world('express5');
  const session = await cookie();
  for (const path of ['/login', '/callback?code=x&state=y', '/logout', '/account']) {
    const reply = await send(origin + path, { method: 'HEAD', headers: { ...NAVIGATION, cookie: session } });
    expect([200, 302, 405]).toContain(reply.status);
    expect({ body: reply.body, cookies: reply.setCookies }).toEqual({ body: '', cookies: [] });
  }
  expect(workos.callsTo('authenticate')).toEqual([]);
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status).toBe(200);
});

test('M02 a preflight is never redirected', async () => {
  const { origin } = await world('express5');
  const headers = { origin: 'https://other.example', 'access-control-request-method': 'GET' };
  expect((await send(`${origin}/account`, { method: 'OPTIONS', headers })).status).toBe(401);
});

test('M03 POST, PUT and DELETE of nobody: 401, and no way back to them', async () => {
  const { origin } = await world('express5');
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
    const reply = await send(`${origin}/account`, { method, headers: NAVIGATION });
    expect({ status: reply.status, location: reply.location }).toEqual({ status: 401, location: undefined });
    expect(reply.body).not.toContain('returnTo');
  }
});

test('M04 a script that is nobody: 401 as JSON with WWW-Authenticate, and no flow begun', async () => {
  const { origin } = await world('express5');
  for (const headers of [
    FETCH,
    { accept: 'application/json' },
    { accept: '*/*' },
    { 'x-requested-with': 'XMLHttpRequest', accept: 'text/html' },
    {},
  ]) {
    const reply = await send(`${origin}/account`, { headers: headers });
    expect(reply.status).toBe(401);
    expect(reply.headers['www-authenticate']).toMatch(/^Bearer/);
    expect(JSON.parse(reply.body)).toMatchObject({ error: 'unauthenticated' });
    expect(reply.setCookies).toEqual([]);
  }
});

test('M05 a prefetch changes nothing', async () => {
  const { origin, cookie } = await world('express5');
  const session = await cookie();
  for (const path of ['/login', '/logout']) {
    const headers = {
      ...NAVIGATION,
      'sec-fetch-site': 'same-origin',
      'sec-purpose': 'prefetch;prerender',
      cookie: session,
    };
    const reply = await send(origin + path, { headers });
    expect(reply.headers['cache-control']).toContain('no-store');
    expect(reply.setCookies).toEqual([]);
  }
});

test('W01 an upgrade: valid is somebody, expired, malformed and foreign are nobody, and nothing is refreshed', async () => {
  const { auth, cookie, origin, workos } = await world('express5');
  const server = createServer();
  server.on('upgrade', (req: IncomingMessage, socket) => {
    void auth.authenticate(req).then((who) => {
      socket.end(
        `HTTP/1.1 ${who.type === null ? '401 Unauthorized' : '200 OK'}\r\nConnection: close\r\n\r\n`,
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const knock = async (session: string, from = origin) => {
    const headers = { connection: 'upgrade', upgrade: 'websocket', origin: from, cookie: session };
    return (await send(address, { headers })).status;
  };
  const session = await cookie();
  expect(await knock(session)).toBe(200);
  expect(await knock(session, 'https://evil.example')).toBe(401);
  for (const row of corpus<Row & { value: string }>('seal-bitflips').slice(0, 20))
    expect(await knock(`wos-session=${row.value}`)).toBe(401);
  workos.clock.advance(LATER);
  expect(await knock(session)).toBe(401);
  expect(workos.callsTo('refresh')).toEqual([]);
});

test('K01 a session that grows: one cookie, then chunks, then a loud error, never a silent circle', async () => {
  const seen = new Set<number>();
  for (const count of [0, 60, 120, 200, 500]) {
    const { signIn, browser, origin } = await world('express5', { workos: withPermissions(count) });
    const landed = await signIn();
    const names = await browser.cookieNames(origin);
    seen.add(names.length);
    if (count < 500) expect({ count, status: landed.status }).toEqual({ count, status: 200 });
    else expect({ status: landed.status, names }).toEqual({ status: 500, names: [] });
    for (const { length } of (await browser.jar.getCookieString(origin)).split('; '))
      expect(length).toBeLessThanOrEqual(4096);
  }
  expect(seen.size).toBeGreaterThan(2);
});

test('K02 chunks that shrink and grow leave nothing stale', async () => {
  const organizations = [{ id: 'org_1', name: 'One' }];
  const { signIn, browser, origin, workos } = await world('express5', { workos: withPermissions(120) });
  await signIn();
  for (const count of [1, 200, 0, 120]) {
    const permissions = Array.from({ length: count }, (_, index) => `resource-${index}:read`);
    workos.putUser({ email: ADA, memberships: [{ organizationId: organizations[0]!.id, permissions }] });
    workos.clock.advance(LATER);
    expect((await browser.go(`${origin}/account`)).status).toBe(200);
    expect((await browser.go(`${origin}/account`)).setCookies).toEqual([]);
    expect((await browser.cookieNames(origin)).includes('wos-session')).toBe(count < 2);
  }
});

test('K03 many chunks are capped, and .10 is no part of .1', async () => {
  const { origin, cookie } = await world('express5');
  const value = (await cookie()).split('=')[1]!;
  const third = Math.ceil(value.length / 3);
  const chunk = (index: number) => value.slice(index * third, (index + 1) * third);
  const ask = async (header: string) =>
    (await send(`${origin}/account`, { headers: { ...FETCH, cookie: header } })).status;
  expect(
    await ask(
      `wos-session.10=x; wos-session.2=${chunk(2)}; wos-session.0=${chunk(0)}; wos-session.1=${chunk(1)}`,
    ),
  ).toBe(200);
  const tiny = Array.from(value, (char, index) => `wos-session.${index}=${char}`).join('; ');
  expect(await ask(tiny.slice(0, 12_000))).toBe(401);
});

test.each([
  [{}, 'wos-session', 'Path=/; HttpOnly; SameSite=Lax'],
  [{ sameSite: 'strict' }, 'wos-session', 'Path=/; HttpOnly; SameSite=Strict'],
  [{ name: 'sid' }, 'sid', 'Path=/; HttpOnly; SameSite=Lax'],
  [
    { domain: 'example.com', secure: true },
    'wos-session',
    'Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Lax',
  ],
  [{ sameSite: 'none', secure: true }, 'wos-session', 'Path=/; HttpOnly; Secure; SameSite=None'],
  [{ path: '/app' }, 'wos-session', 'Path=/app; HttpOnly; SameSite=Lax'],
  [
    { sameSite: 'none', secure: true, partitioned: true },
    'wos-session',
    'Path=/; HttpOnly; Secure; Partitioned; SameSite=None',
  ],
] as const)(
  'K04 cookies with %j are set and cleared with the same attributes',
  async (options, name, attributes) => {
    const { setSession, clearSession } = createCookies(
      {
        name: 'wos-session',
        domain: undefined,
        path: '/',
        sameSite: 'lax',
        partitioned: false,
        maxAge: 9,
        endsWithBrowser: false,
        secure: false,
        ...options,
      },
      600,
    );
    const linesOf = async (act: (req: IncomingMessage, res: ServerResponse) => void, cookie = '') => {
      const server = createServer((req: IncomingMessage, res: ServerResponse) => {
        act(req, res);
        res.end();
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      const reply = await send(origin, { headers: { cookie } });
      server.close();
      const all = reply.setCookies.map((line) => {
        const [pair = '', ...rest] = line.split('; ');
        const isTime = (part: string) => /^(?:Max-Age|Expires)=/.test(part);
        return [pair.split('=', 1)[0], rest.filter((part) => !isTime(part)).join('; ')] as const;
      });
      // Where there is a domain, cookies of the host alone are cleared too.
      return all.filter(([, rest]) => !('domain' in options) || rest.includes('Domain='));
    };
    for (const [length, names] of [
      [10, [name]],
      [9000, [`${name}.0`, `${name}.1`, `${name}.2`]],
    ] as const) {
      const set = await linesOf((req, res) => {
        setSession(req, res, 'x'.repeat(length), () => true);
      });
      expect(set).toEqual(names.map((one) => [one, attributes]));
      const cleared = await linesOf(clearSession, names.map((one) => `${one}=x`).join('; '));
      expect(cleared).toEqual([...new Set([name, ...names])].map((one) => [one, attributes]));
    }
  },
);

test('K05 malformed sessions are nobody, never an error, and never cleared by a guess', async () => {
  const { origin, served } = await world('express5');
  for (const { value } of corpus<Row & { value: string }>('seal-bitflips').slice(0, 40)) {
    const reply = await send(`${origin}/account`, {
      headers: { ...NAVIGATION, cookie: `wos-session=${value}` },
    });
    expect({ status: reply.status, cookies: reply.setCookies }).toEqual({ status: 302, cookies: [] });
  }
  expect(served()).toBe(0);
});

test('K06 a planted cookie before the real one is read past', async () => {
  const { origin, cookie } = await world('express5');
  const reply = await send(`${origin}/account`, {
    headers: { ...FETCH, cookie: `wos-session=planted; ${await cookie()}` },
  });
  expect(reply.status).toBe(200);
});

/** The same application with other passwords. */
async function withPasswords(
  passwords: string[],
): Promise<{ origin: string; cookie: (password: string) => Promise<string>; advance: (ms: number) => void }> {
  const at = await world('express5', { authkit: { cookiePassword: passwords } });
  const cookie = async (password: string) => {
    const value = (await at.cookie()).split('=')[1]!;
    const session = openSession(value, [at.workos.options.cookiePassword], Date.now())!;
    return `wos-session=${await sealSession(session, password)}`;
  };
  return { origin: at.origin, cookie, advance: at.workos.clock.advance };
}

const NEW = 'a-newer-cookie-password-0123456789abcdefg';
const OLD = 'an-older-cookie-password-0123456789abcdef';

test('K07 rotation of passwords: the old one opens and the new one seals; without it nobody is an error', async () => {
  const both = await withPasswords([NEW, OLD]);
  const old = await both.cookie(OLD);
  expect((await send(`${both.origin}/account`, { headers: { ...FETCH, cookie: old } })).status).toBe(200);
  both.advance(LATER);
  const renewed = await send(`${both.origin}/account`, { headers: { ...FETCH, cookie: old } });
  const value = renewed.setCookies.find(isSession)!.slice('wos-session='.length).split(';', 1)[0]!;
  expect(open(value, [NEW], Date.now())).toBeDefined();
  const only = await withPasswords([NEW]);
  expect(
    (await send(`${only.origin}/account`, { headers: { ...FETCH, cookie: await only.cookie(OLD) } })).status,
  ).toBe(401);
});

test('K08 a deploy with another password: people sign in once, nobody gets an error, and going back finds them signed in', async () => {
  const other = await withPasswords([NEW]);
  const cookie = await other.cookie(OLD);
  const page = await send(`${other.origin}/account`, { headers: { ...NAVIGATION, cookie } });
  expect({ status: page.status, cookies: page.setCookies }).toEqual({ status: 302, cookies: [] });
});
