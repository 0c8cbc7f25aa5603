import { expect, test } from 'vitest';
import type { Claims } from '../../src/workos/access-token.js';
import { createAuthenticator } from '../../src/session/authenticate-session.js';
import { createTokenRefresh } from '../../src/session/refresh-at-workos.js';
import { createSessionStorage } from '../../src/session/cookie-or-store.js';
import { createRefresh } from '../../src/session/refresh.js';
import { createRevocation } from '../../src/session/revocation.js';
import type { Session } from '../../src/session/sealed-session.js';
import type { ApiResult, Tokens } from '../../src/workos/api-client.js';

const NOW = Date.UTC(2026, 0, 1);

function sessionWith(claims: object): Session {
  const accessToken = `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
  return { accessToken, refreshToken: 'rt', user: { id: 'user_1' } as Session['user'], extension: {} };
}

function claimsOf({ accessToken }: Session): Claims {
  return JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString()) as Claims;
}

test('a refresh before expiry that hangs delays one request and no other', async () => {
  let clock = NOW;
  let calls = 0;
  let answer: (value: ApiResult<Tokens>) => void = () => undefined;
  const now = () => clock;
  const old = sessionWith({ sub: 'user_1', sid: 's', iat: NOW / 1000 - 270, exp: NOW / 1000 + 30 });
  const next = sessionWith({ sub: 'user_1', sid: 's', iat: NOW / 1000, exp: NOW / 1000 + 300 });
  const verify = (token: string) =>
    Promise.resolve({ kind: 'valid', claims: claimsOf({ accessToken: token } as Session) } as const);
  const refreshTokens = createTokenRefresh({
    verify,
    seal: () => Promise.resolve('sealed'),
    onRefreshed: () => undefined,
    onFailed: () => undefined,
    refresh: () => {
      calls += 1;
      return new Promise((resolve) => (answer = resolve));
    },
  });
  const refresh = createRefresh({ clientId: 'c', now, refreshTokens });
  const passwords = ['a-password-for-tests-and-for-nothing-else'] as const;
  const seal = () => Promise.resolve('sealed');
  const storage = createSessionStorage({
    problemOf: () => 'format',
    mode: 'cookie',
    store: undefined,
    passwords,
    open: () => old,
    openStored: () => old,
    seal,
    lifetime: 1,
  });
  const revocation = createRevocation({ clientId: 'client_1', store: undefined, now });
  const { authenticate } = createAuthenticator({
    clientId: 'client_1',
    storage,
    verify,
    verifyByMac: () => undefined,
    refresh,
    revocation,
    memoryBytes: 1_048_576,
    now,
    softTimeout: 20,
  });

  expect(await authenticate(['cookie'], () => true)).toMatchObject({ kind: 'authenticated', session: old });
  const waited = new Promise((resolve) => setImmediate(resolve, 'waited'));
  const second = await Promise.race([authenticate(['cookie'], () => true), waited]);
  expect(second).toMatchObject({ kind: 'authenticated', session: old });
  expect(calls).toBe(1);

  answer({ kind: 'ok', value: next as unknown as Tokens });
  clock += 10_000;
  expect(await authenticate(['cookie'], () => true)).toMatchObject({
    kind: 'authenticated',
    sealed: 'sealed',
  });
  expect(calls).toBe(1);
});
