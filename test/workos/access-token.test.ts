import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT, type JSONWebKeySet } from 'jose';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createVerifier, decodeUnverified } from '../../src/workos/access-token.js';
import { createJWKS } from '../../src/workos/jwks.js';
import { createTestApp } from '../support/app.js';
import { FETCH, send } from '../support/browser.js';
import { corpus, corpusKeys, type Row } from '../support/corpora.js';
import { sessionTokensOf } from '../support/session-tokens.js';

const keys = corpusKeys('jwt-keys') as { now: number; issuer: string; clientId: string; jwks: JSONWebKeySet };
const now = () => keys.now * 1000;

interface TokenRow extends Row {
  name: string;
  token: string;
  expect: string;
}

const pair = await generateKeyPair('RS256');
const attacker = { privateKey: pair.privateKey, jwk: await exportJWK(pair.publicKey) };

function verifier() {
  const set = createJWKS({
    clientId: 'client_1',
    fetchKeys: () => Promise.resolve(keys.jwks),
    now,
    softTimeout: 1000,
  });
  return createVerifier({ issuers: [keys.issuer], accepts: sessionTokensOf(keys.clientId), now, keys: set });
}

/** jose with the same rules, as the reference implementation. */
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

/** Rows whose result differs from jose's on purpose. */
const DIFFERENCES = new Set([
  'aud ["other"]', // a token for another audience
  'aud null',
  'aud {}',
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
      const verification = await verify(token);
      // The keys were just fetched for a different unknown id, so they cannot be fetched for this one yet.
      const isTooEarly = verification.kind === 'unavailable' && verification.isKeyUnknown === true;
      expect(isTooEarly ? { kind: 'expired' } : verification, id).toEqual(await verifier()(token));
    }
  });

  test('T18 keys that a token names or contains are not used, and nothing is fetched from its addresses', async () => {
    const asked: string[] = [];
    const server = createServer((req, res) => {
      asked.push(req.url ?? '');
      res.end(JSON.stringify({ keys: [{ ...attacker.jwk, kid: 'own' }] }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const claims = { ...decodeUnverified(corpus<TokenRow>('jwts')[0]!.token) };
    const known = keys.jwks.keys[0]!.kid!;
    for (const kid of ['own', known]) {
      for (const header of [{ jku: `${address}/jwks` }, { x5u: `${address}/x5u` }, { jwk: attacker.jwk }]) {
        const token = await new SignJWT(claims)
          .setProtectedHeader({ alg: 'RS256', kid, ...header })
          .sign(attacker.privateKey);
        const verification = await verifier()(token);
        expect(verification.kind).toBe(kid === known ? 'invalid' : 'expired');
      }
    }
    expect(asked).toEqual([]);
    // The server works, so a request for a key from a token would be recorded here.
    await fetch(`${address}/jwks`);
    expect(asked).toEqual(['/jwks']);
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
    const set = createJWKS({
      clientId: 'client_1',
      fetchKeys: () => Promise.resolve(keys.jwks),
      now: clock,
      softTimeout: 1000,
    });
    const verify = createVerifier({
      issuers: [keys.issuer],
      accepts: sessionTokensOf(keys.clientId),
      now: clock,
      keys: set,
    });
    expect((await verify(row.token)).kind).toBe(kind);
  }
});

test.each([
  [undefined, { none: 200, own: 200, other: 401 }],
  ['authenticated', { none: 200, own: 401, other: 200 }],
  [['authenticated', 'client_01TEST'], { none: 200, other: 200 }],
])('T49 an app with the option audience %j accepts tokens by their aud', async (audience, expected) => {
  const { origin, cookie, workos } = await createTestApp('express5', {
    authkit: audience === undefined ? {} : { audience },
  });
  const claims = { none: {}, own: { aud: workos.options.clientId }, other: { aud: 'authenticated' } };
  for (const [name, status] of Object.entries(expected)) {
    const session = await cookie({ claims: claims[name as keyof typeof claims] });
    const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } });
    expect(reply.status, name).toBe(status);
  }
});
