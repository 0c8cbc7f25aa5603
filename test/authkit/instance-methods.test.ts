import { expect, test } from 'vitest';
import { FETCH, send } from '../support/browser.js';
import { ADA, createTestApp, json } from '../support/app.js';

test('instance methods work: refreshSession, getSignUpUrl, a callback route of the application, and authenticate without a response', async () => {
  const told: unknown[] = [];
  const { origin, browser, cookie, workos } = await createTestApp('express5', {
    callback: '/own/callback',
    authkit: { routes: { callback: false } },
    routes: (app, auth) => {
      app.route('/own/callback', (req, res) => {
        auth.handleCallback(req, res);
      });
      app.route('/refresh', (req, res, next) => {
        auth.refreshSession(req, res).then((now) => {
          json(res, { now: now.sessionId });
        }, next);
      });
      app.route('/join', (req, res, next) => {
        auth.getSignUpUrl(req, res, { returnTo: '/open' }).then((url) => {
          res.end(url);
        }, next);
      });
      app.route('/upgrade', (req, res, next) => {
        auth.authenticate(req).then((who) => {
          told.push(who.type);
          res.end();
        }, next);
      });
    },
  });
  const join = await browser.go(`${origin}/join`);
  expect(new URL(join.body).searchParams.get('screen_hint')).toBe('sign-up');
  const back = await browser.go(await workos.authorize(join.body, { user: ADA }));
  expect(back.location).toBe(`${origin}/open`);
  const renewed = await browser.fetch(`${origin}/refresh`);
  expect(renewed.status).toBe(200);
  expect(renewed.setCookies[0]).toMatch(/^wos-session=Fe26/);
  expect((await send(`${origin}/refresh`, { headers: FETCH })).status).toBe(401);

  const session = await cookie();
  for (const headers of [{}, { origin }, { origin: 'https://evil.example' }]) {
    await send(`${origin}/upgrade`, { headers: { ...headers, cookie: session } });
  }
  workos.clock.advance(600_000);
  const calls = workos.callsTo('refresh').length;
  await send(`${origin}/upgrade`, { headers: { cookie: session } });
  expect(told).toEqual(['session', 'session', null, null]);
  expect(workos.callsTo('refresh').length - calls).toBeLessThanOrEqual(1);
});

test('getSignInUrl and getSignUpUrl without the request say how to call them', async () => {
  const { auth } = await createTestApp('express5');
  const misuse = auth as unknown as Record<
    'getSignInUrl' | 'getSignUpUrl',
    (...args: unknown[]) => Promise<string>
  >;
  for (const args of [[], [{ returnTo: '/checkout' }], [undefined, undefined, {}], [null, 'x']]) {
    await expect(misuse.getSignInUrl(...args)).rejects.toThrow(/getSignInUrl\(req, res, options\)/);
    await expect(misuse.getSignUpUrl(...args)).rejects.toThrow(/getSignUpUrl\(req, res, options\)/);
  }
});

test('methods that are called without the request, its response or an organization say how to call them', async () => {
  let seen: Promise<unknown>[] = [];
  const { origin, cookie, workos } = await createTestApp('express5', {
    routes: (app, auth) => {
      const misuse = auth as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
      app.route('/misuse', (req, res) => {
        const calls: [method: string, ...args: unknown[]][] = [
          ['signOut'],
          ['signOut', req],
          ['signOut', res],
          ['refreshSession'],
          ['refreshSession', req],
          ['refreshSession', req, res, 'org_1'],
          ['switchToOrganization'],
          ['switchToOrganization', 'org_1'],
          ['switchToOrganization', req, res],
          ['switchToOrganization', req, res, { organizationId: 'org_1' }],
          ['authenticate'],
        ];
        seen = calls.map(([method, ...args]) =>
          misuse[method]!(...args).catch((error: unknown) => [method, error]),
        );
        res.end();
      });
    },
  });
  const headers = { ...FETCH, cookie: await cookie() };
  expect((await send(`${origin}/misuse`, { headers })).setCookies).toEqual([]);
  expect(seen).toHaveLength(11);
  for (const [method, error] of (await Promise.all(seen)) as [string, Error][]) {
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(`${method}(req`);
  }
  // Nothing was refreshed or ended.
  expect(workos.callsTo('refresh')).toEqual([]);
  expect((await send(`${origin}/account`, { headers })).status).toBe(200);
});
