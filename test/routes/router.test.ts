import { describe, expect, test } from 'vitest';
import { authkit } from 'authkit-express';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, json, createTestApp, type Options } from '../support/app.js';

const PASSWORD = 'a-password-of-at-least-thirty-two-bytes';

describe.each(FRAMEWORKS)('routes below the login route on %s', (framework) => {
  test('the callback and the logout route below it work', async () => {
    const { origin, browser, signIn } = await createTestApp(framework, {
      callback: '/sign-in/callback',
      authkit: { routes: { login: '/sign-in', callback: '/sign-in/callback', logout: '/sign-in/out' } },
    });
    const landed = await signIn();
    expect({ status: landed.status, url: landed.url }).toEqual({ status: 200, url: `${origin}/account` });
    const headers = { ...NAVIGATION, 'sec-fetch-site': 'same-origin' };
    expect((await browser.go(`${origin}/sign-in/out`, { headers })).body).toContain('Signing you out');
    expect((await browser.fetch(`${origin}/account`)).status).toBe(401);
  });

  test('the sign-up route below it shows the sign-up screen', async () => {
    const { origin } = await createTestApp(framework, { authkit: { routes: { signUp: '/login/new' } } });
    const reply = await send(`${origin}/login/new`, { headers: NAVIGATION });
    expect(new URL(reply.location!).searchParams.get('screen_hint')).toBe('sign-up');
  });

  test.each([[undefined], [[]], [['google']]])(
    'pages of the application below it belong to the application, with the providers %j',
    async (providers) => {
      const { origin } = await createTestApp(framework, {
        authkit: providers ? { providers } : {},
        routes: (app) => {
          for (const path of ['/login/help', '/login/google/help'])
            app.route(path, (req, res) => {
              json(res, { page: path, auth: (req as unknown as { auth: { type: unknown } }).auth.type });
            });
        },
      });
      for (const headers of [NAVIGATION, FETCH, { ...NAVIGATION, 'sec-purpose': 'prefetch' }]) {
        const reply = await send(`${origin}/login/help`, { headers });
        expect(JSON.parse(reply.body)).toEqual({ page: '/login/help', auth: null });
      }
      expect((await send(`${origin}/login/google/help`)).status).toBe(200);
      expect((await send(`${origin}/login/unknown`)).status).toBe(404);
      const google = await send(`${origin}/login/google`);
      expect(google.status).toBe(providers?.length === 0 ? 400 : 302);
      expect((await send(`${origin}/login/github`)).status).toBe(providers ? 400 : 302);
    },
  );
});

describe('routes that collide are refused at start-up', () => {
  const start = (routes: NonNullable<Options['routes']>, callback = '/callback') => {
    const redirectUri = `https://app.example.com${callback}`;
    return authkit({
      clientId: 'client_1',
      apiKey: 'sk_test_1',
      redirectUri,
      cookiePassword: PASSWORD,
      routes,
    });
  };

  test.each<[name: string, routes: NonNullable<Options['routes']>, problem: RegExp]>([
    [
      'logout and login',
      { logout: '/login' },
      /routes\.logout \(\/login\) is also the path of routes\.login/,
    ],
    ['in another case', { signUp: '/LOGIN' }, /routes\.signUp \(\/LOGIN\) is also the path of routes\.login/],
    ['two POST routes', { token: '/x', switchOrganization: '/x' }, /routes\.switchOrganization \(\/x\)/],
    [
      'token and logout',
      { token: '/logout' },
      /routes\.token \(\/logout\) is also the path of routes\.logout/,
    ],
    ['connect and login', { connect: '/login' }, /routes\.connect \(\/login\) is also the path/],
    [
      'a provider',
      { signUp: '/login/google' },
      /routes\.signUp \(\/login\/google\) is also the sign-in with google/,
    ],
    ['AuthKit as a provider', { logout: '/login/authkit' }, /is also the sign-in with authkit/],
  ])('%s', (_name, routes, problem) => {
    expect(() => start(routes)).toThrow(problem);
  });

  test('by the public path of one and the mounted path of another', () => {
    expect(() => start({ signUp: '/auth/login' }, '/auth/callback')).toThrow(
      /routes\.signUp \(\/auth\/login\) is also the path of routes\.login/,
    );
  });

  test('one path for a GET route and a POST route is fine', async () => {
    const routes = { token: '/login', connect: '/logout' };
    const { origin } = await createTestApp('express5', { authkit: { routes } });
    expect((await send(`${origin}/login`)).status).toBe(302);
    const reply = await send(`${origin}/login`, { method: 'POST' });
    expect(JSON.parse(reply.body)).toMatchObject({ error: 'invalid_request' });
  });
});

test('a returnTo cannot name a path below the connect route', async () => {
  const { origin, browser, workos } = await createTestApp('express5', {
    authkit: { routes: { connect: '/connect' } },
  });
  for (const returnTo of ['/connect/github', '/CONNECT/github?x=1', '/connect/', '/%63onnect/github']) {
    const away = await browser.go(`${origin}/login?returnTo=${encodeURIComponent(returnTo)}`);
    const landed = await browser.go(await workos.authorize(away.location!, { user: ADA }));
    expect({ returnTo, location: landed.location }).toEqual({ returnTo, location: `${origin}/` });
  }
});

test('the organization in the query of a switch counts, not the one in its form', async () => {
  const { origin, browser, signIn, workos } = await createTestApp('express5', {
    workos: {
      organizations: [
        { name: 'A', id: 'org_a' },
        { name: 'B', id: 'org_b' },
      ],
      users: [{ email: ADA, memberships: [{ organizationId: 'A' }, { organizationId: 'B' }] }],
    },
    authkit: { routes: { switchOrganization: '/switch' }, signIn: { organizationId: 'org_b' } },
    mount: (app, auth) => {
      app.use((req, _res, next) => {
        if (req.method === 'POST') (req as { body?: unknown }).body = { organizationId: 'org_b' };
        next();
      });
      app.use(auth);
    },
  });
  await signIn();
  const reply = await browser.fetch(`${origin}/switch?organizationId=org_a`, { method: 'POST' });
  expect({ status: reply.status, body: reply.body }).toEqual({
    status: 200,
    body: '{"organizationId":"org_a"}',
  });
  expect(workos.callsTo('refresh').at(-1)!.body).toMatchObject({ organization_id: 'org_a' });
});
