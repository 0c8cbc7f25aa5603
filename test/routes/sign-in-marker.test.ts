import { expect, test } from 'vitest';
import { NAVIGATION, send, type Reply } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';

const pairOf = ({ setCookies }: Reply, name: RegExp) =>
  setCookies.find((line) => name.test(line))!.split(';', 1)[0]!;

// The clock of the server that handles the first callback is ahead of the second server's.
test.each([
  [0, true],
  [9_999, true],
  [-9_999, true],
  [10_001, false],
  [11_000, false],
  [-10_000, false],
  [-11_000, false],
])('a sign-in marker from a clock that is %i ms ahead ends a redirect loop: %s', async (ahead, counts) => {
  const now = Date.now();
  let skew = ahead;
  const { origin, workos } = await createTestApp('express5', { authkit: { now: () => now + skew } });
  const signIn = async (cookie: string) => {
    const login = await send(`${origin}/login`, { headers: { ...NAVIGATION, cookie } });
    const callback = await workos.authorize(login.location!, { user: ADA });
    const transaction = pairOf(login, /^wos-auth-verifier-/);
    return send(callback, { headers: { ...NAVIGATION, cookie: transaction } });
  };
  const first = await signIn('theme=dark');
  expect(first.status).toBe(302);
  skew = 0;
  // The browser keeps the marker, but not the session.
  const second = await signIn(pairOf(first, /^wos-signed-in=/));
  expect([second.status, second.body.includes('Your sign-in was not kept')]).toEqual(
    counts ? [400, true] : [302, false],
  );
});
