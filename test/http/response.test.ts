import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type ServerResponse, createServer } from 'node:http';
import express from 'express';
import { describe, expect, test, onTestFinished } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { FETCH, send, type Reply } from '../support/browser.js';
import { FRAMEWORKS, serve, type Handler } from '../support/frameworks.js';
import { ADA, createTestApp } from '../support/app.js';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestWorkOS } from 'authkit-express/testing';

const LATER = 600_000;

/** Ways to respond with which other libraries have lost a cookie. */
const HANDLERS: Record<string, (res: ServerResponse) => void> = {
  'setHeader Set-Cookie': (res) => {
    res.setHeader('Set-Cookie', 'theme=dark');
    res.end('x');
  },
  'writeHead with headers': (res) => {
    res.writeHead(200, {
      'Set-Cookie': 'theme=dark',
      'Cache-Control': 'public, max-age=3600',
      Vary: 'Accept',
    });
    res.end('x');
  },
  'writeHead with a list': (res) => {
    res.writeHead(200, ['Set-Cookie', 'theme=dark', 'Cache-Control', 'public']);
    res.end('x');
  },
  'removeHeader Set-Cookie': (res) => {
    res.removeHeader('Set-Cookie');
    res.setHeader('Set-Cookie', ['theme=dark']);
    res.end('x');
  },
  flushHeaders: (res) => {
    res.setHeader('Set-Cookie', 'theme=dark');
    res.flushHeaders();
    res.end('x');
  },
  'early hints, then a stream': (res) => {
    res.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
    res.setHeader('Set-Cookie', 'theme=dark');
    createReadStream(new URL(import.meta.url)).pipe(res);
  },
  '304': (res) => {
    res.setHeader('Set-Cookie', 'theme=dark');
    res.setHeader('ETag', '"x"');
    res.statusCode = 304;
    res.end();
  },
  '204': (res) => {
    res.setHeader('Set-Cookie', 'theme=dark');
    res.setHeader('CDN-Cache-Control', 'public, max-age=3600');
    res.statusCode = 204;
    res.end();
  },
};

const isSession = (line: string) => /^wos-session(?:\.\d+)?=[^;]/.test(line);

/** A handler's response to a request whose session has just been refreshed. */
async function refreshed(
  handler: Handler,
  ask: { method?: string; headers?: Record<string, string> } = {},
): Promise<Reply> {
  const at = await createTestApp('express5', {
    routes: (app) => {
      app.route('/x', requireAuth(), handler);
    },
  });
  const cookie = await at.cookie();
  at.workos.clock.advance(LATER);
  return send(`${at.origin}/x`, { ...ask, headers: { ...FETCH, ...ask.headers, cookie } });
}

describe.each(FRAMEWORKS)('a refreshed session on %s reaches the browser', (framework) => {
  test.each(Object.keys(HANDLERS))('if the handler uses %s', async (name) => {
    const { origin, cookie, workos } = await createTestApp(framework, {
      routes: (app) => {
        app.route('/handler', requireAuth(), (_req, res) => {
          HANDLERS[name]!(res);
        });
      },
    });
    const old = await cookie({ user: ADA });
    workos.clock.advance(LATER);
    const reply = await send(`${origin}/handler`, { headers: { ...FETCH, cookie: old } });
    expect(reply.setCookies.map((line) => line.split('=', 1)[0]).sort()).toEqual(['theme', 'wos-session']);
    expect(reply.headers['cache-control']).toBe('private, no-store');
    expect(reply.headers['cdn-cache-control']).toBeUndefined();
    expect(reply.headers.vary).toContain('Cookie');
  });
});

test('express.static cannot make a response with a session cacheable, and an anonymous one is unchanged', async () => {
  const { workos, cookie } = await createTestApp('express5');
  const site = await serve('express5', (app, origin) => {
    app.use(authkit({ ...workos.options, redirectUri: `${origin}/callback` }));
    app.use(express.static(import.meta.dirname, { maxAge: '1h' }) as unknown as Handler);
  });
  const file = `${site.origin}/response.test.ts`;
  const anonymous = await send(file);
  expect(anonymous.headers['cache-control']).toBe('public, max-age=3600');
  expect(anonymous.headers.vary).toBeUndefined();
  const old = await cookie({ user: ADA });
  workos.clock.advance(LATER);
  const renewed = await send(file, { headers: { ...FETCH, cookie: old } });
  expect(renewed.headers['cache-control']).toBe('private, no-store');
  expect(renewed.headers.vary).toBe('Cookie');
  await site.close();
});

