import { expect, test } from 'vitest';
import { requireAuth } from 'authkit-express';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, createTestApp, json } from '../support/app.js';

test('T32 no query, cookie or response of WorkOS changes a prototype', async () => {
  const { origin, workos } = await createTestApp('express5');
  const before = Reflect.ownKeys(Object.prototype);
  for (const query of [
    '__proto__[x]=1',
    'constructor[prototype][x]=1',
    '__proto__=1&returnTo[__proto__]=2',
    'state[__proto__][x]=1',
  ])
    for (const path of ['/login', '/callback', '/logout', '/open'])
      await send(`${origin}${path}?${query}`, {
        headers: { ...NAVIGATION, cookie: '__proto__=x; wos-session.__proto__=1' },
      });
  const cookie = await workos.signIn({ user: ADA });
  workos.clock.advance(600_000);
  workos.fail({
    on: 'refresh',
    status: 200,
    body: '{"__proto__":{"user":{"id":"x"}},"user":{"id":"x","__proto__":{"isAdmin":true}}}',
  });
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(503);
  expect(Reflect.ownKeys(Object.prototype)).toEqual(before);
  expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
});

test('T15 T47 a polluted prototype does not make an access token enumerable', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/auth', requireAuth({ accepts: ['session', 'bearer'] }), (req, res) => {
        json(res, (req as unknown as { auth: unknown }).auth);
      });
    },
  });
  const authorization = `Bearer ${await workos.accessToken({ user: ADA })}`;
  const credentials = [{ cookie: await cookie({ user: ADA }) }, { authorization }];
  Object.defineProperty(Object.prototype, 'enumerable', { value: true, configurable: true });
  try {
    for (const credential of credentials) {
      const { status, body } = await send(`${origin}/auth`, { headers: { ...FETCH, ...credential } });
      expect(status).toBe(200);
      expect(JSON.parse(body)).not.toHaveProperty('accessToken');
    }
  } finally {
    Reflect.deleteProperty(Object.prototype, 'enumerable');
  }
});
