import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose';
import { describe, expect, test } from 'vitest';
import { createVerifier } from '../../src/workos/access-token.js';
import { createJWKS } from '../../src/workos/jwks.js';
import { FETCH, send } from '../support/browser.js';
import { createTestApp, type TestApp } from '../support/app.js';
import { sessionTokensOf } from '../support/session-tokens.js';

const START = 1_700_000_000_000;

async function newKey(kid: string, modulusLength = 2048) {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { modulusLength, extractable: true });
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid } as JWK };
}

type Key = Awaited<ReturnType<typeof newKey>>;

const [first, second] = await Promise.all([newKey('first'), newKey('second')]);

/** A verifier whose clock and published keys are controlled by the test. */
function setUp() {
  const state = { now: START, keys: [first.jwk] as unknown, isDown: false, fetches: 0 };
  const now = () => state.now;
  const fetchKeys = () => {
    state.fetches += 1;
    return state.isDown ? Promise.reject(new Error('down')) : Promise.resolve({ keys: state.keys });
  };
  const keys = createJWKS({ clientId: 'client_1', fetchKeys, now, softTimeout: 1000 });
  const verify = createVerifier({
    issuers: ['https://issuer.example'],
    accepts: sessionTokensOf('client_1'),
    now,
    keys,
  });
  const token = (key: Pick<Key, 'kid' | 'privateKey'>, claims: object = {}) => {
    const exp = Math.floor(state.now / 1000) + 300;
    return new SignJWT({ iss: 'https://issuer.example', sub: 'user_1', sid: 'session_1', exp, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: key.kid })
      .sign(key.privateKey);
  };
  const forged = (kid: string, claims?: object) => token({ kid, privateKey: second.privateKey }, claims);
  return { state, verify, token, forged };
}

describe('19F new signing keys', () => {
  test('a key that was published a moment ago is fetched at once, whenever the last fetch was', async () => {
    const { state, verify, token } = setUp();
    expect((await verify(await token(first))).kind).toBe('valid');
    state.keys = [first.jwk, second.jwk];
    expect((await verify(await token(second))).kind).toBe('valid');
    expect(state.fetches).toBe(2);
  });

  test('forged key ids are one fetch, and a new key is unavailable until the next one, never invalid or expired', async () => {
    const { state, verify, token, forged } = setUp();
    await verify(await token(first));
    for (let index = 0; index < 50; index += 1) await verify(await forged(`forged_${index}`));
    expect(state.fetches).toBe(2);
    state.keys = [first.jwk, second.jwk];
    const verification = await verify(await token(second));
    expect(verification).toEqual({ kind: 'unavailable', isKeyUnknown: true, retryAfter: 30 });
    expect((await verify(await token(first))).kind).toBe('valid');
    state.now += 30_000;
    expect((await verify(await token(second))).kind).toBe('valid');
    expect(state.fetches).toBe(3);
  });

  test('the pause grows with each fetch that misses, to a minute, and ends as a key is found', async () => {
    const { state, verify, token, forged } = setUp();
    await verify(await token(first));
    const pauses: number[] = [];
    for (let index = 0; index < 5; index += 1) {
      await verify(await forged(`forged_${index}`));
      const verification = await verify(await forged(`later_${index}`));
      const pause = verification.kind === 'unavailable' ? (verification.retryAfter ?? 0) : 0;
      pauses.push(pause);
      state.now += pause * 1000;
    }
    expect(pauses).toEqual([30, 60, 60, 60, 60]);
    expect(state.fetches).toBe(6);
  });

  test('a key id that a fetch did not bring is expired, so that a refresh decides', async () => {
    const { state, verify, forged } = setUp();
    expect(await verify(await forged('gone'))).toEqual({ kind: 'expired' });
    expect(await verify(await forged('gone'))).toEqual({ kind: 'expired' });
    expect(state.fetches).toBe(1);
    state.now += 30_000;
    expect(await verify(await forged('gone'))).toEqual({ kind: 'expired' });
    expect(state.fetches).toBe(2);
  });

  test('during the pause, tokens that are malformed or expired are refused as they are otherwise', async () => {
    const { verify, forged } = setUp();
    await verify(await forged('forged'));
    const expired = { exp: START / 1000 - 1 };
    for (const claims of [
      expired,
      { iss: 'https://evil.example' },
      { sid: '' },
      { sub: 7 },
      { aud: 'other' },
    ])
      expect(await verify(await forged('other', claims)), JSON.stringify(claims)).toEqual({
        kind: 'expired',
      });
    expect(await verify(await forged('other'))).toMatchObject({ kind: 'unavailable' });
  });

  test('a token that WorkOS has just sent is worth a fetch in the pause too, and is never called expired', async () => {
    const { state, verify, token, forged } = setUp();
    await verify(await forged('forged'));
    // The key has not been published yet.
    expect(await verify(await token(second), true)).toEqual({ kind: 'unavailable' });
    state.keys = [first.jwk, second.jwk];
    expect((await verify(await token(second), true)).kind).toBe('valid');
    expect(state.fetches).toBe(3);
  });

  test('while the keys cannot be fetched, an unknown key is unavailable and is asked for every ten seconds', async () => {
    const { state, verify, token, forged } = setUp();
    await verify(await token(first));
    state.now += 1000;
    state.isDown = true;
    for (let index = 0; index < 20; index += 1)
      expect(await verify(await forged(`new_${index}`))).toMatchObject({
        kind: 'unavailable',
        isKeyUnknown: true,
      });
    expect(state.fetches).toBe(2);
    expect((await verify(await token(first))).kind).toBe('valid');
    state.now += 10_000;
    state.isDown = false;
    state.keys = [first.jwk, second.jwk];
    expect((await verify(await token(second))).kind).toBe('valid');
  });

  test('a clock that is set back makes no pause longer', async () => {
    const { state, verify, token, forged } = setUp();
    await verify(await forged('forged'));
    state.now -= 3_600_000;
    state.keys = [first.jwk, second.jwk];
    expect((await verify(await token(second))).kind).toBe('valid');
  });
});

