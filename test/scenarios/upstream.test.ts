import { expect, onTestFinished, test } from 'vitest';
import { SignJWT, generateKeyPair, exportJWK } from 'jose';
import { createVerifier } from '../../src/workos/access-token.js';
import { createJWKS } from '../../src/workos/jwks.js';
import { seal } from '../../src/session/seal.js';
import { fingerprint } from '../../src/http/cookies.js';
import { newTransaction, sealTransaction } from '../../src/routes/transaction.js';
import { FETCH, NAVIGATION, send, type Reply } from '../support/browser.js';
import type { Weather } from '../support/proxy.js';
import { ADA, world, type World } from '../support/world.js';

const LATER = 600_000;
const WEATHER: readonly Weather[] = ['reset', 'html', 'half-closed'];
const account = ({ origin }: World, cookie: string, headers: Record<string, string> = FETCH) =>
  send(`${origin}/account`, { headers: { ...headers, cookie } });

/** The answer while WorkOS cannot be asked: nobody is signed out by it. */
function isOutage(reply: Reply): void {
  expect(reply.status).toBe(503);
  expect(reply.headers['retry-after']).toMatch(/^(?:[1-9]|[1-5]\d|60)$/);
  expect(reply.headers['cache-control']).toBe('private, no-store');
  expect(reply.setCookies.filter((line) => line.startsWith('wos-session'))).toEqual([]);
}

test('R01 the network fails during the callback: 503, no session, the flow is over, a way to sign in again', async () => {
  const at = await world('express5', { proxied: true });
  for (const weather of WEATHER) {
    at.proxy!.set('fine');
    const { location } = await at.browser.go(`${at.origin}/login?returnTo=/open`);
    const callback = await at.workos.authorize(location!, { user: ADA });
    at.proxy!.set(weather);
    const reply = await at.browser.go(callback);
    isOutage(reply);
    expect(reply.body).toContain(`href="${at.origin}/login`);
    expect(reply.body).not.toContain('http-equiv="refresh"');
    expect(await at.browser.cookieNames(at.origin)).toEqual([]);
  }
});

test('R02 the network fails while a token has expired: 503, the cookie kept, and the next one after it succeeds', async () => {
  const at = await world('express5', { proxied: true });
  const cookie = await at.cookie();
  at.workos.clock.advance(LATER);
  for (const weather of WEATHER) {
    at.proxy!.set(weather);
    for (const headers of [FETCH, NAVIGATION]) isOutage(await account(at, cookie, headers));
  }
  expect(at.served()).toBe(0);
  at.proxy!.set('fine');
  expect((await account(at, cookie)).status).toBe(200);
});

test('R03 WorkOS hangs or sends a byte at a time: every request ends, calls are shared, others are served meanwhile', async () => {
  const at = await world('express5', { proxied: true, authkit: { timeout: 300 } });
  const waiting = await at.cookie();
  at.workos.clock.advance(LATER);
  const fine = await at.cookie({ user: 'grace@example.com' });
  expect((await account(at, fine)).status).toBe(200);
  for (const weather of ['hang', { bytePause: 100 }] as const) {
    at.proxy!.set(weather);
    const before = at.proxy!.connections();
    const slow = Promise.all(Array.from({ length: 10 }, () => account(at, waiting)));
    expect((await account(at, fine)).status).toBe(200);
    for (const reply of await slow) isOutage(reply);
    // A try and another one, each of which may find its connection gone; not one for each of the ten.
    expect(at.proxy!.connections() - before).toBeLessThanOrEqual(4);
  }
});

test('R04 a refresh ahead of expiry fails: the token that holds serves, and not every request tries', async () => {
  const at = await world('express5', { proxied: true });
  const cookie = await at.cookie();
  expect((await account(at, cookie)).status).toBe(200);
  at.workos.clock.advance(270_000);
  at.proxy!.set('reset');
  const before = at.proxy!.connections();
  for (let request = 0; request < 5; request += 1) expect((await account(at, cookie)).status).toBe(200);
  expect(at.proxy!.connections() - before).toBeLessThanOrEqual(2);
});

test('R05 429 in all its forms: Retry-After is a whole number of seconds from 1 to 60', async () => {
  const at = await world('express5');
  const cookie = await at.cookie();
  at.workos.clock.advance(LATER);
  const date = new Date(Date.now() + 5000).toUTCString();
  for (const value of [
    '1',
    undefined,
    date,
    '86400',
    '-1',
    'abc',
    '',
    '1.5',
    'Infinity',
    '0x10',
    '99999999999999',
  ]) {
    const headers = value === undefined ? {} : { 'retry-after': value };
    const down = at.workos.fail({ on: 'refresh', status: 429, headers, body: '<html>slow down</html>' });
    isOutage(await account(at, cookie));
    down.restore();
  }
});

