import { expect, test } from 'vitest';
import { authkit, AuthKitError } from 'authkit-express';
import { ADA, createTestApp } from '../support/app.js';

const good = {
  clientId: 'client_1',
  apiKey: 'sk_1',
  redirectUri: 'https://x.example/callback',
  cookiePassword: 'correct-horse-battery-staple-0123456789',
};

test('T29 no option and no returnTo can inject a header', async () => {
  for (const options of [
    { cookie: { name: 'a\r\nSet-Cookie: x' } },
    { cookie: { domain: 'x; Secure' } },
    { returnTo: '/\r\nX: y' },
    { redirectUri: 'https://x.example/call\nback' },
  ])
    expect(() => authkit({ ...good, ...options })).toThrow(AuthKitError);
  const { origin, signIn } = await createTestApp('express5');
  const landed = await signIn(ADA, `/login?returnTo=${encodeURIComponent('/x\r\nSet-Cookie: evil=1')}`);
  expect(landed.url).toBe(`${origin}/`);
});
