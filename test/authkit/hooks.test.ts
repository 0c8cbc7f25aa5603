import { describe, expect, test } from 'vitest';
import { requireAuth } from 'authkit-express';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, createTestApp, json, whoami, type Options } from '../support/app.js';

describe.each(FRAMEWORKS)('hooks on %s', (framework) => {
  test('onError can respond, pass the error on, throw or do nothing, and there is always exactly one response', async () => {
    let mode = 'answer';
    const { origin, site } = await createTestApp(framework, {
      authkit: {
        onError: async ({ error, res, next }) => {
          await Promise.resolve();
          if (mode === 'answer') json(res, { own: error.code });
          if (mode === 'pass') next(error);
          if (mode === 'twice') {
            next(error);
            next(new Error('second'));
          }
          if (mode === 'throw') throw new Error('the hook broke');
        },
      },
    });
    const ask = async (now: string) => {
      mode = now;
      const reply = await send(`${origin}/account`, { headers: FETCH });
      return { status: reply.status, body: reply.body };
    };
    expect(await ask('answer')).toEqual({ status: 200, body: '{"own":"unauthenticated"}' });
    expect(await ask('leave')).toMatchObject({ status: 401 });
    expect(site.errors).toEqual([]);
    expect(await ask('pass')).toEqual({ status: 401, body: 'error' });
    expect(await ask('twice')).toEqual({ status: 401, body: 'error' });
    expect(await ask('throw')).toEqual({ status: 500, body: 'error' });
    expect(site.errors).toMatchObject([
      { code: 'unauthenticated' },
      { code: 'unauthenticated' },
      { message: 'the hook broke' },
    ]);
  });

  test.each([[undefined], [null], [''], ['route'], ['router']])(
    'onError calling next(%j) passes the error on and does not open the guard',
    async (word) => {
      const { origin, site, served } = await createTestApp(framework, {
        authkit: {
          onError: ({ next }) => {
            next(word);
          },
        },
        mount: (app, auth) => {
          app.use(auth);
          app.use('/account', auth.requireAuth());
        },
      });
      expect((await send(`${origin}/account`, { headers: FETCH })).status).toBe(401);
      expect(site.errors).toMatchObject([{ code: 'unauthenticated' }]);
      expect(served()).toBe(0);
    },
  );

  test('a check that throws, rejects or returns a truthy value other than true refuses the request', async () => {
    let served = 0;
    const checks = {
      '/throws': () => {
        throw new Error('broken');
      },
      '/rejects': () => Promise.reject(new Error('broken')),
      '/truthy': () => ({ error: 'no' }) as unknown as boolean,
      '/later': () => Promise.resolve('yes' as unknown as boolean),
      '/throws-nothing': () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- applications do
        throw undefined;
      },
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- applications do
      '/rejects-route': () => Promise.reject('route'),
    };
    const { origin, cookie } = await createTestApp(framework, {
      routes: (app) => {
        for (const [path, check] of Object.entries(checks)) {
          app.route(path, requireAuth({ check }), (req, res, next) => {
            served += 1;
            whoami(req, res, next);
          });
        }
      },
    });
    const headers = { ...FETCH, cookie: await cookie() };
    const statuses = [];
    for (const path of Object.keys(checks)) statuses.push((await send(origin + path, { headers })).status);
    expect(statuses).toEqual([500, 500, 403, 403, 500, 500]);
    expect(served).toBe(0);
  });

  test('onSessionRefresh hooks are called, and an exception in them does not fail the request', async () => {
    const seen: unknown[] = [];
    const { origin, cookie, workos } = await createTestApp(framework, {
      authkit: {
        onSessionRefreshSuccess: ({ user }) => {
          seen.push(user.email);
          throw new Error('broken');
        },
        onSessionRefreshError: ({ error }) => {
          seen.push(error.code);
          return Promise.reject(new Error('broken'));
        },
      },
    });
    const first = await cookie({ user: ADA });
    const second = await cookie({ user: ADA });
    workos.clock.advance(600_000);
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: first } })).status).toBe(200);
    workos.fail({ on: 'refresh', status: 500 });
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: second } })).status).toBe(503);
    expect(seen).toEqual([ADA, 'upstream_unavailable']);
  });

  test('maxAge sends a page load through sign-in and back, and tells a script why, without a redirect loop', async () => {
    const { origin, browser, signIn, workos, served } = await createTestApp(framework, {
      rule: { maxAge: 300 },
    });
    const away = await browser.follow(`${origin}/open`);
    expect(away.status).toBe(200);
    const login = await browser.go(`${origin}/login?returnTo=/open`);
    await browser.follow(await workos.authorize(login.location!, { user: ADA }));
    workos.clock.advance(301_000);
    const stale = await browser.go(`${origin}/account?x=1`);
    expect(stale.location).toBe(`${origin}/login?returnTo=${encodeURIComponent('/account?x=1')}&maxAge=300`);
    const api = await browser.fetch(`${origin}/account`);
    expect(api.status).toBe(401);
    expect(api.headers['www-authenticate']).toBe(
      'Bearer error="insufficient_user_authentication", max_age="300"',
    );
    expect(JSON.parse(api.body)).toMatchObject({ error: 'step_up_required', loginUrl: '/login' });
    expect(served()).toBe(0);
    const back = await signIn(ADA, '/account?x=1');
    expect(back.url).toBe(`${origin}/account?x=1`);
    expect(back.status).toBe(200);
    workos.clock.advance(301_000);
    expect((await browser.go(`${origin}/account`)).location).toContain('maxAge=300');
  });

  test('a provider that does not ask the user to authenticate again leads to 403, not to a redirect loop', async () => {
    const { origin, browser, workos, served } = await createTestApp(framework, { rule: { maxAge: 0 } });
    const login = await browser.go(`${origin}/login?returnTo=/open&maxAge=0`);
    await browser.follow(await workos.authorize(login.location!, { user: ADA }));
    workos.clock.advance(2000);
    expect((await browser.go(`${origin}/account`)).status).toBe(403);
    workos.clock.advance(10_000);
    expect((await browser.go(`${origin}/account`)).location).toContain('maxAge=0');
    expect(served()).toBe(0);
  });

  test('with SameSite=Strict, the first page after sign-in already has the session', async () => {
    const { origin, browser, workos } = await createTestApp(framework, {
      authkit: { cookie: { sameSite: 'strict' } },
    });
    const login = await browser.go(`${origin}/login?returnTo=/account`);
    expect(login.setCookies[0]).toContain('SameSite=Lax');
    const landed = await browser.go(await workos.authorize(login.location!, { user: ADA }));
    expect(landed.status).toBe(200);
    expect(landed.body).toContain('content="0; url=/account"');
    expect(landed.setCookies.find((line) => line.startsWith('wos-session='))).toContain('SameSite=Strict');
  });
});

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

