import { expect, onTestFinished, test } from 'vitest';
import { FETCH, NAVIGATION } from '../support/browser.js';
import type { NetworkCondition } from '../support/proxy.js';
import { ADA, createTestApp } from '../support/app.js';
import { advanceMonotonicClock } from '../support/monotonic-clock.js';
import { account, expectOutage } from '../support/outage.js';

const LATER = 600_000;

const CONDITIONS: readonly NetworkCondition[] = ['reset', 'html', 'half-closed'];

test('R01 if the network fails during the callback, the answer is 503 without a session, and with a link to sign in again', async () => {
  const at = await createTestApp('express5', { proxied: true });
  for (const condition of CONDITIONS) {
    at.proxy!.set('fine');
    const { location } = await at.browser.go(`${at.origin}/login?returnTo=/open`);
    const callback = await at.workos.authorize(location!, { user: ADA });
    at.proxy!.set(condition);
    const reply = await at.browser.go(callback);
    expectOutage(reply);
    expect(reply.body).toContain(`href="${at.origin}/login`);
    expect(reply.body).not.toContain('http-equiv="refresh"');
    expect(await at.browser.cookieNames(at.origin)).toEqual([]);
  }
});

test('R02 if the network fails while a token has expired, the answer is 503, the cookie is kept, and a later request succeeds', async () => {
  const at = await createTestApp('express5', { proxied: true });
  const cookie = await at.cookie();
  at.workos.clock.advance(LATER);
  for (const condition of CONDITIONS) {
    at.proxy!.set(condition);
    for (const headers of [FETCH, NAVIGATION]) expectOutage(await account(at, cookie, headers));
  }
  expect(at.served()).toBe(0);
  at.proxy!.set('fine');
  expect((await account(at, cookie)).status).toBe(200);
});

test('R03 if WorkOS hangs or sends a byte at a time, every request ends, calls are shared, and other users are served', async () => {
  const at = await createTestApp('express5', { proxied: true, authkit: { timeout: 300 } });
  const waiting = await at.cookie();
  at.workos.clock.advance(LATER);
  const fine = await at.cookie({ user: 'grace@example.com' });
  expect((await account(at, fine)).status).toBe(200);
  for (const condition of ['hang', { bytePause: 100 }] as const) {
    at.proxy!.set(condition);
    const before = at.proxy!.connections();
    const slow = Promise.all(Array.from({ length: 10 }, () => account(at, waiting)));
    expect((await account(at, fine)).status).toBe(200);
    for (const reply of await slow) expectOutage(reply);
    // Two attempts, each of which may have to reconnect, but not one per request.
    expect(at.proxy!.connections() - before).toBeLessThanOrEqual(4);
  }
});

test('R04 if a refresh before expiry fails, the valid token is used, and not every request tries again', async () => {
  const at = await createTestApp('express5', { proxied: true });
  const cookie = await at.cookie();
  expect((await account(at, cookie)).status).toBe(200);
  at.workos.clock.advance(270_000);
  at.proxy!.set('reset');
  const before = at.proxy!.connections();
  for (let request = 0; request < 5; request += 1) expect((await account(at, cookie)).status).toBe(200);
  expect(at.proxy!.connections() - before).toBeLessThanOrEqual(2);
});

test('R05 a 429 of WorkOS is answered with a Retry-After of 1 to 60 whole seconds', async () => {
  const at = await createTestApp('express5');
  const cookie = await at.cookie();
  at.workos.clock.advance(LATER);
  const date = new Date(Date.now() + 20_000).toUTCString();
  for (const [value, expected] of [
    ['1', /^1$/],
    ['7', /^7$/],
    [undefined, /^5$/],
    [date, /^(?:1[6-9]|20)$/],
    ['86400', /^60$/],
    ['99999999999999', /^(?:5|60)$/],
    ['1.5', /^5$/],
    ['-1', /^5$/],
    ['abc', /^5$/],
    ['', /^5$/],
    ['Infinity', /^5$/],
    ['0x10', /^5$/],
  ] as const) {
    // Longer than WorkOS can ask for, because the pause applies to every call.
    at.workos.clock.advance(61_000);
    const headers = value === undefined ? {} : { 'retry-after': value };
    const down = at.workos.fail({ on: 'refresh', status: 429, headers, body: '<html>slow down</html>' });
    const reply = await account(at, cookie);
    expectOutage(reply);
    expect(reply.headers['retry-after'], String(value)).toMatch(expected);
    down.restore();
  }
});

