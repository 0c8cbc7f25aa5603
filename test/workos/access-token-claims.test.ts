import { sign as signBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createVerifier, decodeUnverified } from '../../src/workos/access-token.js';
import { createJWKS } from '../../src/workos/jwks.js';
import { rsaKeyPair } from '../support/rsa-keys.js';
import { sessionTokensOf } from '../support/session-tokens.js';

const NOW = 1_700_000_000;
const good = { iss: 'https://issuer.example', sub: 'user_1', sid: 'session_1', exp: NOW + 300 };
const { privateKey, publicKey } = rsaKeyPair(0);
const other = rsaKeyPair(1).publicKey;
const now = () => NOW * 1000;
// Two keys with the same id, either of which may have signed the token.
const jwks = { keys: [other, publicKey].map((key) => ({ ...key.export({ format: 'jwk' }), kid: 'k' })) };
const keys = createJWKS({
  clientId: 'client_1',
  fetchKeys: () => Promise.resolve(jwks),
  now,
  softTimeout: 1000,
});
const issuers = ['https://other.example', good.iss];
const verify = createVerifier({ issuers, accepts: sessionTokensOf('client_1'), now, keys });

/** Signs by hand, because a library would reject some of these claims. Strings are used unchanged. */
function sign(claims: object | string, header: object = {}): string {
  const json = (value: object | string) => (typeof value === 'string' ? value : JSON.stringify(value));
  const part = (value: object | string) => Buffer.from(json(value)).toString('base64url');
  const text = `${part({ alg: 'RS256', kid: 'k', ...header })}.${part(claims)}`;
  return `${text}.${signBytes('RSA-SHA256', Buffer.from(text), privateKey).toString('base64url')}`;
}

describe('claims', () => {
  test.each<[object, object]>([
    [{}, { kind: 'valid' }],
    [{ client_id: 'client_1' }, { kind: 'valid' }],
    [{ nbf: NOW + 60 }, { kind: 'valid' }],
    [{ nbf: NOW - 5 }, { kind: 'valid' }],
    [{ iat: NOW + 9999 }, { kind: 'valid' }],
    [{ exp: NOW }, { kind: 'expired' }],
    [{ iss: undefined }, { kind: 'invalid', reason: 'issuer' }],
    [{ iss: 'https://issuer.example/' }, { kind: 'invalid', reason: 'issuer' }],
    [{ iss: ['https://issuer.example'] }, { kind: 'invalid', reason: 'issuer' }],
    [{ client_id: 'client_2' }, { kind: 'invalid', reason: 'client_id' }],
    [{ client_id: null }, { kind: 'invalid', reason: 'client_id' }],
    [{ sub: undefined }, { kind: 'invalid', reason: 'sub' }],
    [{ sub: '' }, { kind: 'invalid', reason: 'sub' }],
    [{ sub: 7 }, { kind: 'invalid', reason: 'sub' }],
    [{ sid: undefined }, { kind: 'invalid', reason: 'sid' }],
    [{ sid: '' }, { kind: 'invalid', reason: 'sid' }],
    [{ sid: 7 }, { kind: 'invalid', reason: 'sid' }],
    [{ exp: undefined }, { kind: 'invalid', reason: 'exp' }],
    [{ exp: '1800000000' }, { kind: 'invalid', reason: 'exp' }],
    [{ iat: '1700000000' }, { kind: 'invalid', reason: 'iat' }],
    [{ iat: null }, { kind: 'invalid', reason: 'iat' }],
    [{ nbf: NOW + 61 }, { kind: 'invalid', reason: 'nbf' }],
    [{ nbf: '0' }, { kind: 'invalid', reason: 'nbf' }],
    [{ nbf: null }, { kind: 'invalid', reason: 'nbf' }],
    [
      { exp: NOW - 1, iss: 'https://evil.example' },
      { kind: 'invalid', reason: 'issuer' },
    ],
  ])('%j', async (change, verdict) => {
    const token = sign(JSON.parse(JSON.stringify({ ...good, ...change })) as object);
    expect(await verify(token)).toMatchObject(verdict);
  });

  test('an exp that is not a finite number is rejected', async () => {
    const token = sign(JSON.stringify(good).replace(/"exp":\d+/, '"exp":1e999'));
    expect(await verify(token)).toEqual({ kind: 'invalid', reason: 'exp' });
  });
});

