import { expect, test } from 'vitest';
import { AuthKitError } from '../../src/errors.js';
import { createRefresh, dueAt } from '../../src/refresh.js';
import { createRenewal } from '../../src/renewal.js';
import { toSession } from '../../src/session.js';

const EXP = 1_000_000;
const claims = (iat: unknown) =>
  ({ iss: 'i', sub: 'u', sid: 's', exp: EXP, iat }) as Parameters<typeof dueAt>[0];

test.each([
  ['an hour of life', EXP - 3600, 60],
  ['five minutes', EXP - 300, 60],
  ['a minute', EXP - 60, 12],
  ['ten seconds', EXP - 10, 2],
  ['no start', undefined, 60],
  ['a start that is text', '5', 60],
  ['a start at its end', EXP, 60],
  ['a start behind its end', EXP + 5, 60],
])('%s: due %3$s seconds ahead', (_, iat, ahead) => {
  expect(dueAt(claims(iat))).toBe((EXP - ahead) * 1000);
});

const token = (payload: object) => `x.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.x`;
const session = (refreshToken = 'rt') =>
  toSession({ accessToken: token({ sub: 'u' }), refreshToken, user: { id: 'u' } as never }, {});

interface Made {
  answer?: object;
  verdict?: object;
  now?: () => number;
  seal?: () => Promise<string>;
}

function refreshing({
  answer,
  verdict = { kind: 'valid', claims: { sub: 'u' } },
  now = () => 1000,
  seal = () => Promise.resolve('sealed'),
}: Made = {}) {
  const asked: unknown[] = [];
  const told: unknown[] = [];
  const granted = {
    kind: 'granted',
    value: { accessToken: token({ sub: 'u', exp: 7200 }), refreshToken: 'rt_2', user: { id: 'u' } },
  };
  const renew = createRenewal({
    refresh: (...args: unknown[]) => {
      asked.push(args);
      return Promise.resolve((answer ?? granted) as never);
    },
    verify: () => verdict as never,
    seal,
    onRefreshed: () => told.push('renewed'),
    onFailed: ({ kind }) => told.push(kind),
  });
  return { ...createRefresh({ clientId: 'client_1', renew, now }), asked, told };
}

const down = { kind: 'unreachable', error: new AuthKitError('upstream_unavailable', 'down') };
const refused = { kind: 'refused', error: new AuthKitError('code_exchange_failed', 'no') };

test('a result is remembered for its organization, until the new token has run out', async () => {
  let clock = 1000;
  const { run, asked, told } = refreshing({ now: () => clock });
  expect(await run(session(), undefined)).toMatchObject({ kind: 'renewed', sealed: 'sealed' });
  await run(session(), undefined);
  await run(session(), 'org_1');
  expect(asked).toEqual([
    ['rt', undefined],
    ['rt_2', 'org_1'],
  ]);
  expect(told).toEqual(['renewed', 'renewed']);
  clock = 7_199_000;
  await run(session(), undefined);
  expect(asked).toHaveLength(2);
  clock = 7_202_000;
  await run(session(), undefined);
  expect(asked).toHaveLength(3);
});

test('a refusal is the end, remembered for a minute, and told as such', async () => {
  let clock = 1000;
  const { run, asked, told } = refreshing({ answer: refused, now: () => clock });
  const first = await run(session(), undefined);
  expect(first).toMatchObject({
    kind: 'refused',
    error: { code: 'unauthenticated', message: 'the session has ended', cause: refused.error },
  });
  clock = 60_000;
  await run(session(), undefined);
  expect({ asked: asked.length, told }).toEqual({ asked: 1, told: ['refused'] });
  const step = { kind: 'refused', error: new AuthKitError('sso_required', 'sso') };
  expect(await refreshing({ answer: step }).run(session(), undefined)).toEqual(step);
});

test('an outage is not remembered, and holds back only what is ahead of time, for ten seconds', async () => {
  let clock = 1000;
  const { run, asked, mayTryAhead, postpone } = refreshing({ answer: down, now: () => clock });
  expect(mayTryAhead(session())).toBe(true);
  expect(await run(session(), undefined)).toEqual(down);
  await run(session(), undefined);
  expect(asked).toHaveLength(2);
  expect(mayTryAhead(session())).toBe(false);
  clock = 10_999;
  expect(mayTryAhead(session())).toBe(false);
  clock = 11_000;
  expect(mayTryAhead(session())).toBe(true);
  postpone(session());
  expect(mayTryAhead(session())).toBe(false);
  expect(mayTryAhead(session('another'))).toBe(true);
});

test('what was forgotten stays ended, also what was under way', async () => {
  const { run, forget, asked } = refreshing();
  const pending = run(session(), undefined);
  forget(session());
  expect(await pending).toMatchObject({ kind: 'refused', error: { code: 'unauthenticated' } });
  expect(await run(session(), 'org_1')).toMatchObject({ kind: 'refused' });
  expect(asked).toHaveLength(1);
});

test.each([
  [{ kind: 'invalid', reason: 'issuer' }, 'u', 'WorkOS sent an access token that does not hold (issuer)'],
  [{ kind: 'expired' }, 'u', 'WorkOS sent an access token that has expired by the clock of this server'],
  [{ kind: 'valid', claims: { sub: 'v' } }, 'u', 'WorkOS sent an access token of another user'],
  [{ kind: 'unknown' }, 'v', 'WorkOS sent an access token of another user'],
])('a new token that is judged %j is not believed', async (verdict, sub, message) => {
  const value = { accessToken: token({ sub }), refreshToken: 'rt_2', user: { id: 'u' } };
  const { run } = refreshing({ verdict, answer: { kind: 'granted', value } });
  expect(await run(session(), undefined)).toMatchObject({ kind: 'unreachable', error: { message } });
});

test('keys that cannot be had lose no tokens; another person does, and so does what breaks on the way', async () => {
  expect(await refreshing({ verdict: { kind: 'unknown' } }).run(session(), undefined)).toMatchObject({
    kind: 'renewed',
  });
  const value = { accessToken: token({ sub: 'u' }), refreshToken: 'rt_2', user: { id: 'v' } };
  expect(await refreshing({ answer: { kind: 'granted', value } }).run(session(), undefined)).toMatchObject({
    kind: 'unreachable',
    error: { message: 'WorkOS sent the session of another user' },
  });
  const cause = new Error('no entropy');
  expect(await refreshing({ seal: () => Promise.reject(cause) }).run(session(), undefined)).toMatchObject({
    kind: 'unreachable',
    error: { message: 'the session could not be refreshed', cause },
  });
});
