import { expect, test } from 'vitest';
import { rememberValidTokens } from '../../src/auth/verified-token-cache.js';
import type { TokenVerification } from '../../src/workos/access-token.js';
import { ADA, createTestApp } from '../support/app.js';
import { FETCH, send } from '../support/browser.js';
import { requireAuth } from 'authkit-express';

const START = 1_700_000_000_000;

/** A verifier that counts its calls, and a clock. */
function setUp(verificationOf: (token: string) => TokenVerification) {
  const state = { now: START, verified: [] as string[] };
  const verify = rememberValidTokens(
    (token) => {
      state.verified.push(token);
      return Promise.resolve(verificationOf(token));
    },
    () => state.now,
  );
  return { state, verify };
}

const validUntil = (seconds: number): TokenVerification => ({
  kind: 'valid',
  claims: { iss: 'i', sub: 'user_1', sid: 's', exp: START / 1000 + seconds },
});

test('a valid token is verified once, and again after ten minutes', async () => {
  const { state, verify } = setUp(() => validUntil(86_400));
  for (const [elapsed, calls] of [
    [0, 1],
    [599_999, 1],
    [600_000, 2],
    [600_001, 2],
  ] as const) {
    state.now = START + elapsed;
    expect((await verify('token')).kind).toBe('valid');
    expect(state.verified, `${elapsed} ms`).toHaveLength(calls);
  }
});

test('a token is verified again at the second in which it expires', async () => {
  const { state, verify } = setUp(() => validUntil(60));
  await verify('token');
  state.now = START + 59_999;
  await verify('token');
  expect(state.verified).toHaveLength(1);
  state.now = START + 60_000;
  await verify('token');
  expect(state.verified).toHaveLength(2);
});

test('a clock that is set back does not keep a result for longer', async () => {
  const { state, verify } = setUp(() => validUntil(86_400));
  await verify('token');
  state.now = START - 1;
  await verify('token');
  expect(state.verified).toHaveLength(2);
  await verify('token');
  expect(state.verified).toHaveLength(2);
});

test.each<TokenVerification>([
  { kind: 'invalid', reason: 'signature' },
  { kind: 'expired' },
  { kind: 'unavailable' },
])('the result %j is not remembered', async (verification) => {
  const { state, verify } = setUp(() => verification);
  for (let call = 0; call < 3; call += 1) expect(await verify('token')).toEqual(verification);
  expect(state.verified).toHaveLength(3);
});

test('refused tokens push no valid one out, and the valid ones are limited in bytes', async () => {
  const { state, verify } = setUp((token) =>
    token.startsWith('good') ? validUntil(86_400) : { kind: 'invalid', reason: 'signature' },
  );
  await verify('good');
  for (let forged = 0; forged < 20_000; forged += 1) await verify(`forged ${forged}`);
  state.verified.length = 0;
  await verify('good');
  expect(state.verified).toEqual([]);
  // More than 8 MiB of tokens, at 5 bytes per character.
  for (let other = 0; other < 1000; other += 1) await verify(`good ${'x'.repeat(3000)} ${other}`);
  state.verified.length = 0;
  await verify('good');
  expect(state.verified).toEqual(['good']);
});

test('a token that ends like a remembered one is verified, and does not replace it', async () => {
  const ending = '.' + 's'.repeat(342);
  const { state, verify } = setUp((token) =>
    token === `valid${ending}` ? validUntil(86_400) : { kind: 'invalid', reason: 'signature' },
  );
  expect((await verify(`valid${ending}`)).kind).toBe('valid');
  for (const forged of [`forged${ending}`, ending, ` valid${ending}`])
    expect(await verify(forged)).toEqual({ kind: 'invalid', reason: 'signature' });
  expect((await verify(`valid${ending}`)).kind).toBe('valid');
  expect(state.verified).toHaveLength(4);
});

test('a remembered token is refused as soon as its session has ended', async () => {
  const { origin, auth, workos } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/api', requireAuth({ accepts: ['bearer'] }), (_req, res) => {
        res.end('served');
      });
    },
  });
  const token = await workos.accessToken({ user: ADA });
  const ask = async (bearer: string) =>
    (await send(`${origin}/api`, { headers: { ...FETCH, authorization: `Bearer ${bearer}` } })).status;
  expect([await ask(token), await ask(token)]).toEqual([200, 200]);
  const [head, body, signature] = token.split('.') as [string, string, string];
  expect(await ask(`${head}.${body}.${signature.slice(0, -4)}AAAA`)).toBe(401);
  const forged = { ...(JSON.parse(Buffer.from(body, 'base64url').toString()) as object), role: 'root' };
  const forgedBody = Buffer.from(JSON.stringify(forged)).toString('base64url');
  expect(await ask(`${head}.${forgedBody}.${signature}`)).toBe(401);
  const { sid } = JSON.parse(Buffer.from(body, 'base64url').toString()) as { sid: string };
  await auth.revokeSession(sid);
  expect(await ask(token)).toBe(401);
});
