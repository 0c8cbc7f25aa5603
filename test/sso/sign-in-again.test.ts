import { expect, test } from 'vitest';
import { ADA } from '../support/app.js';
import { Browser, FETCH, NAVIGATION, send } from '../support/browser.js';
import { messagesOn } from '../support/events.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { createSSOWorkOS, startSSO } from './support.js';

test.each(FRAMEWORKS)('a sign-in at sso() on %s ends the session that the browser had', async (framework) => {
  const workos = await createSSOWorkOS();
  const { origin, signIn } = await startSSO(workos, framework);
  const browser = new Browser();
  const { cookie: first } = await signIn(browser);
  const elsewhere = await signIn();
  const { cookie: second } = await signIn(browser);
  expect(second).not.toBe(first);
  const status = async (cookie: string) =>
    (await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status;
  expect(await status(first)).toBe(401);
  expect(await status(second)).toBe(200);
  expect(await status(elsewhere.cookie)).toBe(200);
});

test('a sign-in at sso() that onSuccess rejects ends no session', async () => {
  const workos = await createSSOWorkOS();
  let isAccepted = true;
  const { origin, signIn } = await startSSO(workos, 'express5', {
    options: { onSuccess: () => (isAccepted ? {} : { reject: 'no' }) },
  });
  const browser = new Browser();
  const { cookie } = await signIn(browser);
  isAccepted = false;
  await signIn(browser);
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(200);
});

test('with strict cookies that the callback receives, a sign-in at sso() ends the previous session only once', async () => {
  const workos = await createSSOWorkOS();
  const options = { cookie: { sameSite: 'strict' } } as const;
  const { signIn } = await startSSO(workos, 'express5', { options });
  const { browser } = await signIn();
  const ended = messagesOn('authkit:revoked');
  await signIn(browser);
  expect(ended).toHaveLength(1);
});

test('T12 a sign-in at sso() ends the session that the browser had, although strict cookies are not sent to the callback', async () => {
  const workos = await createSSOWorkOS();
  const options = { cookie: { sameSite: 'strict' } } as const;
  const { origin, signIn } = await startSSO(workos, 'express5', { options });
  const { browser, cookie: first } = await signIn();
  const status = async () =>
    (await send(`${origin}/account`, { headers: { ...FETCH, cookie: first } })).status;
  expect(await status()).toBe(200);
  const { location } = await browser.go(`${origin}/sso/login`);
  const callback = await workos.authorize(location!, { user: ADA });
  const cookies = (await browser.jar.getCookieString(origin)).split('; ');
  const cookie = cookies.filter((one) => one.startsWith('wos-auth-verifier-')).join('; ');
  expect((await send(callback, { headers: { ...NAVIGATION, cookie } })).status).toBe(200);
  expect(await status()).toBe(401);
});
