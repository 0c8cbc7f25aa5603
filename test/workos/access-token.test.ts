import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose';
import { describe, expect, test } from 'vitest';
import { createVerifier } from '../../src/workos/access-token.js';
import { createJWKS } from '../../src/workos/jwks.js';
import { corpus, corpusKeys, type Row } from '../support/corpora.js';

const keys = corpusKeys('jwt-keys') as { now: number; issuer: string; clientId: string; jwks: JSONWebKeySet };
const now = () => keys.now * 1000;

interface TokenRow extends Row {
  name: string;
  token: string;
  expect: string;
}

function verifier() {
  const set = createJWKS({ fetchKeys: () => Promise.resolve(keys.jwks), now, softTimeout: 1000 });
  return createVerifier({ issuers: [keys.issuer], clientId: keys.clientId, now, keys: set });
}

/** jose with the same rules, as the reference. */
async function reference(token: string): Promise<boolean> {
  try {
    await jwtVerify(token, createLocalJWKSet(keys.jwks), {
      algorithms: ['RS256'],
      issuer: keys.issuer,
      currentDate: new Date(now()),
      requiredClaims: ['exp', 'sub', 'sid'],
    });
    return true;
  } catch {
    return false;
  }
}

/** Rows in which the result differs from jose's on purpose. */
const DIFFERENCES = new Set([
  'nbf future 4s (skew)', // a minute of clock skew is accepted
  'shape newline trail', // one canonical form of base64url
  'shape padded sig',
  'shape sig last char malleable',
  'sid object',
  'sub ""',
  'sub 0',
  'sub ["user_01TEST"]',
]);

describe('access tokens of the corpus', () => {
  test.each(corpus<TokenRow>('jwts'))('$id $name: $expect', async (row) => {
    const verdict = await verifier()(row.token);
    const accepted = verdict.kind === 'valid';
    if (row.expect === 'accept' || row.expect === 'accept-without-fetching-jku')
      expect(verdict.kind).toBe('valid');
    if (row.expect === 'reject' || row.expect === 'reject-iff-issuer-checked') expect(accepted).toBe(false);
    if (row.expect === 'reject-or-refresh') expect(verdict.kind).toBe('expired');
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
    if (!DIFFERENCES.has(row.name)) expect(accepted, 'as jose has it').toBe(await reference(row.token));
  });

  test('the result does not depend on tokens verified before', async () => {
    const rows = corpus<TokenRow>('jwts');
    const good = rows.find((row) => row.expect === 'accept')!.token;
    const verify = verifier();
    for (const { id, token } of rows) {
      expect((await verify(good)).kind).toBe('valid');
      expect(await verify(token), id).toEqual(await verifier()(token));
    }
  });
});

test('exp is exclusive: a token is valid the second before and expired at that second', async () => {
  const row = corpus<TokenRow>('jwts')[0]!;
  const { exp } = JSON.parse(Buffer.from(row.token.split('.')[1]!, 'base64url').toString()) as {
    exp: number;
  };
  for (const [at, kind] of [
    [exp - 1, 'valid'],
    [exp, 'expired'],
    [exp + 1, 'expired'],
  ] as const) {
    const clock = () => at * 1000;
    const set = createJWKS({ fetchKeys: () => Promise.resolve(keys.jwks), now: clock, softTimeout: 1000 });
    const verify = createVerifier({ issuers: [keys.issuer], clientId: keys.clientId, now: clock, keys: set });
    expect((await verify(row.token)).kind).toBe(kind);
  }
});
