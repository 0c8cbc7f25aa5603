import { expect, test } from 'vitest';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { createSSOWorkOS, startSSO } from './support.js';

test('T55 a copy of the cookie of a signed-out SSO session is refused by every process and after a restart', async () => {
  const workos = await createSSOWorkOS();
  const options = { store: mapStore() };
  const [one, two] = [
    await startSSO(workos, 'express5', { options }),
    await startSSO(workos, 'express5', { options }),
  ];
  const { cookie } = await one.signIn();
  const ask = async (origin: string) =>
    (await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status;
  expect([await ask(one.origin), await ask(two.origin)]).toEqual([200, 200]);
  const headers = { ...NAVIGATION, 'sec-fetch-site': 'same-origin', cookie };
  expect((await send(`${two.origin}/sso/logout`, { method: 'POST', headers })).status).toBe(200);
  const restarted = await startSSO(workos, 'express5', { options });
  expect([await ask(two.origin), await ask(restarted.origin)]).toEqual([401, 401]);
});
