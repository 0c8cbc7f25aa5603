import { expect, test } from 'vitest';
import { createExchangeOnce, type CallbackExchangeRequest } from '../../src/routes/exchange-code-once.js';

/** How long a result is shared, in milliseconds. */
const SHARED = 10_000;

/** Callbacks of sign-ins whose sessions have this size, in bytes. */
function exchanging({ size = 10, maxBytes = 1_000_000 } = {}) {
  const time = { now: 1_000_000 };
  const codes: string[] = [];
  const { exchange, isSpent } = createExchangeOnce(
    { now: () => time.now, signInLifetime: 600, maxBytes },
    async ({ code }) => {
      codes.push(code);
      return { sealed: `${code} ${'s'.repeat(size)}`, returnTo: '/' };
    },
  );
  const callback = async (user: number) => {
    const request = { state: `state_${user}`, secret: `secret_${user}`, code: `code_${user}` };
    const done = await exchange(request as CallbackExchangeRequest);
    return typeof done === 'string' ? done : done.sealed.split(' ')[0];
  };
  return { callback, isSpent, time, codes };
}

test('a reload of the callback gets the same session for ten seconds, and after that the sign-in stays spent', async () => {
  const { callback, isSpent, time, codes } = exchanging();
  expect(await callback(1)).toBe('code_1');
  time.now += SHARED;
  expect(await callback(1)).toBe('code_1');
  time.now += 1;
  expect(await callback(1)).toBe('spent');
  expect(isSpent('state_1')).toBe(true);
  expect(codes).toEqual(['code_1']);
});

test('the sessions of recent sign-ins are limited in bytes, and a sign-in whose session made room stays spent', async () => {
  const { callback, codes } = exchanging({ size: 10_000 });
  for (let user = 0; user < 200; user += 1) expect(await callback(user)).toBe(`code_${user}`);
  codes.length = 0;
  for (let user = 199; user >= 150; user -= 1) expect(await callback(user)).toBe(`code_${user}`);
  expect(await callback(0)).toBe('spent');
  expect(codes).toEqual([]);
});

test('a session that is larger than the limit is not remembered', async () => {
  const { callback } = exchanging({ size: 10_000, maxBytes: 5000 });
  expect(await callback(1)).toBe('code_1');
  expect(await callback(1)).toBe('spent');
});