test('R06 a configuration mistake that WorkOS rejects signs no user out, and is warned about once a minute', async () => {
  const warnings: string[] = [];
  const listen = (warning: Error & { code?: string }) => void warnings.push(warning.code ?? '');
  process.on('warning', listen);
  onTestFinished(() => void process.off('warning', listen));
  const at = await createTestApp('express5');
  const cookie = await at.cookie();
  at.workos.clock.advance(86_400_000);
  for (const [status, body] of [
    [401, { message: 'Unauthorized' }],
    [400, { error: 'invalid_client' }],
    [404, {}],
    [422, {}],
  ] as const) {
    const down = at.workos.fail({ on: 'refresh', status, body });
    expectOutage(await account(at, cookie));
    expectOutage(await account(at, cookie, NAVIGATION));
    down.restore();
  }
  const told = () => warnings.filter((code) => code === 'AUTHKIT_UPSTREAM').length;
  expect(told()).toBe(1);
  at.workos.fail({ on: 'refresh', status: 401, body: {} });
  advanceMonotonicClock(59_000);
  expectOutage(await account(at, cookie));
  expect(told()).toBe(1);
  advanceMonotonicClock(2000);
  expectOutage(await account(at, cookie));
  expect(told()).toBe(2);
});

test('R08 an unfinished authentication passes its code to the application, and never shows the pending token', async () => {
  const codes: string[] = [];
  const at = await createTestApp('express5', {
    authkit: { onError: ({ error }) => void codes.push(error.code) },
  });
  for (const code of [
    'sso_required',
    'mfa_enrollment',
    'organization_selection_required',
    'email_verification_required',
    'mfa_challenge',
  ]) {
    const body = { code, pending_authentication_token: 'pending_0123456789abcdefghijklmnop' };
    const down = at.workos.fail({ on: 'authenticate', status: 403, body });
    const { location } = await at.browser.go(`${at.origin}/login`);
    const reply = await at.browser.go(await at.workos.authorize(location!, { user: ADA }));
    expect(reply.status).toBe(403);
    expect(reply.body).not.toContain('pending_');
    expect(codes.at(-1)).toBe(code);
    const cookie = await at.cookie();
    at.workos.clock.advance(LATER);
    expect((await account(at, cookie)).setCookies[0]).toMatch(/^wos-session=; Max-Age=0/);
    down.restore();
  }
});

test('R09 a 200 response without a valid session is 503, and the cookie is kept', async () => {
  const at = await createTestApp('express5');
  const cookie = await at.cookie({ user: ADA });
  at.workos.clock.advance(LATER);
  const alter = (change: object) => ({ alter: (body: Record<string, unknown>) => ({ ...body, ...change }) });
  const now = Math.floor(at.workos.clock.now() / 1000);
  const claims = {
    iss: `${at.workos.url}/user_management/${at.workos.options.clientId}`,
    sub: 'user_other',
    sid: 's',
    exp: now + 300,
  };
  const faults = [
    { body: {} },
    { body: '<html>login</html>' },
    alter({ user: null }),
    alter({ access_token: undefined }),
    alter({ refresh_token: '' }),
    alter({ access_token: 'not.a.jwt' }),
    alter({ access_token: await at.workos.signToken({ ...claims, exp: now - 1 }) }),
    alter({ access_token: await at.workos.signToken(claims) }),
    alter({ user: { object: 'user', id: 'user_other', email: 'x@example.com' } }),
  ];
  for (const fault of faults) {
    const down = at.workos.fail({ on: 'refresh', ...fault });
    expectOutage(await account(at, cookie));
    down.restore();
  }
  expect(at.served()).toBe(0);
});

test('T33 an outage is 503 and keeps the cookie, which works again afterwards', async () => {
  const { origin, workos, browser, signIn } = await createTestApp('express5');
  await signIn();
  workos.clock.advance(LATER);
  for (const fault of [{ status: 500 }, { status: 401, body: '{}' }, { reset: true }]) {
    const down = workos.fail({ on: 'refresh', ...fault });
    expect((await browser.go(`${origin}/account`)).status).toBe(503);
    down.restore();
  }
  expect((await browser.go(`${origin}/account`)).status).toBe(200);
});
