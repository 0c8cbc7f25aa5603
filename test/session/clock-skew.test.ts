import { expect, test } from 'vitest';
import { SignJWT, generateKeyPair, exportJWK } from 'jose';
import { createVerifier } from '../../src/workos/access-token.js';
import { createJWKS } from '../../src/workos/jwks.js';
import { fingerprint } from '../../src/http/cookies.js';
import { newTransaction, sealTransaction } from '../../src/routes/sign-in-transaction.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, createTestApp, type TestApp } from '../support/app.js';
import { sessionTokensOf } from '../support/session-tokens.js';

const account = ({ origin }: TestApp, cookie: string, headers: Record<string, string> = FETCH) =>
  send(`${origin}/account`, { headers: { ...headers, cookie } });

/** An application whose clock differs from WorkOS's by `skew` milliseconds. */
async function withSkew(skew: number): Promise<TestApp> {
  let clock: () => number = Date.now;
  const at = await createTestApp('express5', { authkit: { now: () => clock() + skew } });
  clock = () => at.workos.clock.now();
  return at;
}

test('C01 with a clock ten minutes ahead, a request gets 503 and at most one refresh, not a redirect loop', async () => {
  const at = await withSkew(600_000);
  const landed = await at.signIn();
  expect(landed.status).toBe(503);
  const cookie = await at.cookie();
  for (let request = 1; request <= 3; request += 1) {
    const reply = await account(at, cookie, NAVIGATION);
    expect(reply.status).toBe(503);
    expect(reply.headers['retry-after']).toBeDefined();
    expect(at.workos.callsTo('refresh').length).toBeLessThanOrEqual(request);
  }
});

test('C02 with a clock ten minutes behind, tokens are accepted, and a state from the future is not', async () => {
  const at = await withSkew(-600_000);
  expect((await account(at, await at.cookie())).status).toBe(200);
  expect((await at.signIn(ADA, '/account')).status).toBe(200);
  const { clientId, cookiePassword } = at.workos.options;
  const binding = {
    clientId,
    redirectUri: `${at.origin}/callback`,
    cookiePasswords: [cookiePassword] as const,
  };
  for (const [ahead, expected] of [
    [119_000, 'open'],
    [122_000, 'shut'],
  ] as const) {
    const issuedAt = at.workos.clock.now() - 600_000 + ahead;
    const { transaction, secret } = newTransaction({ returnTo: '/' }, issuedAt);
    const state = await sealTransaction(transaction, binding);
    const headers = { ...NAVIGATION, cookie: `wos-auth-verifier-${fingerprint(state)}=${secret}` };
    const before = at.workos.callsTo('code').length;
    const reply = await send(`${at.origin}/callback?code=x&state=${encodeURIComponent(state)}`, { headers });
    expect(reply.status).toBe(400);
    expect(at.workos.callsTo('code').length - before).toBe(expected === 'open' ? 1 : 0);
  }
});

test('C03 a token is valid until the second before exp, expired at exp, and refreshed in a window before it', async () => {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k' }] };
  for (const exp of [1_000_000, 1_700_000_000, 4_000_000_000]) {
    const token = await new SignJWT({ sid: 's', iss: 'i', sub: 'u', exp })
      .setProtectedHeader({ alg: 'RS256', kid: 'k' })
      .sign(privateKey);
    for (const [now, kind] of [
      [exp - 1, 'valid'],
      [exp - 0.001, 'valid'],
      [exp, 'expired'],
      [exp + 1, 'expired'],
    ] as const) {
      const clock = () => now * 1000;
      const keys = createJWKS({
        clientId: 'client_1',
        fetchKeys: () => Promise.resolve(jwks),
        now: clock,
        softTimeout: 1000,
      });
      const verdict = await createVerifier({
        issuers: ['i'],
        accepts: sessionTokensOf('c'),
        now: clock,
        keys,
      })(token);
      expect(verdict.kind).toBe(kind);
    }
  }
});

test('C04 a clock that jumps back does not age a session or a recent sign-in', async () => {
  const at = await createTestApp('express5', { rule: { maxAge: 60 } });
  const landed = await at.signIn(ADA, '/login?maxAge=60&returnTo=/account');
  expect(landed.status).toBe(200);
  at.workos.clock.advance(-3_600_000);
  expect((await at.browser.go(`${at.origin}/account`)).status).toBe(200);
  at.workos.clock.advance(3_600_000 + 30_000);
  expect((await at.browser.go(`${at.origin}/account`)).status).toBe(200);
});
