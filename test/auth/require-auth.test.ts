import { describe, expect, test } from 'vitest';
import cookieParser from 'cookie-parser';
import helmet from 'helmet';
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { FRAMEWORKS, serve, type Handler } from '../support/frameworks.js';
import { ADA, whoami, createTestApp } from '../support/app.js';

describe.each(FRAMEWORKS)('requireAuth on %s', (framework) => {
  test('redirects a page load to sign-in, and responds 401 to everything else', async () => {
    const { origin, served } = await createTestApp(framework);
    const page = await send(`${origin}/account?x=1`, { headers: NAVIGATION });
    expect(page.status).toBe(302);
    expect(page.location).toBe(`${origin}/login?returnTo=${encodeURIComponent('/account?x=1')}`);
    expect(page.headers['cache-control']).toBe('private, no-store');
    for (const [method, headers] of [
      ['GET', FETCH],
      ['GET', {}],
      ['GET', { accept: '*/*' }],
      ['GET', { accept: 'application/json' }],
      ['POST', NAVIGATION],
      ['POST', FETCH],
      ['DELETE', {}],
      ['OPTIONS', { origin: 'https://other.example', 'access-control-request-method': 'GET' }],
    ] as const) {
      const reply = await send(`${origin}/account`, { method, headers });
      expect(reply.status, `${method} ${JSON.stringify(headers)}`).toBe(401);
      expect(reply.headers['www-authenticate']).toBe('Bearer');
      if (headers !== NAVIGATION) {
        expect(JSON.parse(reply.body)).toMatchObject({
          status: 401,
          error: 'unauthenticated',
          // A relative path would point to a login route on the other origin.
          loginUrl: 'origin' in headers ? `${origin}/login` : '/login',
        });
      }
    }
    expect(served()).toBe(0);
  });

  test('passes a request with a session and sets its user', async () => {
    const { origin, cookie, served } = await createTestApp(framework);
    const reply = await send(`${origin}/account`, {
      headers: { ...FETCH, cookie: await cookie({ user: ADA }) },
    });
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.body)).toMatchObject({ email: ADA });
    expect(reply.headers['cache-control']).toBe('private, no-cache');
    expect(reply.headers.vary).toBe('Cookie');
    expect(reply.setCookies).toEqual([]);
    expect(served()).toBe(1);
  });

  test('a rule that is not met is 403 for pages and scripts, never another sign-in', async () => {
    const { origin, cookie, served } = await createTestApp(framework, {
      rule: { permission: 'billing:read' },
    });
    const allowed = await cookie({ user: ADA, permissions: ['billing:read'] });
    const refused = await cookie({ user: ADA, permissions: ['billing:readonly', 'billing'] });
    expect((await send(`${origin}/account`, { headers: { ...NAVIGATION, cookie: allowed } })).status).toBe(
      200,
    );
    expect((await send(`${origin}/account`, { headers: { ...NAVIGATION, cookie: refused } })).status).toBe(
      403,
    );
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: refused } })).status).toBe(403);
    expect(served()).toBe(1);
  });

  test('works without parentheses', async () => {
    let served = 0;
    const { origin, cookie } = await createTestApp(framework, {
      routes: (app) => {
        app.route('/bare', requireAuth, (req, res, next) => {
          served += 1;
          whoami(req, res, next);
        });
      },
    });
    expect((await send(`${origin}/bare`, { headers: FETCH })).status).toBe(401);
    expect((await send(`${origin}/bare`, { headers: { ...FETCH, cookie: await cookie() } })).status).toBe(
      200,
    );
    expect(served).toBe(1);
  });

  test('ignores req.auth and req.user set by other middleware', async () => {
    let served = 0;
    const { origin } = await createTestApp(framework, {
      routes: (app) => {
        app.use((req, _res, next) => {
          Object.assign(req, {
            user: { id: 'user_evil' },
            auth: { type: 'session', user: { id: 'user_evil' } },
          });
          next();
        });
        app.route('/planted', requireAuth(), (_req, res) => {
          served += 1;
          res.end();
        });
      },
    });
    expect((await send(`${origin}/planted`, { headers: FETCH })).status).toBe(401);
    expect(served).toBe(0);
  });

  test('without authkit() before it, the error says what to add', async () => {
    const site = await serve(framework, (app) => {
      app.route('/lonely', requireAuth(), whoami);
    });
    const reply = await send(`${site.origin}/lonely`, { headers: FETCH });
    await site.close();
    expect(reply.status).toBe(500);
    expect(site.errors).toMatchObject([{ code: 'not_mounted' }]);
    for (const part of ['authkit() has not seen', 'app.use(authkit())', 'app.use(auth.session)'])
      expect(String(site.errors[0])).toContain(part);
  });

  test('works mounted at a prefix with the session middleware for the rest, and without a prefix', async () => {
    for (const mount of ['prefix', 'root'] as const) {
      const { origin, browser, signIn } = await createTestApp(framework, {
        callback: '/auth/callback',
        mount: (app, auth) => {
          if (mount === 'prefix' && framework !== 'http') {
            app.use('/auth', auth);
            app.use(auth.session);
          } else app.use(auth);
        },
      });
      const away = await browser.go(`${origin}/account`);
      expect(away.location).toBe(`${origin}/auth/login?returnTo=%2Faccount`);
      const back = await signIn();
      expect(back.url).toBe(`${origin}/account`);
      expect(back.status).toBe(200);
    }
  });

  test('P03 mounting the middleware several times causes one refresh and one cookie', async () => {
    const { origin, cookie, workos } = await createTestApp(framework, {
      mount: (app, auth) => {
        app.use(auth);
        app.use(auth.session);
        app.use(auth);
      },
    });
    const expired = await cookie();
    workos.clock.advance(600_000);
    const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: expired } });
    expect(reply.status).toBe(200);
    expect(reply.setCookies).toHaveLength(1);
    expect(workos.callsTo('refresh')).toHaveLength(1);
  });

  test('a malformed cookie means anonymous and is not cleared', async () => {
    const { origin, cookie } = await createTestApp(framework);
    const valid = await cookie();
    for (const broken of [
      'wos-session=junk',
      valid.slice(0, -6),
      'wos-session=%',
      `wos-session=${'A'.repeat(8000)}`,
    ]) {
      const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: broken } });
      expect(reply.status).toBe(401);
      expect(reply.setCookies).toEqual([]);
    }
    const tossed = `wos-session=junk; ${valid}`;
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: tossed } })).status).toBe(200);
  });
});

