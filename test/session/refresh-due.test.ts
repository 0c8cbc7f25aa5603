import { expect, test } from 'vitest';
import { refreshDueAt } from '../../src/session/refresh-due.js';

const EXP = 1_000_000;
const claims = (iat: unknown) =>
  ({ iss: 'i', sub: 'u', sid: 's', exp: EXP, iat }) as Parameters<typeof refreshDueAt>[0];

test.each([
  ['an hour of life', EXP - 3600, 60],
  ['five minutes', EXP - 300, 60],
  ['a minute', EXP - 60, 12],
  ['ten seconds', EXP - 10, 2],
  ['no start', undefined, 60],
  ['a start that is text', String(EXP - 10), 60],
  ['a start at its end', EXP, 60],
  ['a start behind its end', EXP + 5, 60],
])('%s: due %3$s seconds ahead', (_, iat, ahead) => {
  expect(refreshDueAt(claims(iat))).toBe((EXP - ahead) * 1000);
});