test("R06 an operator's mistake signs nobody out, and is told once a minute", async () => {
  const warnings: string[] = [];
  const listen = (warning: Error & { code?: string }) => void warnings.push(warning.code ?? '');
  process.on('warning', listen);
  onTestFinished(() => void process.off('warning', listen));
  const at = await world('express5');
  const cookie = await at.cookie();
  at.workos.clock.advance(86_400_000);
  for (const [status, body] of [
    [401, { message: 'Unauthorized' }],
    [400, { error: 'invalid_client' }],
    [404, {}],
    [422, {}],
  ] as const) {
    const down = at.workos.fail({ on: 'refresh', status, body });
    isOutage(await account(at, cookie));
    isOutage(await account(at, cookie, NAVIGATION));
    down.restore();
  }
  expect(warnings.filter((code) => code === 'AUTHKIT_UPSTREAM')).toHaveLength(1);
});

test('R07 invalid_grant: cleared, sign-in or 401, and the dead token is never sent again', async () => {
  const at = await world('express5');
  const cookie = await at.cookie();
  at.workos.clock.advance(LATER);
  at.workos.fail({ on: 'refresh', status: 400, body: { error: 'invalid_grant' } });
  const page = await account(at, cookie, NAVIGATION);
  expect({ status: page.status, location: page.location }).toEqual({
    status: 302,
    location: `${at.origin}/login?returnTo=%2Faccount`,
  });
  expect(page.setCookies[0]).toMatch(/^wos-session=; Max-Age=0/);
  expect((await account(at, cookie)).status).toBe(401);
  expect(at.workos.callsTo('refresh')).toHaveLength(1);
});

test('R08 one more step: the code reaches the application, the pending token nobody', async () => {
  const codes: string[] = [];
  const at = await world('express5', { authkit: { onError: ({ error }) => void codes.push(error.code) } });
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

test('R09 a 200 that holds no session is never sealed and never served, and the cookie stays', async () => {
  const at = await world('express5');
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
    isOutage(await account(at, cookie));
    down.restore();
  }
  expect(at.served()).toBe(0);
});

test('J01 no keys at a cold start: 503, public routes and sign-in go on, and it recovers by itself', async () => {
  const at = await world('express5');
  const cookie = await at.cookie();
  const down = at.workos.fail({ on: 'jwks', status: 500 });
  isOutage(await account(at, cookie));
  expect((await send(`${at.origin}/open`, { headers: FETCH })).status).toBe(200);
  expect((await send(`${at.origin}/login`, { headers: NAVIGATION })).status).toBe(302);
  down.restore();
  expect((await account(at, cookie)).status).toBe(200);
});

test('J02 good keys outlive their server for a day, and not longer', async () => {
  const at = await world('express5', { workos: { accessTokenLifetime: 200_000 } });
  const cookie = await at.cookie();
  expect((await account(at, cookie)).status).toBe(200);
  at.workos.fail({ on: 'jwks', status: 503 });
  for (const hours of [1, 11, 11]) {
    at.workos.clock.advance(hours * 3_600_000);
    expect((await account(at, cookie)).status).toBe(200);
  }
  at.workos.clock.advance(2 * 3_600_000);
  isOutage(await account(at, cookie));
});

test('J03 a new key during the cool-down: one fetch, nobody signed out, at most one request fails', async () => {
  const at = await world('express5');
  expect((await account(at, await at.cookie())).status).toBe(200);
  await at.workos.rotateKeys({ keepOld: true });
  const cookie = await at.cookie();
  const statuses = [];
  for (let request = 0; request < 3; request += 1) {
    const reply = await account(at, cookie);
    expect(reply.setCookies.filter((line) => line.includes('Max-Age=0'))).toEqual([]);
    statuses.push(reply.status);
    at.workos.clock.advance(31_000);
  }
  expect(statuses.filter((status) => status !== 200).length).toBeLessThanOrEqual(1);
  expect(at.workos.callsTo('jwks').length).toBeLessThanOrEqual(3);
});

test('J04 a withdrawn key: its tokens are renewed, and nobody sees a sign-in', async () => {
  const at = await world('express5', { workos: { accessTokenLifetime: 7200 } });
  const cookie = await at.cookie();
  expect((await account(at, cookie)).status).toBe(200);
  await at.workos.rotateKeys({ keepOld: false });
  at.workos.clock.advance(601_000);
  expect((await account(at, cookie)).status).toBe(200);
  expect(at.workos.callsTo('refresh')).toHaveLength(1);
});

test('J05 300 tokens of unknown keys: at most one more fetch of the keys', async () => {
  const at = await world('express5');
  expect((await account(at, await at.cookie())).status).toBe(200);
  at.workos.fail({ on: 'refresh', status: 400, body: { error: 'invalid_grant' } });
  const before = at.workos.callsTo('jwks').length;
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const accessToken = `${part({ alg: 'RS256', kid: `kid_${index}` })}.${part({ sid: `s${index}` })}.AAAA`;
      const session = { accessToken, refreshToken: `rt_${index}`, user: { id: 'user_1' } };
      const value = await seal(session, at.workos.options.cookiePassword);
      expect((await account(at, `wos-session=${value}`)).status).toBe(401);
    }),
  );
  expect(at.workos.callsTo('jwks').length - before).toBeLessThanOrEqual(1);
});

