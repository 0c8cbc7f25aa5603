import { createServer } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { protectedResource, requireAuth } from 'authkit-express';
import { FRAMEWORKS, type Handler, serve } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, whoami, createTestApp } from '../support/app.js';

const GRACE = 'grace@example.com';

const dropAuthorization: Handler = (req, _res, next) => {
  delete req.headers.authorization;
  next();
};

describe.each(FRAMEWORKS)('a guard that accepts only sessions, on %s', (framework) => {
  test('does not look at Authorization', async () => {
    const { origin, cookie, workos } = await createTestApp(framework);
    const session = await cookie({ user: ADA });
    for (const authorization of [
      'Basic c3RhZ2luZzpzaXRl',
      'Bearer a.b.c',
      'Bearer ',
      `Bearer ${await workos.accessToken({ user: GRACE })}`,
      `Bearer ${workos.createApiKey()}`,
    ]) {
      const headers = { ...FETCH, authorization };
      const reply = await send(`${origin}/account`, { headers: { ...headers, cookie: session } });
      expect(JSON.parse(reply.body)).toMatchObject({ type: 'session', email: ADA });
      expect((await send(`${origin}/account`, { headers })).status).toBe(401);
      const page = await send(`${origin}/account`, { headers: { ...NAVIGATION, authorization } });
      expect(page.location).toBe(`${origin}/login?returnTo=%2Faccount`);
    }
  });

  test('does not accept what an earlier guard accepted', async () => {
    const { origin, workos, cookie, served } = await createTestApp(framework, {
      mount: (app, auth) => {
        app.use(auth);
        app.use(requireAuth({ accepts: ['session', 'bearer', 'apiKey'] }));
        app.use(dropAuthorization);
      },
      routes: (app, auth) => {
        app.route('/instance', auth.requireAuth(), whoami);
        app.route('/rule', requireAuth({ permission: 'billing:read' }), whoami);
        app.route('/both', requireAuth({ accepts: ['session', 'apiKey'] }), whoami);
      },
    });
    const key = workos.createApiKey({ permissions: ['billing:read'] });
    const bearer = await workos.accessToken({ permissions: ['billing:read'] });
    const session = await cookie();
    for (const token of [key, bearer])
      for (const path of ['/account', '/instance', '/rule'])
        for (const more of [{}, { cookie: session }]) {
          const headers = { ...FETCH, ...more, authorization: `Bearer ${token}` };
          const reply = await send(origin + path, { headers });
          expect(reply.status, path).toBe(401);
          expect(reply.headers['www-authenticate']).toMatch(/^Bearer error="invalid_token"/);
        }
    expect(served()).toBe(0);
    const ask = async (token: string) =>
      (await send(`${origin}/both`, { headers: { ...FETCH, authorization: `Bearer ${token}` } })).status;
    expect(await ask(key)).toBe(200);
    expect(await ask(bearer)).toBe(401);
  });
});

test('a token of a protected resource does not pass a guard of authkit() that verifies tokens in another way', async () => {
  const { origin, workos } = await createTestApp('express5', {
    routes: (app, _auth, place) => {
      const resource = protectedResource({
        resource: `${place.origin}/mcp`,
        authorizationServers: [place.workos.url],
      });
      app.route('/mcp', resource.requireAuth(), whoami);
      app.route(
        '/inner',
        resource.requireAuth(),
        dropAuthorization,
        requireAuth({ accepts: ['bearer', 'session'] }),
        whoami,
      );
    },
  });
  const token = await workos.oauthToken({ audience: `${origin}/mcp` });
  const headers = { ...FETCH, authorization: `Bearer ${token}` };
  expect((await send(`${origin}/mcp`, { headers })).status).toBe(200);
  expect((await send(`${origin}/inner`, { headers })).status).toBe(401);
});

describe.each(FRAMEWORKS)('without parentheses, on %s', (framework) => {
  test('requireAuth and auth.requireAuth are guards', async () => {
    const { origin, cookie } = await createTestApp(framework, {
      routes: (app, auth) => {
        app.route('/exported', requireAuth, whoami);
        app.route('/instance', auth.requireAuth, whoami);
      },
    });
    const headers = { ...FETCH, cookie: await cookie({ user: ADA }) };
    for (const path of ['/exported', '/instance']) {
      expect((await send(origin + path, { headers: FETCH })).status).toBe(401);
      expect(JSON.parse((await send(origin + path, { headers })).body)).toMatchObject({ email: ADA });
    }
  });
});

describe('a guard that is called without next', () => {
  const warnings = () => {
    const seen: Error[] = [];
    const listen = (warning: Error) => void seen.push(warning);
    process.on('warning', listen);
    onTestFinished(() => void process.off('warning', listen));
    return seen;
  };

  test.each(['express5', 'express4'] as const)(
    'passes an error on, and does not continue, on %s',
    async (framework) => {
      const reached: string[] = [];
      const { origin, cookie, site } = await createTestApp(framework, {
        routes: (app, auth) => {
          const call = (guard: unknown) => guard as (req: unknown, res: unknown) => unknown;
          app.route('/sync', (req, res) => {
            call(requireAuth())(req, res);
          });
          app.route('/async', async (req, res) => {
            await call(auth.requireAuth({ role: 'admin' }))(req, res);
            reached.push('after the guard');
            res.end('secret');
          });
          app.route('/bare', (req, res) => {
            call(requireAuth)(req, res);
          });
        },
      });
      for (const headers of [{ ...FETCH, cookie: await cookie() }, FETCH])
        for (const path of ['/sync', '/async', '/bare']) {
          const reply = await send(origin + path, { headers });
          expect(reply.status).toBe(500);
          expect(reply.body).not.toContain('secret');
          expect(String(site.errors.pop())).toMatch(/TypeError: .*called without next.*requireAuth\(\)/);
        }
      expect(reached).toEqual([]);
      expect((await send(`${origin}/open`)).status).toBe(200);
    },
  );

  test('answers 500 with a warning where nothing handles errors, and the process lives', async () => {
    const seen = warnings();
    const guard = requireAuth() as unknown as (req: unknown, res: unknown) => unknown;
    const server = createServer((req, res) => void guard(req, res));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    expect((await send(`http://127.0.0.1:${port}/`)).status).toBe(500);
    expect((await send(`http://127.0.0.1:${port}/`)).status).toBe(500);
    expect(seen.map(({ message }) => message)).toContainEqual(expect.stringContaining('called without next'));
  });
});

test('a guard that is called with (ws, req, next), as by app.ws() of express-ws, passes a clear error on', async () => {
  const errors: unknown[] = [];
  const site = await serve('express5', (app) => {
    app.route('/x', (req, res) => {
      const ws = { send() {}, close() {} };
      for (const guard of [requireAuth(), requireAuth, requireAuth({ role: 'admin' })])
        (guard as unknown as (...args: unknown[]) => void)(ws, req, (error: unknown) => errors.push(error));
      res.end();
    });
  });
  onTestFinished(() => site.close());
  await send(`${site.origin}/x`);
  expect(errors).toHaveLength(3);
  for (const error of errors)
    expect(String(error)).toMatch(/TypeError: .*\(ws, req, next\).*auth\.authenticate\(req\)/);
});
