import { generateKeyPairSync, sign as signBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createVerifier, peek } from '../../src/access-token.js';
import { createKeys } from '../../src/keys.js';

const NOW = 1_700_000_000;
const good = { iss: 'https://issuer.example', sub: 'user_1', sid: 'session_1', exp: NOW + 300 };
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
const now = () => NOW * 1000;
// Two keys of one id: either may have signed.
const jwks = { keys: [other, publicKey].map((key) => ({ ...key.export({ format: 'jwk' }), kid: 'k' })) };
const keys = createKeys({ fetchKeys: () => Promise.resolve(jwks), now, patience: 1000 });
const issuers = ['https://other.example', good.iss];
const verify = createVerifier({ issuers, clientId: 'client_1', now, keys });

/** Signed by hand: a library would refuse some of these claims. */
function sign(claims: object, header: object = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
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
});

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
    ['more characters than are looked at', (token) => `${token}${'A'.repeat(262145 - token.length)}`],
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

  test('a signature that does not fit, a key that nobody has', async () => {
    const token = sign(good);
    const [head, , mac] = token.split('.');
    const payload = Buffer.from(JSON.stringify({ ...good, sub: 'user_2' })).toString('base64url');
    expect(await verify(`${head}.${payload}.${mac}`)).toEqual({ kind: 'invalid', reason: 'signature' });
    expect(await verify(sign(good, { kid: 'unknown' }))).toEqual({ kind: 'expired' });
  });

  test('keys that cannot be had say nothing about the token', async () => {
    const keys = createKeys({
      fetchKeys: () => Promise.reject(new Error('down')),
      now: Date.now,
      patience: 1000,
    });
    const blind = createVerifier({ issuers: [good.iss], clientId: 'client_1', now: Date.now, keys });
    expect(await blind(sign(good))).toEqual({ kind: 'unknown' });
  });

  test('a peek at a payload, or at nothing', async () => {
    expect(peek(sign(good))).toEqual(good);
    for (const token of ['', 'x', '..', 'x.ew.x', 'x.W10.x', 'x.bnVsbA.x']) expect(peek(token)).toEqual({});
  });
});
