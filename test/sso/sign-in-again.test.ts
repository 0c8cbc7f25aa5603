import { expect, test } from 'vitest';
import { Browser, FETCH, send } from '../support/browser.js';
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