test('a guarded response is never public, and a stricter Cache-Control is kept', async () => {
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app) => {
      for (const [path, value] of [
        ['/public', 'public, max-age=60'],
        ['/strict', 'no-store'],
        ['/plain', ''],
      ] as const) {
        app.route(path, requireAuth(), (_req, res) => {
          if (value) res.setHeader('Cache-Control', value);
          res.end();
        });
      }
    },
  });
  const headers = { ...FETCH, cookie: await cookie() };
  expect((await send(`${origin}/public`, { headers })).headers['cache-control']).toBe('private, no-cache');
  expect((await send(`${origin}/strict`, { headers })).headers['cache-control']).toBe('no-store');
  expect((await send(`${origin}/plain`, { headers })).headers['cache-control']).toBe('private, no-cache');
});

test.each([
  [0, ['wos-session']],
  [20, ['wos-session']],
  [100, ['wos-session.0', 'wos-session.1']],
  [140, ['wos-session.0', 'wos-session.1', 'wos-session.2']],
])('a session with %i permissions is stored in %j and can be read back', async (count, names) => {
  const permissions = Array.from({ length: count }, (_, index) => `resource-${index}:read-and-write`);
  const { origin, browser, workos, cookie } = await createTestApp('express5');
  const old = await cookie({ user: ADA, permissions });
  workos.clock.advance(LATER);
  const raw = await send(`${origin}/account`, { headers: { ...FETCH, cookie: old } });
  for (const line of raw.setCookies) {
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(4096);
    await browser.jar.setCookie(line, origin);
  }
  expect(await browser.cookieNames(origin)).toEqual(names);
  const again = await browser.fetch(`${origin}/account`);
  expect(again.status).toBe(200);
  expect(again.setCookies).toEqual([]);
});

test('a session can shrink and grow in chunks, and sign-out removes them all', async () => {
  const { origin, browser, workos } = await createTestApp('express5');
  const holding = async (count: number) => {
    const permissions = Array.from({ length: count }, (_, index) => `resource-${index}:read-and-write`);
    const session = await workos.signIn({ user: ADA, permissions });
    workos.clock.advance(LATER);
    // Only names: full chunks in addition to a full session would exceed Node's header limit.
    const kept = (await browser.cookieNames(origin))
      .filter((name) => name !== 'wos-session')
      .map((name) => `${name}=x`);
    const cookie = [session, ...kept].join('; ');
    const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie } });
    for (const line of reply.setCookies) await browser.jar.setCookie(line, origin);
    expect((await browser.fetch(`${origin}/account`)).status).toBe(200);
    return browser.cookieNames(origin);
  };
  expect(await holding(140)).toHaveLength(3);
  expect(await holding(100)).toHaveLength(2);
  expect(await holding(0)).toEqual(['wos-session']);
  expect(await holding(140)).toHaveLength(3);
  await browser.go(`${origin}/logout`, { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } });
  expect(await browser.cookieNames(origin)).toEqual([]);
});

test('a session that is too large for cookies is an error that says so, not a redirect loop', async () => {
  const seen: unknown[] = [];
  const metadata = Object.fromEntries(
    Array.from({ length: 40 }, (_, key) => [`key-${key}`, 'x'.repeat(300)]),
  );
  const { origin, browser, workos } = await createTestApp('express5', {
    workos: { users: [{ email: ADA, metadata }] },
    authkit: { onError: ({ error }) => void seen.push(error) },
  });
  const { location } = await browser.go(`${origin}/login`);
  const reply = await browser.go(await workos.authorize(location!, { user: ADA }));
  expect(reply.status).toBe(500);
  expect(seen).toMatchObject([{ code: 'cookie_too_large' }]);
  expect(await browser.cookieNames(origin)).toEqual([]);
});

test('H01 a handler that sets, rewrites or removes Set-Cookie does not remove the session cookie, and keeps its own', async () => {
  const set = await refreshed((_req, res) => res.setHeader('Set-Cookie', 'theme=dark').end());
  const written = await refreshed((_req, res) => res.writeHead(200, { 'Set-Cookie': 'theme=dark' }).end());
  const removed = await refreshed((_req, res) => {
    res.removeHeader('Set-Cookie');
    res.end();
  });
  for (const reply of [set, written]) expect(reply.setCookies).toContain('theme=dark');
  for (const reply of [set, written, removed]) expect(reply.setCookies.filter(isSession)).toHaveLength(1);
});

test('H02 streams, early flushes, early hints and server-sent events carry the session cookie', async () => {
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
