import { expect, onTestFinished, test } from 'vitest';
import { NAVIGATION, send } from '../support/browser.js';
import { createCorpusApp } from '../support/corpus-app.js';
import { createTestApp } from '../support/app.js';

test('X01 behind a TLS proxy, cookies are Secure because the redirect URI is https', async () => {
  const { origin } = await createTestApp('express5', {
    authkit: { redirectUri: 'https://app.example.com/callback' },
  });
  const { location, setCookies } = await send(`${origin}/login`, { headers: NAVIGATION });
  expect(setCookies[0]).toContain('; Secure');
  expect(new URL(location!).searchParams.get('redirect_uri')).toBe('https://app.example.com/callback');
});

test('X03 a Cookie header that a proxy has split is read whole', async () => {
  const at = await createCorpusApp('express5');
  onTestFinished(() => at.close());
  const session = await at.workos.signIn();
  expect(await at.raw('/protected', ['Cookie: a=b', `Cookie: ${session}`])).toMatch(/^HTTP\/1\.1 200/);
});

test('T30 X02 Host and forwarded headers do not change any URL, even with trust proxy', async () => {
  const { origin } = await createTestApp('express5', {
    mount: (app, auth) => {
      app.set?.('trust proxy', true);
      app.use(auth);
    },
  });
  const headers = {
    ...NAVIGATION,
    host: 'evil.example',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
    'x-forwarded-prefix': '/evil',
    forwarded: 'host=evil.example',
  };
  const login = await send(`${origin}/login`, { headers });
  expect(new URL(login.location!).searchParams.get('redirect_uri')).toBe(`${origin}/callback`);
  expect(login.setCookies.join()).not.toMatch(/Domain|Secure/);
  expect((await send(`${origin}/account`, { headers })).headers.location).toBe('/login?returnTo=%2Faccount');
  expect((await send(`${origin}/callback?state=x`, { headers })).body).not.toContain('evil.example');
});
