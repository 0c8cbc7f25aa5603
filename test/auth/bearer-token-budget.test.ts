import { describe, expect, onTestFinished, test } from 'vitest';
import { requireAuth, sso } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { FRAMEWORKS, serve, type Framework } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, json, whoami, createFrozenTestApp } from '../support/app.js';

const bearer = (token: string) => ({ ...FETCH, authorization: `Bearer ${token}` });

/** An application with a route for each kind of credential. */
async function api(framework: Framework = 'express5') {
  const at = await createFrozenTestApp(framework, {
    routes: (app) => {
      app.route('/key', requireAuth({ accepts: ['apiKey'] }), whoami);
      app.route('/bearer', requireAuth({ accepts: ['bearer'] }), whoami);
    },
  });
  const ask = (path: string, headers: Record<string, string>) => send(at.origin + path, { headers });
  return { ...at, ask, calls: () => at.workos.callsTo('apiKey').length };
}

const madeUp = (index: number) => `sk_made_up_${index}_0123456789abcdef`;

/** The calls that made-up credentials may cause at once. Another 10 are allowed each second. */
const BURST = 20;

describe('T50 made-up API keys', () => {
  test.each(FRAMEWORKS)(
    'what does not have the form of an API key makes no call, on %s',
    async (framework) => {
      const { ask, calls } = await api(framework);
      const wrong = [
        'x',
        'x0123456789abcdef',
        'sk_',
        'sk_short',
        'SK_0123456789abcdef',
        'pk_0123456789abcdef',
        'key_0123456789abcdef',
        'sk-0123456789abcdef',
        ' sk_0123456789abcdef',
        'sk_0123456789abcdef==',
        'sk_0123456789/abcdef',
        'sk_0123456789+abcdef',
        'sk_0123456789~abcdef',
        `sk_${'x'.repeat(254)}`,
        `sk_${'x'.repeat(10_000)}`,
      ];
      for (const token of wrong) {
        const reply = await ask('/key', { ...FETCH, authorization: `Bearer ${token}` });
        expect(reply.status, token).toBe(401);
        expect(reply.headers['www-authenticate']).toMatch(/^Bearer error="invalid_token"/);
      }
      // A space before the token is not part of the token.
      expect(calls()).toBe(1);
    },
  );

  test('that WorkOS answers with 429 stop neither sign-ins nor refreshes', async () => {
    const { workos, ask, signIn, browser, origin } = await api();
    const limited = { status: 429, headers: { 'retry-after': '60' } };
    workos.fail({ on: { method: 'POST', path: '/api_keys/validations' }, ...limited, times: 1000 });
    for (let index = 0; index < 3; index += 1)
      expect((await ask('/key', bearer(madeUp(index)))).status).toBe(503);
    expect((await signIn()).status).toBe(200);
    workos.clock.advance(600_000);
    expect((await browser.fetch(`${origin}/account`)).status).toBe(200);
    expect(workos.callsTo('refresh')).toHaveLength(1);
  });

  test('200 of the right form are few calls, the others get 503, and a good key works beside them', async () => {
    const { workos, ask, calls } = await api();
    const key = workos.createApiKey();
    const statuses = new Set<number>();
    const asked = Array.from({ length: 200 }, (_, index) => ask('/key', bearer(madeUp(index))));
    for (const reply of await Promise.all(asked)) {
      statuses.add(reply.status);
      if (reply.status === 503) expect(reply.headers['retry-after']).toBe('1');
    }
    expect(statuses).toEqual(new Set([401, 503]));
    expect(calls()).toBe(BURST);
    workos.clock.advance(1000);
    expect((await ask('/key', bearer(key))).status).toBe(200);
  });

  test('good keys are not limited: a hundred new ones, one after another', async () => {
    const { workos, ask, calls } = await api();
    for (let index = 0; index < 100; index += 1)
      expect((await ask('/key', bearer(workos.createApiKey()))).status).toBe(200);
    expect(calls()).toBe(100);
  });

  test('a good key is checked again while the budget is used up', async () => {
    const { workos, ask } = await api();
    const key = workos.createApiKey();
    expect((await ask('/key', bearer(key))).status).toBe(200);
    workos.clock.advance(31_000);
    await Promise.all(Array.from({ length: 40 }, (_, index) => ask('/key', bearer(madeUp(index)))));
    workos.revokeApiKey(key);
    expect((await ask('/key', bearer(key))).status).toBe(401);
  });

  test('refusals push no good key out of the cache', async () => {
    const { workos, ask, calls } = await api();
    const key = workos.createApiKey();
    expect((await ask('/key', bearer(key))).status).toBe(200);
    for (let index = 0; index < 30; index += 1) {
      workos.clock.advance(500);
      await ask('/key', bearer(madeUp(index)));
    }
    const before = calls();
    expect((await ask('/key', bearer(key))).status).toBe(200);
    expect(calls()).toBe(before);
  });

  test.each([
    ['429', { status: 429 }],
    ['429 with Retry-After', { status: 429, headers: { 'retry-after': '30' } }],
    ['503', { status: 503 }],
    ['a reset connection', { reset: true }],
    ['401 for the key of the application', { status: 401 }],
  ])('a key that was good within five minutes stays good during %s, and not longer', async (_, fault) => {
    const { workos, ask } = await api();
    const key = workos.createApiKey();
    expect((await ask('/key', bearer(key))).status).toBe(200);
    workos.fail({ on: 'apiKey', ...fault });
    for (const seconds of [31, 100, 160]) {
      workos.clock.advance(seconds * 1000);
      expect((await ask('/key', bearer(key))).status).toBe(200);
    }
    workos.clock.advance(10_000);
    expect((await ask('/key', bearer(key))).status).toBe(503);
  });

  test('a key that was refused is not good during an outage', async () => {
    const { workos, ask } = await api();
    const key = workos.createApiKey();
    expect((await ask('/key', bearer(key))).status).toBe(200);
    workos.revokeApiKey(key);
    workos.clock.advance(31_000);
    expect((await ask('/key', bearer(key))).status).toBe(401);
    workos.fail({ on: 'apiKey', status: 503 });
    expect((await ask('/key', bearer(key))).status).toBe(401);
    workos.clock.advance(31_000);
    expect((await ask('/key', bearer(key))).status).toBe(503);
  });
});