describe('tokens for a protected resource', () => {
  const audience = ['https://api.example/mcp', 'https://api.example/v2'];
  const grant = { iss: good.iss, sub: good.sub, exp: good.exp, aud: audience[0] };
  const verifyGrant = createVerifier({ issuers, accepts: { kind: 'resource', audience }, now, keys });

  test.each<[object, object]>([
    [{}, { kind: 'valid' }],
    [{ sid: 'session_1' }, { kind: 'valid' }],
    [{ client_id: 'client_of_somebody_else' }, { kind: 'valid' }],
    [{ aud: audience[1] }, { kind: 'valid' }],
    [{ aud: ['https://other.example', audience[1]] }, { kind: 'valid' }],
    [{ exp: NOW }, { kind: 'expired' }],
    [{ aud: undefined }, { kind: 'invalid', reason: 'aud' }],
    [{ aud: null }, { kind: 'invalid', reason: 'aud' }],
    [{ aud: [] }, { kind: 'invalid', reason: 'aud' }],
    [{ aud: 'client_1' }, { kind: 'invalid', reason: 'aud' }],
    [{ aud: `${audience[0]}/` }, { kind: 'invalid', reason: 'aud' }],
    [{ aud: { 0: audience[0] } }, { kind: 'invalid', reason: 'aud' }],
    [{ sid: 7 }, { kind: 'invalid', reason: 'sid' }],
    [{ sid: null }, { kind: 'invalid', reason: 'sid' }],
    [{ sub: undefined }, { kind: 'invalid', reason: 'sub' }],
    [{ iss: 'https://evil.example' }, { kind: 'invalid', reason: 'issuer' }],
  ])('%j', async (change, verdict) => {
    const token = sign(JSON.parse(JSON.stringify({ ...grant, ...change })) as object);
    expect(await verifyGrant(token)).toMatchObject(verdict);
  });

  test.each<[object, object, reason: string]>([
    [{ nonce: 'n-0S6_WzA2Mj' }, {}, 'an ID token'],
    [{ at_hash: '77QmUPtjPfzWtF2AnpK9RQ' }, {}, 'an ID token'],
    [{ nonce: null }, {}, 'an ID token'],
    [{}, { typ: 'id_token+jwt' }, 'typ'],
    [{}, { typ: 'logout+jwt' }, 'typ'],
    [{}, { typ: 'dpop+jwt' }, 'typ'],
    [{}, { typ: 7 }, 'typ'],
  ])(
    'T49 %j with the header %j is not an access token (RFC 9068 section 4)',
    async (claims, header, reason) => {
      expect(await verifyGrant(sign({ ...grant, ...claims }, header))).toEqual({ kind: 'invalid', reason });
    },
  );

  test.each(['JWT', 'at+jwt', 'AT+JWT', 'application/at+jwt'])('T49 the type %s is accepted', async (typ) => {
    expect(await verifyGrant(sign(grant, { typ }))).toMatchObject({ kind: 'valid' });
  });
});

describe('the audience of a token of a session', () => {
  test.each<[unknown, object]>([
    ['client_1', { kind: 'valid' }],
    [['https://other.example', 'client_1'], { kind: 'valid' }],
    ['https://other.example', { kind: 'invalid', reason: 'aud' }],
    [['https://other.example'], { kind: 'invalid', reason: 'aud' }],
    [[], { kind: 'invalid', reason: 'aud' }],
    [null, { kind: 'invalid', reason: 'aud' }],
    ['', { kind: 'invalid', reason: 'aud' }],
    [{ 0: 'client_1' }, { kind: 'invalid', reason: 'aud' }],
  ])('T49 %j', async (aud, verdict) => {
    expect(await verify(sign({ ...good, aud }))).toMatchObject(verdict);
  });

  test('an app can accept another audience, which its JWT template sets', async () => {
    const accepts = { kind: 'session', clientId: 'client_1', audience: ['authenticated'] } as const;
    const verifyOwn = createVerifier({ issuers, accepts, now, keys });
    expect(await verifyOwn(sign({ ...good, aud: 'authenticated' }))).toMatchObject({ kind: 'valid' });
    expect(await verifyOwn(sign(good))).toMatchObject({ kind: 'valid' });
    expect(await verifyOwn(sign({ ...good, aud: 'client_1' }))).toMatchObject({ kind: 'invalid' });
  });
});

