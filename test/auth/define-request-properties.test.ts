import { createServer, IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import express4 from 'express4';
import request from 'supertest';
import { expect, onTestFinished, test, vi } from 'vitest';
import { authkit, requireAuth, type Auth } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, json, createTestApp } from '../support/app.js';

test('a cached session is found by the whole cookie value, not by a part of it', async () => {
  const { origin, cookie, served } = await createTestApp('express5');
  const value = await cookie({ user: ADA });
  const ask = (header: string) => send(`${origin}/account`, { headers: { ...FETCH, cookie: header } });
  expect((await ask(value)).status).toBe(200);
  expect((await ask(value)).status).toBe(200);
  const before = served();
  for (const index of [
    20,
    60,
    120,
    300,
    Math.floor(value.length / 2),
    value.length - 80,
    value.length - 20,
  ]) {
    const char = value[index] === 'A' ? 'B' : 'A';
    const forged = value.slice(0, index) + char + value.slice(index + 1);
    expect((await ask(forged)).status, String(index)).toBe(401);
  }
  expect(served()).toBe(before);
});

test('a request without a prototype is authenticated and guarded', async () => {
  const { auth, cookie } = await createTestApp('express5');
  const guard = requireAuth();
  const server = createServer(({ method, url, headers, httpVersion, rawHeaders }, res) => {
    const fields = { method, url, headers, httpVersion, rawHeaders };
    const req = Object.assign(Object.create(null) as IncomingMessage & { auth: Auth }, fields);
    auth(req, res, (error) => {
      if (error !== undefined) res.writeHead(500).end();
      else guard(req, res, () => res.end(req.auth.user?.email));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
  const ask = async (headers: Record<string, string>) => {
    const { status, body } = await send(url, { headers: { ...FETCH, ...headers }, agent: false });
    return [status, status === 200 ? body : ''];
  };
  expect(await ask({ cookie: await cookie({ user: ADA }) })).toEqual([200, ADA]);
  expect(await ask({})).toEqual([401, '']);
});

test('an object that inherits from a request reads the same auth, and setting it there does not change the request', async () => {
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/inherited', requireAuth(), (req, res) => {
        const own = req as typeof req & { auth: Auth };
        const inherited = Object.create(own) as typeof own;
        const email = inherited.auth.user?.email;
        inherited.auth = { ...own.auth, user: null } as Auth;
        json(res, { email, still: own.auth.user?.email });
      });
    },
  });
  const reply = await send(`${origin}/inherited`, {
    headers: { ...FETCH, cookie: await cookie({ user: ADA }) },
  });
  expect(JSON.parse(reply.body)).toEqual({ email: ADA, still: ADA });
});

test('the auth routes match as Express routes do, and no other path is taken for one', async () => {
  const { origin } = await createTestApp('express5', {
    authkit: { routes: { login: '/_in', logout: '/9out' } },
    routes: (app) => {
      app.route('/inside', (_req, res) => res.end('theirs'));
    },
  });
  for (const path of ['/_in', '/_IN', '/_in/', '/_in?a=1', '/_In/GoogleOAuth']) {
    expect((await send(origin + path)).location, path).toContain('/user_management/authorize');
  }
  expect((await send(`${origin}/9OUT`, { headers: NAVIGATION })).body).toContain('Sign out?');
  for (const path of ['/_i', '/_inside', '/%5fin', '//_in', '/9ou']) {
    expect((await send(origin + path)).status, path).toBe(404);
  }
  expect((await send(`${origin}/inside`)).body).toBe('theirs');
});

test('sessions work with `sessionMemory: false`', async () => {
  const { origin, cookie } = await createTestApp('express5', { authkit: { sessionMemory: false } });
  const headers = { ...FETCH, cookie: await cookie({ user: ADA }) };
  for (let count = 0; count < 2; count += 1) {
    expect((await send(`${origin}/account`, { headers })).status).toBe(200);
  }
});