test('while WorkOS is unavailable, a known user is asked about every ten seconds and not for every request', async () => {
  const { workos, ask } = await api();
  expect((await ask('/bearer', bearer(await workos.accessToken({ user: ADA })))).status).toBe(200);
  workos.clock.advance(301_000);
  workos.fail({ on: 'user', status: 500 });
  const token = await workos.accessToken({ user: ADA });
  for (let request = 0; request < 5; request += 1)
    expect((await ask('/bearer', bearer(token))).status).toBe(200);
  expect(workos.callsTo('user')).toHaveLength(2);
  workos.clock.advance(10_000);
  for (let request = 0; request < 5; request += 1)
    expect((await ask('/bearer', bearer(token))).status).toBe(200);
  expect(workos.callsTo('user')).toHaveLength(3);
});

test.each(['BEARER', 'bEaReR', 'bearer'])(
  'RFC 9110 11.1 the scheme %s is that of a bearer token',
  async (scheme) => {
    const { workos, ask, cookie } = await api();
    const token = await workos.accessToken({ user: ADA });
    const good = await ask('/bearer', { ...FETCH, authorization: `${scheme} ${token}` });
    expect(JSON.parse(good.body)).toMatchObject({ type: 'bearer', email: ADA });
    const forged = `${token.slice(0, token.lastIndexOf('.'))}.AAAA`;
    const headers = { ...FETCH, cookie: await cookie(), authorization: `${scheme} ${forged}` };
    expect((await ask('/bearer', headers)).status).toBe(401);
  },
);

