import { describe, expect, test } from 'vitest';
import { AuthKitError } from 'authkit-express';
import { FRAMEWORKS } from '../support/frameworks.js';
import { NAVIGATION, send } from '../support/browser.js';
import { ADA, createTestApp, type Options } from '../support/app.js';
import { logLines, messagesOn } from '../support/events.js';

describe.each(FRAMEWORKS)('onSuccess on %s', (framework) => {
  const at = (onSuccess: Options['onSuccess']) =>
    createTestApp(framework, { authkit: onSuccess ? { onSuccess } : {} });

  test.each([
    ['a TypeError', new TypeError('x is undefined'), 500],
    ['an outage that says its status', Object.assign(new Error('down'), { status: 503 }), 503],
    ['a string', 'down', 500],
    ['undefined', undefined, 500],
  ])('that throws %s is a fault of the application, and nobody is signed in', async (_, thrown, status) => {
    let isDown = true;
    const events = messagesOn('authkit:error');
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- an application may throw anything
    const app = await at(() => (isDown ? Promise.reject(thrown) : undefined));
    const reply = await app.signIn();
    expect([reply.status, reply.body]).toEqual([status, 'error']);
    expect(app.site.errors).toHaveLength(1);
    const [error] = app.site.errors;
    expect(error === thrown || (error as Error).cause === thrown).toBe(true);
    expect(events).toEqual([{ clientId: app.workos.options.clientId, source: 'onSuccess', error: thrown }]);
    expect((await app.browser.cookieNames(app.origin)).filter((name) => name.includes('session'))).toEqual(
      [],
    );
    isDown = false;
    expect((await app.signIn()).status).toBe(200);
  });

  test.each<[unknown, string]>([
    [false, 'onSuccess returned false'],
    [true, 'onSuccess returned true'],
    ['/dashboard', 'onSuccess returned a text'],
    [{ redirectTo: '/dashboard' }, '"redirectTo", which is called returnTo here'],
    [{ rejected: true }, '"rejected", which is called reject here'],
  ])('that returns %j is a mistake that is named, and signs no user in', async (returned, says) => {
    const app = await at((() => returned) as Options['onSuccess']);
    const lines = logLines();
    const reply = await app.signIn();
    expect(reply.status).toBe(500);
    expect(lines.filter((line) => line.includes('authkit:error')).join()).toContain(
      says.replaceAll('"', '\\"'),
    );
    const [error] = app.site.errors;
    expect((error as Error).message).toContain(says);
    expect((error as Error).message).toContain("return { reject: 'reason' }");
    expect((await app.browser.cookieNames(app.origin)).filter((name) => name.includes('session'))).toEqual(
      [],
    );
  });

  test.each<unknown>([undefined, null, 3, {}, [1], { id: 1, email: 'a@example.com' }, new Map()])(
    'that returns %j signs the user in',
    async (returned) => {
      const app = await at((() => returned) as Options['onSuccess']);
      expect((await app.signIn()).status).toBe(200);
    },
  );

  test.each<[string, Options['onSuccess'], number, string]>([
    ['returns a reason', () => ({ reject: 'not on the list' }), 403, 'sign_in_rejected'],
    ['returns an empty reason', () => ({ reject: '', data: 1 }), 403, 'sign_in_rejected'],
    [
      'throws sign_in_rejected',
      () => {
        throw new AuthKitError('sign_in_rejected', 'not on the list');
      },
      403,
      'sign_in_rejected',
    ],
    [
      'throws another AuthKitError',
      () => Promise.reject(new AuthKitError('upstream_unavailable', 'later')),
      503,
      'upstream_unavailable',
    ],
  ])('that %s rejects the sign-in', async (_, onSuccess, status, code) => {
    const events = messagesOn('authkit:error');
    const app = await at(onSuccess);
    const login = await app.browser.go(`${app.origin}/login`);
    const cookie = await app.browser.jar.getCookieString(app.origin);
    const callback = await app.workos.authorize(login.location!, { user: ADA });
    const reply = await send(callback, { headers: { accept: 'application/json', cookie } });
    expect([reply.status, (JSON.parse(reply.body) as { error: string }).error]).toEqual([status, code]);
    expect(reply.setCookies.join()).not.toContain('session');
    expect([events, app.site.errors]).toEqual([[], []]);
  });

  test.each<[string, Options['onSuccess']]>([
    ['undefined', () => undefined],
    ['null', () => null as never],
    ['no reason', () => ({ reject: undefined })],
  ])('that returns %s accepts the sign-in', async (_, onSuccess) => {
    expect((await (await at(onSuccess)).signIn()).status).toBe(200);
  });

  test('that has begun a response is left to finish it, and nobody is signed in', async () => {
    const app = await at(({ res }) => {
      res.setHeader('Content-Type', 'text/plain');
      res.write('wait');
      setImmediate(() => res.end('ed'));
    });
    const login = await app.browser.go(`${app.origin}/login`);
    const reply = await app.browser.go(await app.workos.authorize(login.location!, { user: ADA }));
    expect([reply.status, reply.body]).toEqual([200, 'waited']);
    expect((await app.browser.cookieNames(app.origin)).filter((name) => name.includes('session'))).toEqual(
      [],
    );
    expect(app.site.errors).toEqual([]);
  });

  test('that returns data which is not JSON is a fault of the application', async () => {
    const app = await at(() => ({ data: { size: 1n } }));
    expect((await app.signIn()).status).toBe(500);
    expect(String(app.site.errors[0])).toContain('data that cannot be written as JSON');
  });
});

test('an AuthKitError after the response was sent leaves the response as it is', async () => {
  const app = await createTestApp('express5', {
    authkit: {
      onSuccess: ({ res }) => {
        res.end('sent');
        throw new AuthKitError('sign_in_rejected', 'too late');
      },
    },
  });
  const login = await send(`${app.origin}/login`, { headers: NAVIGATION });
  const cookie = login.setCookies.map((line) => line.split(';', 1)[0]).join('; ');
  const callback = await app.workos.authorize(login.location!, { user: ADA });
  const reply = await send(callback, { headers: { ...NAVIGATION, cookie } });
  expect([reply.status, reply.body]).toEqual([200, 'sent']);
});