test('J06 a redirect, a page, an empty set, ten megabytes, foreign kinds of keys: no verdict', async () => {
  const at = await world('express5');
  const cookie = await at.cookie();
  const bodies = [
    '',
    '<html>',
    '{"keys":[]}',
    JSON.stringify({ pad: 'x'.repeat(10_000_000) }),
    '{"keys":[{"kty":"oct","k":"AA","kid":"A"}]}',
  ];
  const faults = [
    { status: 302, headers: { location: `${at.workos.url}/evil` } },
    ...bodies.map((body) => ({ status: 200, body })),
  ];
  for (const fault of faults) {
    const down = at.workos.fail({ on: 'jwks', ...fault });
    isOutage(await account(at, cookie));
    down.restore();
  }
  expect(at.workos.calls.filter(({ path }) => path.startsWith('/evil'))).toEqual([]);
});

/** An application whose clock differs from WorkOS's, in milliseconds. */
async function withSkew(skew: number): Promise<World> {
  let clock: () => number = Date.now;
  const at = await world('express5', { authkit: { now: () => clock() + skew } });
  clock = () => at.workos.clock.now();
  return at;
}

test('C01 a clock ten minutes ahead: 503 and one refresh a request, never a circle', async () => {
  const at = await withSkew(600_000);
  const landed = await at.signIn();
  expect(landed.status).toBe(503);
  const cookie = await at.cookie();
  for (let request = 1; request <= 3; request += 1) {
    const reply = await account(at, cookie, NAVIGATION);
    expect(reply.status).toBe(503);
    expect(reply.headers['retry-after']).toBeDefined();
    expect(at.workos.callsTo('refresh').length).toBeLessThanOrEqual(request);
  }
});

test('C02 a clock ten minutes behind: tokens from the future hold, a state from it does not', async () => {
  const at = await withSkew(-600_000);
  expect((await account(at, await at.cookie())).status).toBe(200);
  expect((await at.signIn(ADA, '/account')).status).toBe(200);
  const { clientId, cookiePassword } = at.workos.options;
  const binding = {
    clientId,
    redirectUri: `${at.origin}/callback`,
    cookiePasswords: [cookiePassword] as const,
  };
  for (const [ahead, expected] of [
    [119_000, 'open'],
    [122_000, 'shut'],
  ] as const) {
    const issuedAt = at.workos.clock.now() - 600_000 + ahead;
    const { transaction, secret } = newTransaction({ returnTo: '/' }, issuedAt);
    const state = await sealTransaction(transaction, binding);
    const headers = { ...NAVIGATION, cookie: `wos-auth-verifier-${fingerprint(state)}=${secret}` };
    const before = at.workos.callsTo('code').length;
    const reply = await send(`${at.origin}/callback?code=x&state=${encodeURIComponent(state)}`, { headers });
    expect(reply.status).toBe(400);
    expect(at.workos.callsTo('code').length - before).toBe(expected === 'open' ? 1 : 0);
  }
});

test('C03 the second of expiry is expired, the one before holds, and ahead of it is a window', async () => {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k' }] };
  for (const exp of [1_000_000, 1_700_000_000, 4_000_000_000]) {
    const token = await new SignJWT({ sid: 's', iss: 'i', sub: 'u', exp })
      .setProtectedHeader({ alg: 'RS256', kid: 'k' })
      .sign(privateKey);
    for (const [now, kind] of [
      [exp - 1, 'valid'],
      [exp - 0.001, 'valid'],
      [exp, 'expired'],
      [exp + 1, 'expired'],
    ] as const) {
      const clock = () => now * 1000;
      const keys = createJWKS({ fetchKeys: () => Promise.resolve(jwks), now: clock, softTimeout: 1000 });
      const verdict = await createVerifier({ issuers: ['i'], clientId: 'c', now: clock, keys })(token);
      expect(verdict.kind).toBe(kind);
    }
  }
});

test('C04 a clock that jumps back makes no session older, nor a recent sign-in stale', async () => {
  const at = await world('express5', { rule: { maxAge: 60 } });
  const landed = await at.signIn(ADA, '/login?maxAge=60&returnTo=/account');
  expect(landed.status).toBe(200);
  at.workos.clock.advance(-3_600_000);
  expect((await at.browser.go(`${at.origin}/account`)).status).toBe(200);
  at.workos.clock.advance(3_600_000 + 30_000);
  expect((await at.browser.go(`${at.origin}/account`)).status).toBe(200);
});
