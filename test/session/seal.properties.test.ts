import { describe, expect, test } from 'vitest';
import { open, seal } from '../../src/session/iron-seal.js';
import { openSession } from '../../src/session/sealed-session.js';
import { fc, LONG } from '../support/properties.js';

const PASSWORD = 'correct-horse-battery-staple-0123456789';

describe('seal', () => {
  // An object without -0 and `__proto__`, which JSON does not preserve.
  const data = fc
    .dictionary(fc.string(), fc.jsonValue())
    .map((value) => JSON.parse(JSON.stringify(value)) as object);

  test('open() returns what was sealed, for any data and any position of the password', LONG, async () => {
    await fc.assert(
      fc.asyncProperty(data, fc.nat(3), async (value, before) => {
        const sealed = await seal(value, PASSWORD);
        const others = Array.from(
          { length: before },
          (_, index) => `${index}-another-password-0123456789abcdef`,
        );
        expect(open(sealed, [...others, PASSWORD], 0)).toEqual(value);
        expect(open(sealed, others, 0)).toBeUndefined();
        expect(sealed).toMatch(/^[\w*.~-]+$/);
      }),
    );
  });

  test('a session with any flipped bit does not open', LONG, async () => {
    const user = { id: 'user_1', email: 'ada@example.com' };
    const sealed = await seal({ accessToken: 'a.b.c', refreshToken: 'rt', user }, PASSWORD);
    expect(openSession(sealed, [PASSWORD], 0)?.user.id).toBe('user_1');
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.nat(7), (at, bit) => {
        const flipped = Buffer.from(sealed, 'latin1');
        flipped[at]! ^= 1 << bit;
        expect(openSession(flipped.toString('latin1'), [PASSWORD], 0)).toBeUndefined();
      }),
    );
  });

  test('no other string opens, and none throws', LONG, () => {
    const part = fc.oneof(
      fc.string(),
      fc.constantFrom('Fe26.2', '1', '', 'a'.repeat(64), 'AAAA', '0', '1e9'),
    );
    const shaped = fc
      .array(part, { minLength: 6, maxLength: 10 })
      .map((parts) => `Fe26.2*1*${parts.join('*')}~2`);
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), shaped), (value) => {
        expect(openSession(value, [PASSWORD], 0)).toBeUndefined();
      }),
    );
  });
});