test('19F a bearer token under a new key gets 503 with Retry-After while forged key ids keep the keys from being fetched', async () => {
  const { workos, ask } = await api();
  expect((await ask('/bearer', bearer(await workos.accessToken()))).status).toBe(200);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    iss: `${workos.url}/user_management/${workos.options.clientId}`,
    ...{ sub: 'user_1', sid: 'session_1', exp: Math.floor(workos.clock.now() / 1000) + 300 },
  };
  const forged = (kid: string) => `${part({ alg: 'RS256', kid })}.${part(claims)}.AAAA`;
  expect((await ask('/bearer', bearer(forged('one')))).status).toBe(401);
  await workos.rotateKeys({ keepOld: true });
  const token = await workos.accessToken();
  const early = await ask('/bearer', bearer(token));
  expect(early.status).toBe(503);
  expect(Number(early.headers['retry-after'])).toBeGreaterThan(0);
  expect(Number(early.headers['retry-after'])).toBeLessThanOrEqual(30);
  for (let index = 0; index < 100; index += 1)
    expect([401, 503]).toContain((await ask('/bearer', bearer(forged(`kid_${index}`)))).status);
  expect(workos.callsTo('jwks')).toHaveLength(2);
  workos.clock.advance(30_000);
  expect((await ask('/bearer', bearer(token))).status).toBe(200);
});

/** `sso()` with a test WorkOS that has a connection. */
async function singleSignOn(acceptIdPInitiated = false) {
  const workos = await createTestWorkOS({
    now: Date.now(),
    organizations: [{ name: 'Engines', id: 'org_1', connections: [{ id: 'conn_1', type: 'OktaSAML' }] }],
    users: [{ email: ADA, memberships: [{ organizationId: 'org_1' }] }],
  });
  onTestFinished(() => workos.close());
  const { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now } = workos.options;
  const options = { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now };
  const site = await serve('express5', (app, origin) => {
    app.use(sso({ ...options, redirectUri: `${origin}/sso/callback`, acceptIdPInitiated }));
    app.route('/open', (req, res) => {
      json(res, { email: (req as { user?: { email: string } }).user?.email ?? null });
    });
  });
  onTestFinished(() => site.close());
  return { workos, origin: site.origin };
}

test.each([true, false])(
  'T50 made-up codes without state are few calls (acceptIdPInitiated: %s)',
  async (accept) => {
    const { workos, origin } = await singleSignOn(accept);
    const statuses = new Set<number>();
    const asked = Array.from({ length: 100 }, (_, index) =>
      send(`${origin}/sso/callback?code=made_up_${index}`, { headers: NAVIGATION }),
    );
    for (const { status } of await Promise.all(asked)) statuses.add(status);
    expect(workos.callsTo('profile')).toHaveLength(BURST);
    expect(statuses.has(503)).toBe(true);
  },
);

test.each([
  ['id', { id: undefined }],
  ['id of another kind', { id: 7 }],
  ['email address', { email: null }],
  ['empty email address', { email: '' }],
  ['connection', { connection_id: undefined }],
  ['connection of another kind', { connection_id: {} }],
])('a profile without a valid %s signs no user in', async (_, change) => {
  const { workos, origin } = await singleSignOn();
  workos.fail({
    on: 'profile',
    alter: (body) => ({ ...body, profile: { ...(body['profile'] as object), ...change } }),
  });
  const away = await send(`${origin}/sso/login?connection=conn_1`, { headers: NAVIGATION });
  const callback = await workos.authorize(away.location!, { user: ADA });
  const cookie = away.setCookies.map((line) => line.split(';', 1)[0]).join('; ');
  const reply = await send(callback, { headers: { ...NAVIGATION, cookie } });
  expect(reply.status).toBe(503);
  expect(reply.setCookies.filter((line) => /^wos-sso-session=[^;]/.test(line))).toEqual([]);
  expect(workos.callsTo('profile')).toHaveLength(1);
});
