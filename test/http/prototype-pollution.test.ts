import { expect, test } from 'vitest';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';

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
