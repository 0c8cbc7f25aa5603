import { describe, expect, test } from 'vitest';
import { requireAuth, type AuthKit } from 'authkit-express';
import { FRAMEWORKS, serve, type Handler } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, json, whoami, createTestApp } from '../support/app.js';

const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

/** Headers of different clients, and whether the client is a browser that shows the response as a page. */
const CLIENTS: [name: string, headers: Record<string, string>, isPage: boolean][] = [
  ['says nothing', {}, false],
  ['takes anything', { accept: '*/*' }, false],
  ['takes JSON', { accept: 'application/json' }, false],
  ['takes JSON before HTML', { accept: 'application/json, text/plain, */*' }, false],
  ['an old browser', { accept: HTML }, true],
  ['in capitals', { accept: 'TEXT/HTML' }, true],
  ['an XHR that takes HTML', { accept: HTML, 'x-requested-with': 'XMLHttpRequest' }, false],
  ...['cors', 'no-cors', 'same-origin', 'websocket'].map(
    (mode) =>
      [`mode ${mode}`, { accept: HTML, 'sec-fetch-mode': mode }, false] as [
        string,
        Record<string, string>,
        boolean,
      ],
  ),
  ...['document', 'iframe', 'frame', 'object', 'embed'].map(
    (dest) =>
      [
        `navigates to a ${dest}`,
        { accept: '*/*', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': dest },
        true,
      ] as [string, Record<string, string>, boolean],
  ),
  ...['image', 'script', 'style', 'font', 'video', 'manifest', 'worker', 'empty'].map(
    (dest) =>
      [`loads a ${dest}`, { accept: HTML, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': dest }, false] as [
        string,
        Record<string, string>,
        boolean,
      ],
  ),
  ['navigates by a form', { accept: HTML, 'sec-fetch-mode': 'navigate', origin: 'null' }, true],
  ['an empty mode', { accept: HTML, 'sec-fetch-mode': '' }, true],
];

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'];

describe.each(['express5', 'express4'] as const)('page or JSON, on %s', (framework) => {
  test('Accept, Fetch Metadata and method decide between a redirect, a page and JSON', async () => {
    let called = 0;
    const handler: Handler = (_req, res) => {
      called += 1;
      json(res, {});
    };
    const { origin, cookie, workos } = await createTestApp(framework, {
      authkit: { timeout: 500 },
      routes: (app) => {
        app.route('/rule', requireAuth({ permission: 'never' }), handler);
        app.route('/stale', requireAuth({ maxAge: 60 }), handler);
        app.route('/redirect', requireAuth({ unauthenticated: 'redirect' }), handler);
        app.route('/respond', requireAuth({ unauthenticated: 'respond' }), handler);
        app.route('/outage', requireAuth(), handler);
      },
    });
    const session = await cookie({ claims: { auth_time: 1 } });
    const expired = await cookie({ expiresIn: -1 });
    workos.fail({ on: 'refresh', status: 503 });
    const login = (path: string) => `${origin}/login?returnTo=${encodeURIComponent(path)}`;
    for (const [name, headers, isPage] of CLIENTS) {
      const answers = METHODS.map(async (method) => {
        const isRead = method === 'GET' || method === 'HEAD';
        const ask = async (path: string, sent?: string) => {
          const all = sent === undefined ? headers : { ...headers, cookie: sent };
          const { status, location, headers: got } = await send(origin + path, { method, headers: all });
          return { status, location, challenge: got['www-authenticate'], retry: got['retry-after'] };
        };
        const bearer = { status: 401, location: undefined, challenge: 'Bearer', retry: undefined };
        const sentTo = (location: string, status = 302) => ({
          ...bearer,
          status,
          location,
          challenge: undefined,
        });
        const what = `${name}, ${method}`;
        expect(await ask('/account'), what).toEqual(isPage && isRead ? sentTo(login('/account')) : bearer);
        expect(await ask('/respond'), what).toEqual(bearer);
        expect(await ask('/redirect'), what).toEqual(
          isRead ? sentTo(login('/redirect')) : sentTo(`${origin}/login`, 303),
        );
        expect(await ask('/rule', session), what).toEqual({ ...bearer, status: 403, challenge: undefined });
        expect(await ask('/outage', expired), what).toEqual({
          ...bearer,
          status: 503,
          challenge: undefined,
          retry: '5',
        });
        const stepUp = {
          ...bearer,
          challenge: 'Bearer error="insufficient_user_authentication", max_age="60"',
        };
        expect(await ask('/stale', session), what).toEqual(
          isPage && isRead ? sentTo(`${login('/stale')}&maxAge=60`) : stepUp,
        );
      });
      await Promise.all(answers);
    }
    expect(called).toBe(0);
  });
});

describe.each(FRAMEWORKS)('responses of the application on %s', (framework) => {
  test('it responds itself, passes an error on, or gets the default response, and the guard never lets the request through', async () => {
    let called = 0;
    const seen: unknown[] = [];
    const { origin, site } = await createTestApp(framework, {
      routes: (app) => {
        const routes: Record<string, Handler> = {
          '/own': (_req, res) => {
            res.writeHead(418).end('own');
          },
          '/later': async (_req, res) => {
            await new Promise((resolve) => setImmediate(resolve));
            res.writeHead(418).end('later');
          },
          '/next': (_req, _res, next) => {
            next();
          },
          '/route': (_req, _res, next) => {
            next('route');
          },
          '/error': (_req, _res, next) => {
            next(Object.assign(new Error('mine'), { status: 409 }));
          },
          '/throws': () => {
            throw undefined; // eslint-disable-line @typescript-eslint/only-throw-error -- applications do
          },
          '/rejects': () => Promise.reject(new Error('mine')),
        };
        for (const [path, unauthenticated] of Object.entries(routes)) {
          app.route(
            path,
            requireAuth({
              unauthenticated: (req, res, next) => (seen.push(path), unauthenticated(req, res, next)),
            }),
            (_req, res) => {
              called += 1;
              json(res, {});
            },
          );
        }
      },
    });
    const statuses: Record<string, number> = {};
    for (const path of ['/own', '/later', '/next', '/route', '/error', '/throws', '/rejects']) {
      statuses[path] = (await send(origin + path, { headers: NAVIGATION })).status;
    }
    expect(statuses).toEqual({
      '/own': 418,
      '/later': 418,
      '/next': 401,
      '/route': 401,
      '/error': 409,
      '/throws': 500,
      '/rejects': 500,
    });
    expect(site.errors).toHaveLength(5);
    expect(seen).toHaveLength(7);
    expect(called).toBe(0);
  });
});

test('an outage is not treated as a missing session', async () => {
  let asked = 0;
  const { origin, cookie, workos } = await createTestApp('express5', {
    rule: { unauthenticated: () => (asked += 1) },
  });
  workos.fail({ on: 'refresh', status: 503 });
  const headers = { ...FETCH, cookie: await cookie({ expiresIn: -1 }) };
  expect((await send(`${origin}/account`, { headers })).status).toBe(503);
  expect(asked).toBe(0);
});

test.each(['https://*.example.com', '*', 'https://admin.example.com/', 'admin.example.com', 'null', '', 7])(
  'sameOrigin refuses %j, which no browser sends as the origin of a request',
  (origin) => {
    expect(() => requireAuth({ sameOrigin: [origin] as string[] })).toThrow('a list of origins');
  },
);

test('sameOrigin rejects unsafe requests with a cookie from any origin that is not listed', async () => {
  const reached: string[] = [];
  const { origin, cookie, workos } = await createTestApp('express5', {
    routes: (app) => {
      const rules = {
        '/own': requireAuth({ sameOrigin: true }),
        '/listed': requireAuth({ sameOrigin: ['https://admin.example.com'] }),
        '/off': requireAuth({ sameOrigin: false }),
        '/api': requireAuth({ accepts: ['session', 'bearer'], sameOrigin: true }),
      };
      for (const [path, guard] of Object.entries(rules))
        app.route(path, guard, (req, res) => {
          reached.push(`${req.method ?? ''} ${path}`);
          json(res, {});
        });
    },
  });
  const session = { cookie: await cookie() };
  const site = (value: string) => ({ 'sec-fetch-site': value });
  const table: [path: string, method: string, headers: Record<string, string>, status: number][] = [
    ['/own', 'POST', site('same-origin'), 200],
    ['/own', 'POST', site('none'), 200],
    ['/own', 'POST', {}, 200],
    ['/own', 'POST', { origin }, 200],
    ['/own', 'POST', site('same-site'), 403],
    ['/own', 'POST', site('cross-site'), 403],
    ['/own', 'POST', site('nonsense'), 403],
    ['/own', 'POST', { origin: 'https://evil.example' }, 403],
    // Because of SameSite=Lax, a different site cannot send the cookie with this request.
    ['/own', 'POST', { origin: 'null' }, 200],
    ['/own', 'POST', { ...site('cross-site'), origin: 'null' }, 403],
    ['/own', 'POST', { ...site('same-origin'), origin: 'null' }, 200],
    ['/own', 'POST', { ...site('same-origin'), origin: 'https://evil.example' }, 403],
    ['/own', 'POST', { ...site('cross-site'), origin }, 403],
    ['/own', 'DELETE', site('cross-site'), 403],
    ['/own', 'PATCH', site('cross-site'), 403],
    ['/own', 'PROPFIND', site('cross-site'), 403],
    ['/own', 'GET', site('cross-site'), 200],
    ['/own', 'HEAD', site('cross-site'), 200],
    ['/listed', 'POST', { ...site('cross-site'), origin: 'https://admin.example.com' }, 200],
    ['/listed', 'POST', { ...site('cross-site'), origin: 'https://admin.example.com.evil.example' }, 403],
    ['/listed', 'POST', site('same-origin'), 200],
    ['/off', 'POST', site('cross-site'), 200],
  ];
  for (const [path, method, headers, status] of table) {
    reached.length = 0;
    const reply = await send(origin + path, { method, headers: { ...headers, ...session } });
    expect(reply.status, `${method} ${path} ${JSON.stringify(headers)}`).toBe(status);
    expect(reached).toHaveLength(status === 200 ? 1 : 0);
  }
  const authorization = `Bearer ${await workos.accessToken()}`;
  const byToken = { ...site('cross-site'), authorization };
  expect((await send(`${origin}/api`, { method: 'POST', headers: byToken })).status).toBe(200);
  expect((await send(`${origin}/own`, { method: 'POST', headers: site('cross-site') })).status).toBe(401);
});

test('impersonation: false rejects impersonated sessions, by cookie and by token', async () => {
  const { origin, cookie, workos, served } = await createTestApp('express5', {
    rule: { impersonation: false },
    routes: (app) => {
      app.route('/api', requireAuth({ accepts: ['bearer'], impersonation: false }), whoami);
    },
  });
  const impersonator = { email: 'staff@example.com' };
  const ask = async (session: object) =>
    (await send(`${origin}/account`, { headers: { ...FETCH, cookie: await cookie(session) } })).status;
  expect(await ask({})).toBe(200);
  expect(await ask({ impersonator })).toBe(403);
  expect(await ask({ claims: { act: { sub: 'staff@example.com' } } })).toBe(403);
  expect(await ask({ claims: { act: null } })).toBe(403);
  expect(served()).toBe(1);
  const token = await workos.accessToken({ impersonator });
  const headers = { ...FETCH, authorization: `Bearer ${token}` };
  expect((await send(`${origin}/api`, { headers })).status).toBe(403);
});

test('a rule can take the organization from the request', async () => {
  const { origin, cookie, served } = await createTestApp('express5', {
    rule: { organization: (req) => new URL(req.url ?? '', 'http://x').searchParams.get('org') ?? undefined },
  });
  const headers = { ...FETCH, cookie: await cookie({ organizationId: 'org_a' }) };
  const none = { ...FETCH, cookie: await cookie({ organizationId: null }) };
  expect((await send(`${origin}/account?org=org_a`, { headers })).status).toBe(200);
  expect((await send(`${origin}/account?org=org_b`, { headers })).status).toBe(403);
  expect((await send(`${origin}/account`, { headers })).status).toBe(403);
  expect((await send(`${origin}/account`, { headers: none })).status).toBe(403);
  expect(served()).toBe(1);
});

test('a check passes only if it returns true', async () => {
  let called = 0;
  const checks: (() => unknown)[] = [
    () => 1,
    () => 'true',
    () => new Error('no'),
    () => ({}),
    () => undefined,
    () => Promise.resolve(1),
    () => ({
      then: (resolve: (value: unknown) => void) => {
        resolve('yes');
      },
    }),
    () => {
      throw new Error('broken');
    },
    () => {
      throw undefined; // eslint-disable-line @typescript-eslint/only-throw-error -- applications do
    },
    () => Promise.reject(new Error('broken')),
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- applications do
    () => Promise.reject(undefined),
  ];
  const { origin, cookie } = await createTestApp('express4', {
    routes: (app) => {
      for (const [i, check] of checks.entries())
        app.route(`/check/${i}`, requireAuth(check as never), (_req, res) => {
          called += 1;
          json(res, {});
        });
    },
  });
  const headers = { ...FETCH, cookie: await cookie() };
  const statuses = [];
  for (const i of checks.keys()) statuses.push((await send(`${origin}/check/${i}`, { headers })).status);
  expect(statuses).toEqual([403, 403, 403, 403, 403, 403, 403, 500, 500, 500, 500]);
  expect(called).toBe(0);
});

test('isRecent in a handler agrees with maxAge at a guard', async () => {
  const told: unknown[] = [];
  const { origin, cookie, workos } = await createTestApp('express5', {
    rule: { maxAge: 100 },
    routes: (app, auth) => {
      app.route('/recent', (req, res) => {
        told.push([auth.isRecent(req, 100), auth.isRecent(req, 50)]);
        json(res, {});
      });
      app.route('/wrong', (req) => auth.isRecent(req, -1));
    },
  });
  const now = Math.floor(workos.clock.now() / 1000);
  const recent = await cookie({ claims: { auth_time: now - 70 } });
  const unknown = await cookie({ claims: { auth_time: undefined } });
  for (const sent of [{ cookie: recent }, { cookie: unknown }, {}])
    await send(`${origin}/recent`, { headers: { ...FETCH, ...sent } });
  expect(told).toEqual([
    [true, false],
    [false, false],
    [false, false],
  ]);
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: recent } })).status).toBe(200);
  expect((await send(`${origin}/wrong`)).status).toBe(500);
});