test('with several instances, req.auth is that of the first at which the request is signed in', async () => {
  const first = await createTestApp('express5', { authkit: { cookie: { name: 'one' } } });
  const second = await createTestApp('express5');
  const tenants = await serve('express5', (app, origin) => {
    for (const [name, { workos }] of [
      ['one', first],
      ['two', second],
    ] as const) {
      const redirectUri = `${origin}/${name}/callback`;
      const auth = authkit({ ...workos.options, redirectUri, cookie: { name } });
      app.use(`/${name}`, auth);
      app.use(auth.session);
    }
    app.route('/account', requireAuth(), whoami);
  });
  const two = (await second.cookie({ user: ADA })).replace('wos-session', 'two');
  const reply = await send(`${tenants.origin}/account`, { headers: { ...FETCH, cookie: two } });
  expect(JSON.parse(reply.body)).toMatchObject({ email: ADA });
  const one = (await first.cookie({ user: 'grace@example.com' })).replace('wos-session', 'one');
  for (const cookie of [`${one}; ${two}`, `${two}; ${one}`]) {
    const both = await send(`${tenants.origin}/account`, { headers: { ...FETCH, cookie } });
    expect(JSON.parse(both.body)).toMatchObject({ email: 'grace@example.com' });
  }
  const anonymous = await send(`${tenants.origin}/account`, { headers: NAVIGATION });
  expect(anonymous.location).toBe(`${tenants.origin}/one/login?returnTo=%2Faccount`);
  await tenants.close();
});

test('cookie-parser and helmet can run before or after the guard', async () => {
  const { workos, cookie } = await createTestApp('express5');
  const header = `${await cookie()}; theme=dark`;
  const others = [cookieParser('a secret of the application'), helmet()] as unknown as Handler[];
  for (const order of ['before', 'after', 'never'] as const) {
    const site = await serve('express5', (app, origin) => {
      if (order === 'before') for (const other of others) app.use(other);
      app.use(authkit({ ...workos.options, redirectUri: `${origin}/callback` }));
      if (order === 'after') for (const other of others) app.use(other);
      app.route('/account', requireAuth(), (req, res) => {
        const { cookies } = req as unknown as { cookies?: Record<string, string> };
        res.end(`${signedIn(req).user.email} ${cookies?.['theme'] ?? 'no cookies'}`);
      });
    });
    const reply = await send(`${site.origin}/account`, { headers: { ...FETCH, cookie: header } });
    expect(reply.body).toBe(`${ADA} ${order === 'never' ? 'no cookies' : 'dark'}`);
    await site.close();
  }
});

test('app.use(authkit) without parentheses throws at start-up and says what to write', () => {
  expect(() => express().use(authkit as never)).toThrow(/write app\.use\(authkit\(\)\)/);
});
