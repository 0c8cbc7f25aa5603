import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createSessionIds } from '../../src/session/sessions-in-store.js';
import { fc, LONG, RUNS } from '../support/properties.js';

const ids = createSessionIds(['a-password-for-tests-and-for-nothing-else']);
const of = (sessionId: string, refreshToken: string) => {
  const payload = Buffer.from(JSON.stringify({ sid: sessionId })).toString('base64url');
  return { accessToken: `x.${payload}.x`, refreshToken, user: { id: 'user_1' }, extension: {} } as never;
};
const text = (bytes: number) => randomBytes(bytes).toString('base64url');

test(
  'a written session reference can be read, and a WorkOS session id that is too long is left out',
  LONG,
  () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 80 }), fc.string(), (sessionId, token) => {
        const id = ids.create();
        const expected = sessionId === '' || sessionId.length > 64 ? undefined : sessionId;
        expect(ids.read(ids.write(id, of(sessionId, token)))).toEqual({
          id,
          sessionId: expected,
          issuedAt: 0,
        });
      }),
    );
  },
);

test('no guessed session reference is accepted', LONG, () => {
  let hits = 0;
  for (let guess = 0; guess < RUNS * 10; guess += 1)
    if (ids.read(`s1.${text(32)}.${text(8)}.${text(34)}.${text(32)}`)) hits += 1;
  expect(hits).toBe(0);
});
