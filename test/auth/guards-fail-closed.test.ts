import { expect, onTestFinished, test } from 'vitest';
import { requireAuth } from 'authkit-express';
import type { Handler } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, whoami, createTestApp } from '../support/app.js';

/** Adds properties to `Object.prototype` until the end of the test, as a vulnerable dependency might. */
function pollute(properties: Record<string, unknown>): () => void {
  const prototype = Object.prototype as unknown as Record<string, unknown>;
  Object.assign(prototype, properties);
  const clean = () => {
    for (const name of Object.keys(properties)) Reflect.deleteProperty(prototype, name);
  };
  onTestFinished(clean);
  return clean;
}

test('T45 a rule that demands nothing by mistake throws where the route is defined', () => {
  class AdminOnly {
    get role() {
      return 'admin';
    }
  }
  for (const rule of [
    undefined,
    Promise.resolve({ role: 'admin' }),
    new Map([['role', 'admin']]),
    new AdminOnly(),
    Object.create({ role: 'admin' }),
    Object.defineProperty({}, 'role', { value: 'admin' }),
    { [Symbol('role')]: 'admin' },
  ])
    expect(() => requireAuth(rule as never)).toThrow(TypeError);
  expect(requireAuth({ role: 'admin' })).toBeTypeOf('function');
});

test('T46 what an earlier guard accepted does not pass a guard that does not accept it', async () => {
  const drop: Handler = (req, _res, next) => {
    delete req.headers.authorization;
    next();
  };
  const { origin, workos, cookie } = await createTestApp('express5', {
    mount: (app, auth) => {
      app.use(auth);
      app.use('/api', requireAuth({ accepts: ['session', 'bearer', 'apiKey'] }));
      app.use('/api', drop);
    },
    routes: (app) => {
      app.route('/api/inner', requireAuth(), whoami);
    },
  });
  for (const token of [workos.createApiKey(), await workos.accessToken()]) {
    const headers = { ...FETCH, authorization: `Bearer ${token}` };
    expect((await send(`${origin}/api/inner`, { headers })).status).toBe(401);
  }
  const headers = { ...FETCH, cookie: await cookie() };
  expect((await send(`${origin}/api/inner`, { headers })).status).toBe(200);
});

test('T47 a polluted Object.prototype supplies no claim, no header and no option', async () => {
  const member = await createTestApp('express5', {
    routes: (app, auth) => {
      for (const [name, guard] of Object.entries({
        role: requireAuth({ role: 'admin' }),
        permission: requireAuth({ permission: 'billing:read' }),
        organization: requireAuth({ organization: 'org_b' }),
        entitlement: requireAuth({ entitlement: 'audit' }),
        recent: requireAuth({ maxAge: 60 }),
      }))
        app.route(`/${name}`, guard, whoami);
      const later: Handler = (req, res, next) => {
        auth.requireAuth({ role: 'admin' })(req, res, next);
      };
      app.route('/later', later, whoami);
    },
  });
  const { origin, workos, cookie } = member;
  // Without `auth_time`, only the polluted prototype has one.
  const session = await cookie({ user: ADA, role: 'member', claims: { auth_time: undefined } });
  const key = workos.createApiKey();
  const clean = pollute({
    role: 'admin',
    roles: ['admin'],
    permissions: ['billing:read'],
    entitlements: ['audit'],
    org_id: 'org_b',
    auth_time: 9_999_999_999,
    any: ['member'],
    accepts: ['session', 'bearer', 'apiKey'],
    check: () => true,
    unauthenticated: (_req: unknown, res: { end: (text: string) => void }) => {
      res.end('open');
    },
    cookie: session,
    authorization: `Bearer ${key}`,
    'sec-fetch-site': 'same-origin',
  });
  const status = async (path: string, headers: Record<string, string>) =>
    (await send(origin + path, { headers })).status;
  const signedIn = { ...FETCH, cookie: session };
  const found: Record<string, number> = {};
  for (const path of ['/role', '/permission', '/organization', '/entitlement', '/recent', '/later'])
    found[path] = await status(path, signedIn);
  found['/account without a cookie'] = await status('/account', FETCH);
  found['/role by the key'] = await status('/role', { ...FETCH, authorization: `Bearer ${key}` });
  clean();
  expect(found).toEqual({
    '/role': 403,
    '/permission': 403,
    '/organization': 403,
    '/entitlement': 403,
    '/recent': 401,
    '/later': 403,
    '/account without a cookie': 401,
    '/role by the key': 401,
  });
  expect(await status('/account', signedIn)).toBe(200);
});

