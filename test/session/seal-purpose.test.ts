import { expect, test } from 'vitest';
import { open, seal } from '../../src/session/iron-seal.js';
import { fingerprint } from '../../src/http/cookies.js';
import { newTransaction, sealTransaction } from '../../src/routes/sign-in-transaction.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';

test('T09 a transaction cannot be used as a session, nor a session as a transaction', async () => {
  const { origin, workos, cookie, served } = await createTestApp('express5');
  const { clientId, cookiePassword } = workos.options;
  const { transaction, secret } = newTransaction({ returnTo: '/' }, workos.clock.now());
  const state = await sealTransaction(transaction, {
    clientId,
    redirectUri: `${origin}/callback`,
    cookiePasswords: [cookiePassword],
  });
  const asSession = await send(`${origin}/account`, {
    headers: { ...FETCH, cookie: `wos-session=${state}` },
  });
  expect(asSession.status).toBe(401);
  const session = (await cookie()).split('=')[1]!;
  // Both have the fields of both, so that only the purpose tells them apart.
  const binding = { clientId, redirectUri: `${origin}/callback` };
  const both = {
    ...(open(session, [cookiePassword], workos.clock.now()) as object),
    ...{ ...transaction, ...binding },
  };
  const sealed = (purpose: string) => seal({ ...both, purpose }, cookiePassword);
  const ask = (value: string) =>
    send(`${origin}/account`, { headers: { ...FETCH, cookie: `wos-session=${value}` } });
  expect((await ask(await sealed('transaction'))).status).toBe(401);
  expect(served()).toBe(0);
  for (const value of [session, await sealed('session'), await sealed('client-code')]) {
    const cookies = `wos-auth-verifier-${fingerprint(value)}=${secret}`;
    const headers = { ...NAVIGATION, cookie: cookies };
    const asState = await send(`${origin}/callback?code=x&state=${value}`, { headers });
    expect(asState.status).toBe(400);
  }
  expect(workos.callsTo('code')).toEqual([]);
});
