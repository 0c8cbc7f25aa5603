import { type KeyObject, sign as signBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  createMacVerifier,
  createOAuthTokenVerifier,
  createVerifier,
  decodeUnverified,
  macOf,
} from '../../src/workos/access-token.js';
import type { TokenMacs } from '../../src/workos/verified-token-mac.js';
import type { JWKS, JWKSLookup } from '../../src/workos/jwks.js';
import { rsaKeyPair } from '../support/rsa-keys.js';
import { sessionTokensOf } from '../support/session-tokens.js';

const NOW = 1_700_000_000;
const now = () => NOW * 1000;
const one = rsaKeyPair(0);
const two = rsaKeyPair(1);
const good = { iss: 'https://issuer.example', sub: 'user_1', sid: 'session_1', exp: NOW + 300 };

function sign(claims: object, privateKey: KeyObject = one.privateKey, header: object = { kid: 'k' }): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'RS256', ...header })}.${part(claims)}`;
  return `${text}.${signBytes('RSA-SHA256', Buffer.from(text), privateKey).toString('base64url')}`;
}

/** A verifier whose key lookups have a given result. */
function verifying(lookup: JWKSLookup, macs?: TokenMacs) {
  const lookups: unknown[] = [];
  const keys = {
    find: (...args: unknown[]) => {
      lookups.push(args);
      return Promise.resolve(lookup);
    },
    hasFresh: (kid: string) => lookup.kind === 'found' && lookup.isFresh && kid === 'k',
  } as unknown as JWKS;
  const accepts = sessionTokensOf('client_1');
  const rules = { issuers: [good.iss], accepts, now, keys, ...(macs ? { macs } : {}) };
  return { lookups, verify: createVerifier(rules), verifyByMac: createMacVerifier(rules) };
}

const FOUND: JWKSLookup = { kind: 'found', keys: [one.publicKey], isFresh: true };

describe('the result of a key lookup', () => {
  const valid = sign(good);
  const expired = sign({ ...good, exp: NOW });
  const foreign = sign({ ...good, iss: 'https://other.example' });

  test.each<[JWKSLookup, string, isTrusted: boolean, object]>([
    [{ kind: 'unavailable' }, valid, false, { kind: 'unavailable' }],
    [{ kind: 'unavailable' }, valid, true, { kind: 'unavailable' }],
    [{ kind: 'missing' }, valid, false, { kind: 'expired' }],
    [{ kind: 'missing' }, valid, true, { kind: 'unavailable' }],
    [
      { kind: 'unknown', retryAfter: 7 },
      valid,
      false,
      { kind: 'unavailable', isKeyUnknown: true, retryAfter: 7 },
    ],
    [{ kind: 'unknown', retryAfter: 7 }, expired, false, { kind: 'expired' }],
    [{ kind: 'unknown', retryAfter: 7 }, foreign, false, { kind: 'expired' }],
    [FOUND, valid, false, { kind: 'valid', claims: good }],
    [FOUND, expired, true, { kind: 'expired' }],
    [{ ...FOUND, keys: [] }, valid, false, { kind: 'invalid', reason: 'signature' }],
    [{ ...FOUND, keys: [two.publicKey] }, valid, false, { kind: 'invalid', reason: 'signature' }],
    [{ ...FOUND, keys: [two.publicKey, one.publicKey] }, valid, false, { kind: 'valid', claims: good }],
  ])('%o', async (lookup, token, isTrusted, expected) => {
    const { verify, lookups } = verifying(lookup);
    const result = isTrusted ? await verify(token, true) : await verify(token);
    expect(result).toEqual(expected);
    expect(lookups).toEqual([['k', isTrusted]]);
  });

  test('is not asked for if a token is malformed', async () => {
    const { verify, lookups } = verifying(FOUND);
    expect(await verify('a.b.c')).toEqual({ kind: 'invalid', reason: 'not a JWT of RS256' });
    expect(lookups).toEqual([]);
  });
});

test('claims have no prototype', async () => {
  const verification = await verifying(FOUND).verify(sign(good));
  if (verification.kind !== 'valid') throw new Error(verification.kind);
  expect(Object.getPrototypeOf(verification.claims)).toBeNull();
  for (const token of [sign(good), '', 'x'])
    expect(Object.getPrototypeOf(decodeUnverified(token))).toBeNull();
  expect([macOf(verification), macOf({ kind: 'expired' })]).toEqual([undefined, undefined]);
  expect(macOf({ kind: 'valid', claims: verification.claims, mac: 'm' })).toBe('m');
});

describe('a MAC', () => {
  /** The MAC "right" is valid, and new MACs are "new". */
  const macs: TokenMacs = {
    create: (_token, kid) => (kid === undefined ? undefined : 'new'),
    isValid: (mac) => mac === 'right',
  };
  const forged = sign(good, two.privateKey);
  const nameless = sign(good, one.privateKey, {});

  test.each<[JWKSLookup, string, mac: string | undefined, object]>([
    [FOUND, sign(good), undefined, { kind: 'valid', claims: good, mac: 'new' }],
    [FOUND, sign(good), 'wrong', { kind: 'valid', claims: good, mac: 'new' }],
    [FOUND, sign(good), 'right', { kind: 'valid', claims: good, mac: 'right' }],
    [FOUND, forged, 'right', { kind: 'valid', claims: good, mac: 'right' }],
    [FOUND, forged, 'wrong', { kind: 'invalid', reason: 'signature' }],
    [FOUND, nameless, undefined, { kind: 'valid', claims: good }],
    [{ ...FOUND, isFresh: false }, forged, 'right', { kind: 'invalid', reason: 'signature' }],
    [{ ...FOUND, isFresh: false }, sign(good), 'right', { kind: 'valid', claims: good, mac: 'new' }],
    [FOUND, sign({ ...good, exp: NOW }), 'right', { kind: 'expired' }],
  ])('with the keys %o', async (lookup, token, mac, expected) => {
    expect(await verifying(lookup, macs).verify(token, false, mac)).toEqual(expected);
  });

  test('decides without waiting only if it is valid and the keys are new', () => {
    const { verifyByMac, lookups } = verifying(FOUND, macs);
    expect(verifyByMac(forged, 'right')).toEqual({ kind: 'valid', claims: good });
    expect(verifyByMac(sign({ ...good, exp: NOW }), 'right')).toEqual({ kind: 'expired' });
    for (const [token, mac] of [
      [forged, 'wrong'],
      [forged, undefined],
      [nameless, 'right'],
      [sign(good, one.privateKey, { kid: 'unknown' }), 'right'],
      ['a.b.c', 'right'],
    ] as const)
      expect(verifyByMac(token, mac)).toBeUndefined();
    expect(verifying({ ...FOUND, isFresh: false }, macs).verifyByMac(forged, 'right')).toBeUndefined();
    expect(verifying(FOUND).verifyByMac(forged, 'right')).toBeUndefined();
    expect(lookups).toEqual([]);
  });
});

describe('tokens of OAuth servers', () => {
  const servers = ['https://one.example', 'https://two.example/auth'];
  const audience = ['https://api.example/mcp'];
  const pairs = [one, two];
  const grant = { iss: servers[0], sub: 'user_1', exp: NOW + 300, aud: audience[0] };
  /** Each server has its own key, under the same id. */
  function verifier() {
    const fetched: string[] = [];
    const fetchKeys = (server: string) => {
      fetched.push(server);
      const { publicKey } = pairs[servers.indexOf(server)]!;
      return Promise.resolve({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] });
    };
    const rules = { clientId: 'client_1', audience, servers, fetchKeys, now, softTimeout: 1000 };
    return { fetched, verify: createOAuthTokenVerifier(rules) };
  }

  test.each<[claims: object, key: KeyObject, result: object, fetched: readonly (string | undefined)[]]>([
    [{}, one.privateKey, { kind: 'valid' }, [servers[0]]],
    [{ iss: `${servers[0]}/` }, one.privateKey, { kind: 'valid' }, [servers[0]]],
    [{ iss: servers[1] }, two.privateKey, { kind: 'valid' }, [servers[1]]],
    [{ iss: `${servers[1]}/` }, two.privateKey, { kind: 'valid' }, [servers[1]]],
    [{}, two.privateKey, { kind: 'invalid', reason: 'signature' }, [servers[0]]],
    [{ iss: servers[1] }, one.privateKey, { kind: 'invalid', reason: 'signature' }, [servers[1]]],
    [{ iss: `${servers[0]}//` }, one.privateKey, { kind: 'invalid', reason: 'issuer' }, []],
    [{ iss: 'https://two.example' }, two.privateKey, { kind: 'invalid', reason: 'issuer' }, []],
    [{ iss: 'https:/one.example' }, one.privateKey, { kind: 'invalid', reason: 'issuer' }, []],
    [{ iss: [servers[0]] }, one.privateKey, { kind: 'invalid', reason: 'issuer' }, []],
    [{ iss: undefined }, one.privateKey, { kind: 'invalid', reason: 'issuer' }, []],
    [{ aud: 'client_1' }, one.privateKey, { kind: 'invalid', reason: 'aud' }, [servers[0]]],
    // Tokens of an OAuth server belong to other clients too.
    [{ client_id: 'client_2' }, one.privateKey, { kind: 'valid' }, [servers[0]]],
  ])('with the claims %j', async (claims, key, result, expected) => {
    const { verify, fetched } = verifier();
    expect(
      await verify(sign(JSON.parse(JSON.stringify({ ...grant, ...claims })) as object, key)),
    ).toMatchObject(result);
    expect(fetched).toEqual(expected);
  });
});
