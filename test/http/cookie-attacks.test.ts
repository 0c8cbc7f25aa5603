import { expect, test } from 'vitest';
import { ADA, createTestApp } from '../support/app.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';

test('T43 a byte that is not a space or a tab belongs to the name of a cookie', async () => {
  const { origin, workos } = await createTestApp('express5', {
    authkit: { redirectUri: 'https://app.example.com/callback', cookie: { name: '__Host-session' } },
  });
  const sealed = (user: string) => workos.signIn({ user, cookieName: '__Host-session' });
  const [own, evil] = [await sealed(ADA), await sealed('grace@example.com')];
  const ask = async (cookie: string) =>
    (await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).body;
  for (const planted of [`\u00a0${evil}`, evil.replace('=', '\u00a0=')]) {
    expect(await ask(`${planted}; ${own}`)).toContain(ADA);
    expect(await ask(planted)).not.toContain('grace@');
  }
});

test('T44 planted cookies hide no session and make no long response', async () => {
  const { origin, cookie } = await createTestApp('express5');
  const junk = Array.from({ length: 40 }, (_, index) => `wos-session=Fe26.2*1*${index}~2`).join('; ');
  const headers = { ...FETCH, cookie: `${junk}; ${await cookie()}` };
  expect((await send(`${origin}/account`, { headers })).status).toBe(200);
  const planted = Array.from({ length: 600 }, (_, index) => `wos-auth-verifier-${index}=`).join(';');
  const login = await send(`${origin}/login`, { headers: { ...NAVIGATION, cookie: planted } });
  expect([login.status, login.setCookies.length]).toEqual([302, 17]);
});