test('T52 an origin that a user may be sent to may not act with the cookie', async () => {
  const blog = 'https://blog.example.com';
  const admin = 'https://admin.example.com';
  const { origin, auth, cookie } = await createTestApp('express5', {
    authkit: {
      returnToOrigins: [blog],
      trustedOrigins: [admin],
      routes: { switchOrganization: '/switch' },
    },
  });
  const session = await cookie();
  const socket = async (from: string) =>
    (await auth.authenticate({ headers: { cookie: session, origin: from } } as never)).type;
  expect(await socket(blog)).toBeNull();
  expect(await socket(admin)).toBe('session');
  const post = async (path: string, headers: Record<string, string>) =>
    (await send(origin + path, { method: 'POST', headers: { ...NAVIGATION, ...headers, cookie: session } }))
      .status;
  for (const path of ['/logout', '/switch?organizationId=org_a']) {
    expect(await post(path, { origin: blog, 'sec-fetch-site': 'same-site' })).toBe(403);
    expect(await post(path, { origin: blog, 'sec-fetch-site': 'same-origin' })).toBe(403);
    expect(await post(path, { origin: blog, 'sec-fetch-site': 'none' })).toBe(403);
  }
  expect(await post('/logout', { origin: admin, 'sec-fetch-site': 'same-site' })).toBe(200);
  const login = await send(`${origin}/login?returnTo=${encodeURIComponent(`${blog}/post`)}`, {
    headers: NAVIGATION,
  });
  expect(login.status).toBe(302);
});

test('T57 sameOrigin accepts an http origin of another host only with allowInsecureHttp', async () => {
  const http = 'http://admin.example.com';
  const local = 'http://localhost:5173';
  const https = 'https://admin.example.com';
  for (const [allowInsecureHttp, expected] of [
    [false, 403],
    [true, 200],
  ] as const) {
    const messages: string[] = [];
    const { origin, cookie } = await createTestApp('express5', {
      authkit: { allowInsecureHttp, onError: ({ error }) => void messages.push(error.message) },
      rule: { sameOrigin: [http, local, https] },
    });
    const session = await cookie();
    const post = async (from: string) =>
      (
        await send(`${origin}/account`, {
          method: 'POST',
          headers: { ...FETCH, cookie: session, origin: from },
        })
      ).status;
    expect(await post(http)).toBe(expected);
    expect(await post(local)).toBe(200);
    expect(await post(https)).toBe(200);
    expect(await post('http://localhost:5174')).toBe(403);
    expect(messages).toEqual([
      ...(allowInsecureHttp ? [] : [expect.stringContaining('allowInsecureHttp: true') as string]),
      'this request has to come from this application',
    ]);
  }
});

test('T56 no field for CDNs survives on a guarded or personal response', async () => {
  const fields = [
    'CDN-Cache-Control',
    'Cloudflare-CDN-Cache-Control',
    'Surrogate-Control',
    'X-Accel-Expires',
  ];
  const { origin, cookie } = await createTestApp('express5', {
    mount: (app, auth) => {
      app.use((_req, res, next) => {
        for (const name of fields) res.setHeader(name, 'max-age=600');
        next();
      });
      app.use(auth);
    },
    routes: (app) => {
      app.route('/static', (_req, res) => res.end('x'));
    },
  });
  const session = await cookie();
  const kept = async (path: string) => {
    const { headers } = await send(origin + path, { headers: { ...FETCH, cookie: session } });
    return fields.filter((name) => headers[name.toLowerCase()] !== undefined);
  };
  expect(await kept('/account')).toEqual([]);
  expect(await kept('/open')).toEqual([]);
  expect(await kept('/static')).toEqual(fields);
});
