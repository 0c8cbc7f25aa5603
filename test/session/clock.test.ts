import { expect, test } from 'vitest';
import { createRefresh } from '../../src/session/refresh.js';
import { createSessionCache } from '../../src/session/verified-session-cache.js';
import { toSession, type Session } from '../../src/session/sealed-session.js';
import { unavailable } from '../../src/errors.js';
import { ADA, createTestApp } from '../support/app.js';

const HOUR = 3_600_000;

test('a server whose clock is ahead keeps the tokens that WorkOS has rotated, and warns about the clock', async () => {
  let skew = 0;
  let clock: () => number = Date.now;
  const site = await createTestApp('express5', {
    workos: { replayWindow: 0 },
    authkit: { now: () => clock() + skew },
  });
  clock = site.workos.clock.now;
  const warnings: unknown[] = [];
  const heard = (warning: Error & { code?: string }) => warnings.push(warning.code);
  process.on('warning', heard);
  await site.browser.jar.setCookie(await site.cookie({ user: ADA }), site.origin);
  const account = () => site.browser.fetch(`${site.origin}/account`);
  expect((await account()).status).toBe(200);

  skew = HOUR;
  for (let request = 0; request < 3; request += 1) {
    const reply = await account();
    expect(reply.status).toBe(503);
    expect(reply.headers['retry-after']).toBeDefined();
    expect(reply.setCookies.filter((line) => /^wos-session=Fe26/.test(line))).toHaveLength(1);
    // Longer than WorkOS accepts a refresh token a second time.
    site.workos.clock.advance(60_000);
  }
  expect(site.served()).toBe(1);
  expect(site.workos.callsTo('refresh').filter(({ status }) => status !== 200)).toEqual([]);
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', heard);
  expect(warnings.filter((code) => code === 'AUTHKIT_CLOCK')).toHaveLength(1);

  skew = 0;
  const reply = await account();
  expect(JSON.parse(reply.body)).toMatchObject({ email: ADA });
});

test('a clock that is set back does not hold up refreshes before expiry for longer than ten seconds', async () => {
  let now = 10 * HOUR;
  const session = { refreshToken: 'rt' } as Session;
  const refreshTokens = () => Promise.resolve({ kind: 'unavailable', error: unavailable('down') } as const);
  const { run, canRefreshAhead } = createRefresh({ clientId: 'client_1', refreshTokens, now: () => now });
  const monotonic = performance.now.bind(performance);
  let advanced = 0;
  performance.now = () => monotonic() + advanced;
  try {
    await run(session, undefined);
    expect(canRefreshAhead(session)).toBe(false);
    now -= HOUR;
    expect(canRefreshAhead(session)).toBe(false);
    advanced = 10_000;
    expect(canRefreshAhead(session)).toBe(true);
  } finally {
    performance.now = monotonic;
  }
});

test('a clock that is set back does not make a cached session live longer', () => {
  let now = 10 * HOUR;
  const cache = createSessionCache(1_048_576, () => now);
  const claims = { iss: 'i', sub: 'u', sid: 's', iat: 10 * 3600, exp: 20 * 3600 };
  const session = toSession({ accessToken: 'x', refreshToken: 'rt', user: { id: 'u' } as never }, {});
  const verified = { kind: 'authenticated', session, claims } as const;
  cache.set('value', verified, false);
  cache.set('value', verified, false);
  expect(cache.get('value')).toBeDefined();
  now -= HOUR;
  expect(cache.get('value')).toBeUndefined();
});
