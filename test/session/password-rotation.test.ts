import { expect, test } from 'vitest';
import { open } from '../../src/session/iron-seal.js';
import { openSession, sealSession } from '../../src/session/sealed-session.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';

const LATER = 600_000;

const isSession = (line: string) => /^wos-session(?:\.\d+)?=[^;]/.test(line);

/** The same application with other passwords. */
async function withPasswords(
  passwords: string[],
): Promise<{ origin: string; cookie: (password: string) => Promise<string>; advance: (ms: number) => void }> {
  const at = await createTestApp('express5', { authkit: { cookiePassword: passwords } });
  const cookie = async (password: string) => {
    const value = (await at.cookie()).split('=')[1]!;
    const session = openSession(value, [at.workos.options.cookiePassword], Date.now())!;
    return `wos-session=${await sealSession(session, password)}`;
  };
  return { origin: at.origin, cookie, advance: at.workos.clock.advance };
}

const NEW = 'a-newer-cookie-password-0123456789abcdefg';

const OLD = 'an-older-cookie-password-0123456789abcdef';

test('K07 during a password rotation the old one decrypts and the new one encrypts, and without the old one a session means anonymous', async () => {
  const both = await withPasswords([NEW, OLD]);
  const old = await both.cookie(OLD);
  expect((await send(`${both.origin}/account`, { headers: { ...FETCH, cookie: old } })).status).toBe(200);
  both.advance(LATER);
  const renewed = await send(`${both.origin}/account`, { headers: { ...FETCH, cookie: old } });
  const value = renewed.setCookies.find(isSession)!.slice('wos-session='.length).split(';', 1)[0]!;
  expect(open(value, [NEW], Date.now())).toBeDefined();
  const only = await withPasswords([NEW]);
  expect(
    (await send(`${only.origin}/account`, { headers: { ...FETCH, cookie: await only.cookie(OLD) } })).status,
  ).toBe(401);
});

test('K08 after a deploy with another password users sign in again without an error, and their old cookies are kept', async () => {
  const other = await withPasswords([NEW]);
  const cookie = await other.cookie(OLD);
  const page = await send(`${other.origin}/account`, { headers: { ...NAVIGATION, cookie } });
  expect({ status: page.status, cookies: page.setCookies }).toEqual({ status: 302, cookies: [] });
});