/** A valid token of the given length, if possible: three bytes become four characters. */
function ofLength(length: number): string {
  const room = Math.floor(((length - sign({ ...good, pad: '' }).length) * 3) / 4);
  for (let size = room - 2; size <= room + 2; size += 1) {
    const token = sign({ ...good, pad: 'x'.repeat(size) });
    if (token.length === length) return token;
  }
  throw new RangeError(`no token has ${length} characters`);
}

describe('form', () => {
  test.each<[string, (token: string) => string]>([
    ['a fourth part', (token) => `${token}.x`],
    ['an empty fourth part', (token) => `${token}.`],
    ['no signature', (token) => token.slice(0, token.lastIndexOf('.') + 1)],
    ['two parts', (token) => token.slice(0, token.lastIndexOf('.'))],
    ['padding', (token) => `${token}=`],
    ['a header that is a list', (token) => `W10.${token.split('.').slice(1).join('.')}`],
    ['a header that is null', (token) => `bnVsbA.${token.split('.').slice(1).join('.')}`],
    ['a payload that is a list', (token) => token.replace(/\..*\./, '.W10.')],
    ['a payload that is text', (token) => token.replace(/\..*\./, '.Ingi.')],
    ['a payload that is null', (token) => token.replace(/\..*\./, '.bnVsbA.')],
    ['a payload that is no JSON', (token) => token.replace(/\..*\./, '.ew.')],
    ['nothing', () => ''],
    ['more characters than are looked at', () => ofLength(262_145)],
    ['crit', () => sign(good, { crit: ['exp'] })],
    ['a kid that is no text', () => sign(good, { kid: 1 })],
    ['b64', () => sign(good, { b64: true })],
    ['RS512', () => sign(good, { alg: 'RS512' })],
  ])('%s is no JWT of ours', async (_, change) => {
    expect(await verify(change(sign(good)))).toEqual({
      kind: 'invalid',
      reason: 'not a JWT of RS256',
    });
  });

  test('a token of more than 262144 characters is not verified', async () => {
    expect(await verify(ofLength(262_144))).toMatchObject({ kind: 'valid' });
  });

  test('a wrong signature or an unknown key is invalid', async () => {
    const token = sign(good);
    const [head, , mac] = token.split('.');
    const payload = Buffer.from(JSON.stringify({ ...good, sub: 'user_2' })).toString('base64url');
    expect(await verify(`${head}.${payload}.${mac}`)).toEqual({ kind: 'invalid', reason: 'signature' });
    expect(await verify(sign(good, { kid: 'unknown' }))).toEqual({ kind: 'expired' });
  });

  test('without keys the result is unavailable', async () => {
    const keys = createJWKS({
      clientId: 'client_1',
      fetchKeys: () => Promise.reject(new Error('down')),
      now: Date.now,
      softTimeout: 1000,
    });
    const blind = createVerifier({
      issuers: [good.iss],
      accepts: sessionTokensOf('client_1'),
      now: Date.now,
      keys,
    });
    expect(await blind(sign(good))).toEqual({ kind: 'unavailable' });
  });

  test('decodeUnverified returns the payload, or an empty object', async () => {
    expect(decodeUnverified(sign(good))).toEqual(good);
    for (const token of ['', 'x', '..', 'x.ew.x', 'x.W10.x', 'x.bnVsbA.x'])
      expect(decodeUnverified(token)).toEqual({});
  });
});
