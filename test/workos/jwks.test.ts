import { expect, test } from 'vitest';
import { seal } from '../../src/session/iron-seal.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { createFrozenTestApp } from '../support/app.js';
import { account, expectOutage } from '../support/outage.js';

test('J01 without keys at a cold start, guarded routes get 503, public routes and sign-in work, and it recovers by itself', async () => {
  const at = await createFrozenTestApp('express5');
  const cookie = await at.cookie();
  const down = at.workos.fail({ on: 'jwks', status: 500 });
  expectOutage(await account(at, cookie));
  expect((await send(`${at.origin}/open`, { headers: FETCH })).status).toBe(200);
  expect((await send(`${at.origin}/login`, { headers: NAVIGATION })).status).toBe(302);
  down.restore();
  expect((await account(at, cookie)).status).toBe(200);
});

test('J02 keys are kept for a day while their server is unavailable, and not longer', async () => {
  const at = await createFrozenTestApp('express5', { workos: { accessTokenLifetime: 200_000 } });
  const cookie = await at.cookie();
  expect((await account(at, cookie)).status).toBe(200);
  at.workos.fail({ on: 'jwks', status: 503 });
  for (const hours of [1, 11, 11]) {
    at.workos.clock.advance(hours * 3_600_000);
    expect((await account(at, cookie)).status).toBe(200);
  }
  at.workos.clock.advance(2 * 3_600_000);
  expectOutage(await account(at, cookie));
});

test('J03 a new key causes one fetch of the keys, and its tokens are accepted at once', async () => {
  const at = await createFrozenTestApp('express5');
  expect((await account(at, await at.cookie())).status).toBe(200);
  await at.workos.rotateKeys({ keepOld: true });
  const cookie = await at.cookie();
  const statuses = [];
  for (let request = 0; request < 3; request += 1) {
    const reply = await account(at, cookie);
    expect(reply.setCookies.filter((line) => line.includes('Max-Age=0'))).toEqual([]);
    statuses.push(reply.status);
  }
  expect({ statuses, fetches: at.workos.callsTo('jwks').length }).toEqual({
    statuses: [200, 200, 200],
    fetches: 2,
  });
});

test('J04 sessions with tokens of a withdrawn key are refreshed without a sign-in', async () => {
  const at = await createFrozenTestApp('express5', { workos: { accessTokenLifetime: 7200 } });
  const cookie = await at.cookie();
  expect((await account(at, cookie)).status).toBe(200);
  await at.workos.rotateKeys({ keepOld: false });
  at.workos.clock.advance(601_000);
  const reply = await account(at, cookie);
  expect(reply.status).toBe(200);
  expect(reply.setCookies.some((line) => /^wos-session=[^;]/.test(line))).toBe(true);
  expect(at.workos.callsTo('refresh')).toHaveLength(1);
});

test('J05 300 tokens with unknown keys cause at most one more fetch of the keys', async () => {
  const at = await createFrozenTestApp('express5');
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

test('J06 a redirect, a page, an empty set, ten megabytes or other kinds of keys are treated as an outage', async () => {
  const at = await createFrozenTestApp('express5');
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
    expectOutage(await account(at, cookie));
    down.restore();
  }
  expect(at.workos.calls.filter(({ path }) => path.startsWith('/evil'))).toEqual([]);
});