test.each([
  ['express 5', express],
  ['express 4', express4 as unknown as typeof express],
])(
  'an application mounted in an application of %s shares req.auth with it, and with no other application',
  async (_, make) => {
    const workos = await createTestWorkOS();
    const [outer, inner, other] = [make(), make(), make()];
    inner.use(authkit({ ...workos.options }) as never);
    inner.get('/inner', (req, res) => void res.json({ email: req.user?.email }));
    outer.use(inner);
    outer.get('/outer', (req, res) => void res.json({ email: req.user?.email }));
    const called = make();
    called.get('/called', (req, res) => void res.json({ email: req.user?.email }));
    outer.use((req, res, next) => {
      called(req, res, next);
    });
    other.get('/', (req, res) => {
      const seen = [];
      for (const name in req) if (name === 'auth' || name === 'user') seen.push(name);
      Object.assign(req, { user: 'their own' });
      res.json({ seen, auth: typeof (req as { auth?: unknown }).auth, user: req.user });
    });
    const early = make();
    early.use((req, _res, next) => {
      Object.assign(req, { user: { email: 'somebody@example.com' } });
      next();
    });
    early.use(authkit({ ...workos.options }) as never);
    early.get('/', (req, res) => void res.json({ email: req.user?.email }));
    const cookie = await workos.signIn({ user: ADA });
    await request(early).get('/').set('Cookie', cookie).expect(200, { email: ADA });
    for (const path of ['/inner', '/outer', '/called'])
      await request(outer).get(path).set('Cookie', cookie).expect(200, { email: ADA });
    await request(other).get('/').expect(200, { seen: [], auth: 'undefined', user: 'their own' });
    expect('auth' in IncomingMessage.prototype).toBe(false);
    await workos.close();
  },
);

test('req.user is set behind a guard even if the outer application uses another version of Express', async () => {
  const workos = await createTestWorkOS();
  const [outer, inner] = [express(), (express4 as unknown as typeof express)()];
  outer.use(authkit({ ...workos.options }));
  outer.use((req, res, next) => {
    inner(req, res, next);
  });
  inner.get('/', requireAuth(), (req, res) => void res.json({ email: req.user?.email }));
  const cookie = await workos.signIn({ user: ADA });
  await request(outer).get('/').set('Cookie', cookie).expect(200, { email: ADA });
  await workos.close();
});

test('two copies of the package work in one process', async () => {
  const workos = await createTestWorkOS();
  vi.resetModules();
  const copy = await import('../../src/index.js');
  expect(copy.authkit).not.toBe(authkit);
  const [one, another] = [express(), express()];
  one.use(authkit({ ...workos.options }));
  another.use(copy.authkit({ ...workos.options }));
  const cookie = await workos.signIn({ user: ADA });
  for (const app of [one, another, one]) {
    app.get('/', (req, res) => void res.json({ email: req.user?.email }));
    await request(app).get('/').set('Cookie', cookie).expect(200, { email: ADA });
  }
  await workos.close();
});

test('a req.user that another package defines on Express requests stays for requests outside this application', async () => {
  const workos = await createTestWorkOS();
  const own = Object.getOwnPropertyDescriptor(express.request, 'user');
  Object.defineProperty(express.request, 'user', { configurable: true, get: () => 'theirs' });
  try {
    vi.resetModules();
    const copy = await import('../../src/index.js');
    const [ours, theirs] = [express(), express()];
    ours.use(copy.authkit({ ...workos.options }));
    for (const app of [ours, theirs]) app.get('/', (req, res) => void res.json({ user: req.user ?? null }));
    await request(ours).get('/').expect(200, { user: null });
    await request(theirs).get('/').expect(200, { user: 'theirs' });
  } finally {
    delete (express.request as { user?: unknown }).user;
    if (own) Object.defineProperty(express.request, 'user', own);
    await workos.close();
  }
});