test('with several instances, a token belongs to the one that recognizes it, and an outage of one is not a refusal', async () => {
  const [one, two] = [await createTestApp('express5'), await createTestApp('express5')];
  let called = 0;
  const instances: AuthKit[] = [];
  const { authkit } = await import('authkit-express');
  const site = await serve('express5', (app, origin) => {
    for (const [name, { workos }] of [
      ['one', one],
      ['two', two],
    ] as const) {
      const issuer = `${workos.url}/user_management/${workos.options.clientId}`;
      const auth = authkit({
        ...workos.options,
        issuer,
        redirectUri: `${origin}/${name}/callback`,
        cookie: { name },
      });
      instances.push(auth);
      app.use(`/${name}`, auth);
      app.use(auth.session);
    }
    const handler: Handler = (req, res, next) => {
      called += 1;
      whoami(req, res, next);
    };
    app.route('/api', requireAuth({ accepts: ['bearer', 'apiKey'] }), handler);
    app.route('/two', instances[1]!.requireAuth({ accepts: ['bearer', 'apiKey'] }), handler);
  });
  const ask = (path: string, token: string) =>
    send(site.origin + path, { headers: { ...FETCH, authorization: `Bearer ${token}` } });
  const first = await one.workos.accessToken({ user: ADA });
  expect((await ask('/api', first)).status).toBe(200);
  expect((await ask('/api', await two.workos.accessToken({ user: ADA }))).status).toBe(200);
  expect((await ask('/api', two.workos.createApiKey())).status).toBe(200);
  expect((await ask('/two', first)).status).toBe(401);
  one.workos.fail({ on: 'apiKey', status: 503 });
  expect((await ask('/api', 'sk_nobody')).status).toBe(503);
  expect((await ask('/two', 'sk_nobody')).status).toBe(401);
  expect(called).toBe(3);
  await site.close();
});
