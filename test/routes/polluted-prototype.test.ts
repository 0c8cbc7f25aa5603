import { expect, onTestFinished, test } from 'vitest';
import { requireAuth } from 'authkit-express';
import { Browser, FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, createTestApp, whoami } from '../support/app.js';

/** Adds properties to `Object.prototype` during `run`, as a vulnerable dependency might. */
async function polluted<T>(properties: Record<string, unknown>, run: () => Promise<T>): Promise<T> {
  const prototype = Object.prototype as unknown as Record<string, unknown>;
  const clean = () => {
    for (const name of Object.keys(properties)) Reflect.deleteProperty(prototype, name);
  };
  onTestFinished(clean);
  Object.assign(prototype, properties);
  try {
    return await run();
  } finally {
    clean();
  }
}

test('T47 a polluted Object.prototype supplies no option of a sign-in and no attribute of its cookie', async () => {
  const { origin } = await createTestApp('express5');
  const names = async () => {
    const { location, setCookies } = await send(`${origin}/login`, { headers: NAVIGATION });
    const [line = ''] = setCookies;
    const query = new URL(location!).searchParams;
    return [[...query.keys()], query.get('redirect_uri'), line.replace(/[^-=]*=[^;]*/, '')];
  };
  const clean = await names();
  const found = await polluted(
    {
      prompt: 'login',
      maxAge: 0,
      organizationId: 'org_evil',
      loginHint: 'x',
      screenHint: 'sign-up',
      redirectUri: 'https://evil.example/callback',
      callback: 'https://evil.example/callback',
      codeChallenge: 'c'.repeat(43),
      clientChallenge: 'c'.repeat(43),
      domain: 'evil.example',
      partitioned: true,
    },
    names,
  );
  expect(found).toEqual(clean);
});

test('T47 a polluted Object.prototype supplies no field of a transaction or a session', async () => {
  const { origin, workos } = await createTestApp('express5', {
    authkit: { cookie: { sameSite: 'strict' } },
    routes: (app) => {
      app.route('/recent', requireAuth({ maxAge: 60 }), whoami);
      app.route('/data', requireAuth({ check: (auth) => auth.data !== undefined }), whoami);
    },
  });
  const browser = new Browser();
  const login = await browser.go(`${origin}/login?returnTo=/open`, {
    headers: { 'sec-fetch-site': 'cross-site' },
  });
  const callback = await workos.authorize(login.location!, { user: ADA });
  const landed = await polluted(
    { beganHere: true, isRepeat: true, clientChallenge: 'c'.repeat(43), maxAge: 0 },
    async () => browser.go(callback, { headers: { 'sec-fetch-site': 'cross-site' } }),
  );
  expect(landed.status).toBe(200);
  expect(landed.body).not.toContain('http-equiv="refresh"');

  // Without `auth_time`, only the polluted prototype says when the user authenticated.
  const cookie = await workos.signIn({ user: ADA, claims: { auth_time: undefined } });
  const headers = { ...FETCH, cookie };
  const statuses = await polluted({ authenticatedAt: 9_999_999_999, data: { isAdmin: true } }, async () => [
    (await send(`${origin}/recent`, { headers })).status,
    (await send(`${origin}/data`, { headers })).status,
  ]);
  expect(statuses).toEqual([401, 403]);
});

test('T47 a polluted Object.prototype supplies nothing that onSuccess did not return', async () => {
  const site = await createTestApp('express5', {
    authkit: { onSuccess: () => ({}) },
    routes: (app) => {
      app.route('/data', requireAuth({ check: (auth) => auth.data !== undefined }), whoami);
    },
  });
  const inherited = { reject: 'x', returnTo: '/missing', data: { isAdmin: true } };
  const landed = await polluted(inherited, () => site.signIn(ADA, '/login?returnTo=/account'));
  expect(JSON.parse(landed.body)).toMatchObject({ email: ADA });
  expect((await site.browser.fetch(`${site.origin}/data`)).status).toBe(403);
});