describe('the keys of a set', () => {
  test('a 1024-bit key is not used, even where it has signed the token', async () => {
    const { state, verify } = setUp();
    const weak = await weakToken();
    state.keys = [weak.jwk];
    expect(await verify(weak.token)).toEqual({ kind: 'unavailable' });
    state.keys = [weak.jwk, first.jwk];
    expect(await verify(weak.token)).toEqual({ kind: 'expired' });
  });

  test('a set is imported once for each fetch, and of several keys with one id each can have signed', async () => {
    const { state, verify, token } = setUp();
    let reads = 0;
    const counted = Object.defineProperty({ ...first.jwk }, 'n', {
      enumerable: true,
      get: () => {
        reads += 1;
        return first.jwk.n;
      },
    });
    state.keys = [{ ...second.jwk, kid: 'first' }, counted];
    for (let index = 0; index < 20; index += 1) expect((await verify(await token(first))).kind).toBe('valid');
    expect(state.fetches).toBe(1);
    expect(reads).toBe(1);
  });

  test.each<[string, object]>([
    ['for encryption', { use: 'enc' }],
    ['of another algorithm', { alg: 'PS256' }],
    ['for signing only', { key_ops: ['sign'] }],
    ['of another kind', { kty: 'EC' }],
    ['without a modulus', { n: undefined }],
    ['with a broken modulus', { n: '!' }],
    ['whose id is not a string', { kid: 7 }],
  ])('a key %s is not used', async (_, change) => {
    const { state, verify, token } = setUp();
    state.keys = [{ ...first.jwk, ...change }, second.jwk];
    expect((await verify(await token(first))).kind).toBe('expired');
    expect((await verify(await token(second))).kind).toBe('valid');
  });
});

/** Signed by Node with a key that jose does not accept. */
async function weakToken() {
  const { createSign, generateKeyPairSync } = await import('node:crypto');
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { iss: 'https://issuer.example', sub: 'user_1', sid: 's', exp: START / 1000 + 300 };
  const signed = `${part({ alg: 'RS256', kid: 'weak' })}.${part(claims)}`;
  const signature = createSign('RSA-SHA256').update(signed).sign(privateKey, 'base64url');
  return { token: `${signed}.${signature}`, jwk: { ...publicKey.export({ format: 'jwk' }), kid: 'weak' } };
}

const account = ({ origin }: TestApp, cookie: string) =>
  send(`${origin}/account`, { headers: { ...FETCH, cookie } });

test('J03 a new key a moment after a fetch: one more fetch, and no request fails', async () => {
  const at = await createTestApp('express5');
  expect((await account(at, await at.cookie())).status).toBe(200);
  await at.workos.rotateKeys({ keepOld: true });
  const cookie = await at.cookie();
  for (let request = 0; request < 3; request += 1) {
    expect((await account(at, cookie)).status).toBe(200);
    at.workos.clock.advance(5000);
  }
  expect(at.workos.callsTo('jwks')).toHaveLength(2);
  expect(at.workos.callsTo('refresh')).toHaveLength(0);
});

test('J03 a session with an unknown key during the pause is refreshed at once', async () => {
  const at = await createTestApp('express5', { workos: { accessTokenLifetime: 7200 } });
  expect((await account(at, await at.cookie())).status).toBe(200);
  const cookies = [];
  for (let keys = 0; keys < 3; keys += 1) {
    await at.workos.rotateKeys({ keepOld: false });
    cookies.push(await at.cookie());
  }
  await at.workos.rotateKeys({ keepOld: false });
  for (const cookie of cookies) expect((await account(at, cookie)).status).toBe(200);
  expect(at.workos.callsTo('refresh')).toHaveLength(3);
  expect(at.workos.callsTo('jwks')).toHaveLength(2);
});

test('T47 a polluted Object.prototype adds no claims', async () => {
  const { verify, token } = setUp();
  const minted = await token(first);
  const polluted = {
    role: 'admin',
    permissions: ['all'],
    org_id: 'org_1',
    sid: 'session_2',
    aud: 'client_1',
  };
  const prototype = Object.prototype as unknown as Record<string, unknown>;
  try {
    Object.assign(prototype, polluted);
    const verification = await verify(minted);
    expect(verification.kind).toBe('valid');
    const { claims } = verification as Extract<typeof verification, { kind: 'valid' }>;
    expect([claims['role'], claims['permissions'], claims.org_id, claims['aud']]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(claims.sid).toBe('session_1');
    expect((await verify(await token(first, { sid: undefined }))).kind).toBe('invalid');
  } finally {
    for (const name of Object.keys(polluted)) Reflect.deleteProperty(prototype, name);
  }
});
