import { generateKeyPairSync } from 'node:crypto';
import { createLocalJWKSet, errors, jwtVerify, type JSONWebKeySet } from 'jose';
import { describe, expect, test } from 'vitest';
import type { Fault } from 'authkit-express/testing';
import { createVerifier } from '../../src/workos/access-token.js';
import { createJWKS } from '../../src/workos/jwks.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, send } from '../support/browser.js';
import { corpus, corpusKeys, type Row } from '../support/corpora.js';
import { counted, tryAll } from '../support/tally.js';
import { ADA, createTestApp } from '../support/app.js';
import { madeKeySets } from '../support/generated/key-sets.js';
import { sessionTokensOf } from '../support/session-tokens.js';

interface KeysRow extends Row {
  name: string;
  response: { status: number; headers?: Record<string, string>; body?: string; delay_ms?: number };
}

const rsa = (modulusLength: number) => ({
  ...generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' }),
  use: 'sig',
  alg: 'RS256',
});
const BODIES: Record<string, string> = {
  '@@weak@@': JSON.stringify({ keys: [{ ...rsa(1024), kid: 'A' }] }),
  '@@10MB@@': JSON.stringify({ keys: [], padding: 'x'.repeat(10_000_000) }),
  '@@B@@': JSON.stringify({ keys: [{ ...rsa(2048), kid: 'B' }] }),
};
/** More rows of the same kinds. */
const FURTHER: KeysRow[] = [
  { status: 404, body: '{}' },
  { status: 429, headers: { 'retry-after': '1' }, body: '{}' },
  { status: 301, headers: { location: 'http://127.0.0.1:1/jwks' } },
  { status: 200, body: '' },
  { status: 200, body: '<html>login</html>' },
  { status: 200, body: 'null' },
  { status: 200, body: '[]' },
  { status: 200, body: '{"keys":{}}' },
  { status: 200, body: '{"keys":[null,1,"x",{},[]]}' },
  { status: 200, body: '{"keys":[{"kty":"RSA","kid":"A"}]}' },
  { status: 200, body: '{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"A"}]}' },
  { status: 200, body: '{"keys":[{"kty":"RSA","n":"!","e":"AQAB","kid":"A"}]}' },
  { status: 200, body: '{"__proto__":{"keys":[]}}' },
].map((response, index) => ({
  id: `further${index}`,
  name: JSON.stringify(response).slice(0, 60),
  response,
}));

describe.each(FRAMEWORKS)('key sets on %s', (framework) => {
  test.for([...corpus<KeysRow>('jwks-failures'), ...FURTHER])(
    '$id $name: no user is signed in or out by it',
    async ({ id, response }, context) => {
      counted(context, { corpus: `jwks-failures${id.startsWith('f') ? ', further' : ''}`, on: framework });
      const { origin, cookie, workos, served } = await createTestApp(framework);
      const session = await cookie({ user: ADA });
      const ask = () => send(`${origin}/account`, { headers: { ...FETCH, cookie: session } });
      const { status, headers, body, delay_ms: delay } = response;
      const fault: Fault =
        delay === undefined
          ? {
              on: 'jwks',
              status,
              ...(headers ? { headers } : {}),
              body: BODIES[body ?? ''] ?? body ?? '',
            }
          : { on: 'jwks', delay };
      const down = workos.fail(fault);
      if (delay !== undefined) {
        const replies = await Promise.all(Array.from({ length: 200 }, ask));
        expect(new Set(replies.map((reply) => reply.status))).toEqual(new Set([200]));
        expect(workos.callsTo('jwks')).toHaveLength(1);
        return;
      }
      const reply = await ask();
      // If a usable key set does not contain this token's key, a refresh follows, whose token is verified later.
      expect(reply.status).toBe(503);
      if (body !== '@@B@@') expect(reply.setCookies).toEqual([]);
      expect(served()).toBe(0);
      down.restore();
      workos.clock.advance(31_000);
      expect((await ask()).status).toBe(200);
    },
  );
});

const corpusOf = corpusKeys('jwt-keys') as {
  now: number;
  issuer: string;
  clientId: string;
  jwks: JSONWebKeySet;
};

/** Whether `jose` accepts a token. If several keys match, jose leaves trying each one to its caller. */
async function joseTakes(token: string, body: unknown): Promise<boolean> {
  const rules = { algorithms: ['RS256'], currentDate: new Date(corpusOf.now * 1000) };
  try {
    const set = createLocalJWKSet(body as JSONWebKeySet);
    const tries = await jwtVerify(token, set, rules).then(
      () => [true],
      async (error: unknown) => {
        if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return [];
        const found: boolean[] = [];
        for await (const key of error)
          found.push(
            await jwtVerify(token, key, rules).then(
              () => true,
              () => false,
            ),
          );
        return found;
      },
    );
    return tries.includes(true);
  } catch {
    return false;
  }
}

test('a token is accepted with a generated key set if and only if jose accepts it', async (context) => {
  const token = corpus<Row & { token: string }>('jwts')[0]!.token;
  const right = corpusOf.jwks.keys[0] as Record<string, unknown>;
  let held = 0;
  await tryAll(
    context,
    { corpus: 'jwks-failures, made', on: 'function' },
    madeKeySets(right, 150),
    async (row) => {
      const now = () => corpusOf.now * 1000;
      const keys = createJWKS({
        clientId: 'client_1',
        fetchKeys: () => Promise.resolve(row.body),
        now,
        softTimeout: 1000,
      });
      const { issuer, clientId } = corpusOf;
      const verdict = await createVerifier({
        issuers: [issuer],
        accepts: sessionTokensOf(clientId),
        now,
        keys,
      })(token);
      // Without any usable key, it is an outage. Without this token's key, WorkOS is asked for a newer token.
      expect(['valid', 'unavailable', 'expired', 'invalid']).toContain(verdict.kind);
      const list = (row.body as { keys?: unknown } | null)?.keys;
      const isWhole = [list].flat().every((key) => typeof key === 'object' && key !== null);
      const byJose = await joseTakes(token, row.body);
      if (byJose) expect(verdict.kind).toBe('valid');
      // jose rejects an entire set if one member is not an object. Here, such a set does not sign users out.
      else if (isWhole) expect(verdict.kind).not.toBe('valid');
      if (verdict.kind === 'valid') held += 1;
      return 1;
    },
  );
  expect(held).toBeGreaterThan(30);
});
