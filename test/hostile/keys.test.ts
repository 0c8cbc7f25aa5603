import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Fault } from 'authkit-express/testing';
import { FRAMEWORKS } from '../support/apps.js';
import { FETCH, send } from '../support/browser.js';
import { corpus, type Row } from '../support/corpora.js';
import { counted } from '../support/tally.js';
import { ADA, world } from '../support/world.js';

interface KeysRow extends Row {
  name: string;
  response: { status: number; headers?: Record<string, string>; body?: string; delay_ms?: number };
}

const rsa = (modulusLength: number) => ({
  ...generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' }),
  use: 'sig',
  alg: 'RS256',
});
const BODIES: Record<string, () => string> = {
  '@@weak@@': () => JSON.stringify({ keys: [{ ...rsa(1024), kid: 'A' }] }),
  '@@10MB@@': () => JSON.stringify({ keys: [], padding: 'x'.repeat(10_000_000) }),
  '@@B@@': () => JSON.stringify({ keys: [{ ...rsa(2048), kid: 'B' }] }),
};
/** Rows of the same kinds. */
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
    '$id $name: nobody is signed in or out by it',
    async ({ id, response }, context) => {
      counted(context, { corpus: `jwks-failures${id.startsWith('f') ? ', further' : ''}`, on: framework });
      const { origin, cookie, workos, served } = await world(framework);
      const session = await cookie({ user: ADA });
      const ask = () => send(`${origin}/account`, { headers: { ...FETCH, cookie: session } });
      const { status, headers, body, delay_ms: delay } = response;
      const fault: Fault =
        delay === undefined
          ? {
              on: 'jwks',
              status,
              ...(headers ? { headers } : {}),
              body: BODIES[body ?? '']?.() ?? body ?? '',
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
      // A usable key set without this token's key: a refresh decides, and its token is judged later.
      expect(reply.status).toBe(503);
      if (body !== '@@B@@') expect(reply.setCookies).toEqual([]);
      expect(served()).toBe(0);
      down.restore();
      workos.clock.advance(31_000);
      expect((await ask()).status).toBe(200);
    },
  );
});
