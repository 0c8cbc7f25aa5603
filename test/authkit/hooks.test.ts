import { describe, expect, test } from 'vitest';
import { requireAuth } from 'authkit-express';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, send } from '../support/browser.js';
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