test('an unfinished authentication is an error with the details WorkOS sent, none of which are on the page', async () => {
  const seen: { code: string; details: unknown }[] = [];
  const { origin, browser, workos } = await createTestApp('express5', {
    authkit: { onError: ({ error }) => void seen.push(error) },
  });
  workos.requireStep({ user: ADA, code: 'mfa_enrollment' });
  const login = await browser.go(`${origin}/login`);
  const reply = await browser.go(await workos.authorize(login.location!, { user: ADA }));
  expect(reply.status).toBe(403);
  const [error] = seen;
  expect(error!.code).toBe('mfa_enrollment');
  const { pending_authentication_token: pending } = error!.details as {
    pending_authentication_token: string;
  };
  expect(pending.length).toBeGreaterThan(5);
  expect(reply.body + JSON.stringify(error)).not.toContain(pending);
  expect((await send(`${origin}/callback?code=x`, { headers: NAVIGATION })).status).toBe(302);
});

test('P05 hooks that throw, reject or throw undefined get one 500 response each, and the process goes on', async () => {
  const throws: (() => unknown)[] = [
    () => {
      throw new Error('thrown');
    },
    () => Promise.reject(new Error('rejected')),
    () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- an application may
      throw undefined;
    },
  ];
  for (const hook of throws) {
    const { origin, signIn, browser, cookie } = await createTestApp('express4', {
      authkit: { onSuccess: hook as never, onError: hook },
    });
    expect((await browser.go(`${origin}/login`)).status).toBe(302);
    expect((await signIn(ADA, '/login')).status).toBe(500);
    expect((await browser.cookieNames(origin)).filter((name) => name.startsWith('wos-session'))).toEqual([]);
    const headers = { ...FETCH, cookie: await cookie() };
    expect((await send(`${origin}/account`, { headers })).status).toBe(200);
  }
});

test('E01 an onError that responds, calls next twice, or does nothing leads to exactly one response', async () => {
  type OnError = NonNullable<Options['onError']>;
  const hooks: [OnError, expected: unknown][] = [
    [({ res }) => void res.end('mine'), [200, 'mine']],
    [
      ({ error, next }) => {
        next(error);
        next(error);
      },
      [403, 'error'],
    ],
    [() => undefined, [403, expect.stringContaining('"error":')]],
  ];
  for (const [onError, expected] of hooks) {
    const { origin, site } = await createTestApp('express5', { authkit: { onError } });
    const reply = await send(`${origin}/callback?error=access_denied`, { headers: FETCH });
    expect([reply.status, reply.body]).toEqual(expected);
    expect(site.errors.length).toBe(reply.body === 'error' ? 1 : 0);
  }
});
