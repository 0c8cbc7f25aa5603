import { expect, test } from 'vitest';
import { requireAuth } from 'authkit-express';
import { bearerChallenge } from '../../src/auth/deny.js';
import { FETCH, send } from '../support/browser.js';
import { json, whoami, createTestApp } from '../support/app.js';

test('a 403 names the condition that is not met', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', {
    routes: (app) => {
      const guards = {
        '/rule': requireAuth({ permission: 'never' }),
        '/check': requireAuth(() => Promise.resolve(false)),
        '/own': requireAuth({ sameOrigin: true }),
        '/people': requireAuth({ accepts: ['bearer', 'apiKey'], maxAge: 60 }),
      };
      for (const [path, guard] of Object.entries(guards)) app.route(path, guard, whoami);
    },
  });
  const session = { ...FETCH, cookie: await cookie() };
  const key = { ...FETCH, authorization: `Bearer ${workos.createApiKey()}` };
  const foreign = { ...session, 'sec-fetch-site': 'cross-site' };
  for (const [path, headers, message] of [
    ['/rule', session, 'the rule of this route does not hold'],
    ['/check', session, 'the rule of this route does not hold'],
    ['/own', foreign, 'this request has to come from this application'],
    ['/people', key, 'this route is for users'],
  ] as const) {
    const reply = await send(origin + path, { method: 'POST', headers });
    expect(JSON.parse(reply.body)).toEqual({ status: 403, error: 'forbidden', message });
  }
});

test('a guard waits for a refresh that a public page no longer waits for', async () => {
  const { origin, cookie, workos } = await createTestApp('express5');
  const headers = { ...FETCH, cookie: await cookie({ expiresIn: -1 }) };
  workos.fail({ on: 'refresh', delay: 1300, times: 1 });
  const [open, guarded] = await Promise.all(
    ['/open', '/account'].map((path) => send(origin + path, { headers })),
  );
  expect(JSON.parse(open!.body)).toMatchObject({ email: null, reason: 'unavailable' });
  expect(guarded!.status).toBe(200);
  expect(workos.callsTo('refresh')).toHaveLength(1);
});

test.each([
  ['a cached session', requireAuth({ permission: 'a', check: () => true })],
  ['a cached token', requireAuth({ accepts: ['bearer'] })],
])('a request with %s passes a guard synchronously', async (credential, guard) => {
  const order: string[] = [];
  const { origin, cookie, workos } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/served', guard, whoami);
      app.route('/order', (req, res) => {
        guard(req, res, () => order.push('passed'));
        order.push('after');
        json(res, {});
      });
    },
  });
  const headers =
    credential === 'a cached session'
      ? { ...FETCH, cookie: await cookie({ permissions: ['a'] }) }
      : { ...FETCH, authorization: `Bearer ${await workos.accessToken()}` };
  for (let request = 0; request < 2; request += 1)
    expect((await send(`${origin}/served`, { headers })).status).toBe(200);
  await send(`${origin}/order`, { headers });
  expect(order).toEqual(['passed', 'after']);
});

test.each([
  [{}, 'Bearer'],
  [
    { error: 'invalid_token', error_description: 'expired' },
    'Bearer error="invalid_token", error_description="expired"',
  ],
  [
    { error: 'insufficient_user_authentication', max_age: 60 },
    'Bearer error="insufficient_user_authentication", max_age="60"',
  ],
] as const)('the challenge %o is the header field value %s', (challenge, value) => {
  expect(bearerChallenge(challenge)).toEqual({ 'WWW-Authenticate': value });
});
