import { describe, expect, test } from 'vitest';
import { inspect } from 'node:util';
import cookieParser from 'cookie-parser';
import helmet from 'helmet';
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { FRAMEWORKS, serve, type Handler } from '../support/apps.js';
import { ADA, whoami, world } from '../support/world.js';

describe.each(FRAMEWORKS)('the guard on %s', (framework) => {
  test('sends a page load to sign-in, and answers everything else with 401', async () => {
    const { origin, served } = await world(framework);
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
          // A path would mean the login route of the other origin.
          loginUrl: 'origin' in headers ? `${origin}/login` : '/login',
        });
      }
    }
    expect(served()).toBe(0);
  });

  test('lets a session through, and says who it is', async () => {
    const { origin, cookie, served } = await world(framework);
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

  test('a rule that is not met is 403 for a page and for a script, never a second sign-in', async () => {
    const { origin, cookie, served } = await world(framework, { rule: { permission: 'billing:read' } });
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

  test('guards without parentheses too', async () => {
    let served = 0;
    const { origin, cookie } = await world(framework, {
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

  test('believes nothing that another middleware planted', async () => {
    let served = 0;
    const { origin } = await world(framework, {
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

  test('without authkit() before it, says what to add', async () => {
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

  test('a prefix, with the session for the rest, and no prefix with routes that carry it', async () => {
    for (const mount of ['prefix', 'root'] as const) {
      const { origin, browser, signIn } = await world(framework, {
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

  test('mounted twice by mistake is one refresh and one cookie', async () => {
    const { origin, cookie, workos } = await world(framework, {
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

  test('a broken cookie is an anonymous visitor and stays as it is', async () => {
    const { origin, cookie } = await world(framework);
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

test('several instances: the first at which a request is signed in is the one that counts', async () => {
  const first = await world('express5', { authkit: { cookie: { name: 'one' } } });
  const second = await world('express5');
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
  const both = await send(`${tenants.origin}/account`, { headers: { ...FETCH, cookie: `${two}; ${one}` } });
  expect(JSON.parse(both.body)).toMatchObject({ email: 'grace@example.com' });
  const anonymous = await send(`${tenants.origin}/account`, { headers: NAVIGATION });
  expect(anonymous.location).toBe(`${tenants.origin}/one/login?returnTo=%2Faccount`);
  await tenants.close();
});

test('cookie-parser and helmet may run before, after or not at all', async () => {
  const { workos, cookie } = await world('express5');
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

test('tokens do not leak by being printed', async () => {
  const printed: string[] = [];
  let token = '';
  const { origin, cookie, workos } = await world('express5', {
    routes: (app) => {
      app.route('/print', requireAuth(), (req, res) => {
        const auth = signedIn(req);
        printed.push(
          JSON.stringify(auth),
          inspect(auth, { depth: 9 }),
          JSON.stringify({ ...auth }),
          inspect(req, { depth: 3 }),
        );
        token = auth.accessToken;
        res.end();
      });
    },
  });
  const session = await cookie();
  await send(`${origin}/print`, { headers: { ...FETCH, cookie: session } });
  expect(token.split('.')).toHaveLength(3);
  const [auth] = printed;
  expect(JSON.parse(auth!)).toMatchObject({ type: 'session', user: { email: ADA } });
  for (const text of printed.slice(0, 3)) expect(text).not.toContain(token);
  for (const text of printed) expect(text).not.toContain(workos.options.apiKey);
});

test('app.use(authkit) without parentheses fails at start-up, with a sentence', () => {
  expect(() => express().use(authkit as never)).toThrow(/write app\.use\(authkit\(\)\)/);
});
