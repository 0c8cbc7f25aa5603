import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { AuthKitError } from '../../src/errors.js';
import { createRefresh } from '../../src/session/refresh.js';
import { createTokenRefresh } from '../../src/session/refresh-at-workos.js';
import { toSession, type Session } from '../../src/session/sealed-session.js';

const token = (payload: object) => `x.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.x`;

const down = { kind: 'unavailable', error: new AuthKitError('upstream_unavailable', 'down') };
const refused = { kind: 'refused', error: new AuthKitError('code_exchange_failed', 'no') };
const step = { kind: 'refused', error: new AuthKitError('sso_required', 'sso') };

/** A refresh token that is looked up this often means an endless loop. */
const ENOUGH = 50;

function session(refreshToken = 'rt'): Session {
  let looks = 0;
  const whole = toSession({ accessToken: token({ sub: 'u' }), refreshToken, user: { id: 'u' } as never }, {});
  return {
    ...whole,
    get refreshToken() {
      if ((looks += 1) > ENOUGH) throw new Error('a refresh that goes in circles');
      return refreshToken;
    },
  };
}

interface Made {
  /** WorkOS's responses, either the same every time or one per organization. By default, new tokens. */
  answer?: object | ((organizationId: string | undefined) => object | undefined);
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
  const granted = () => ({
    kind: 'ok',
    value: {
      accessToken: token({ sub: 'u', exp: 7200 }),
      refreshToken: `rt_${asked.length + 1}`,
      user: { id: 'u' },
    },
  });
  const refreshTokens = createTokenRefresh({
    refresh: (refreshToken, organizationId) => {
      asked.push([refreshToken, organizationId]);
      if (asked.length > 20 * ENOUGH) return Promise.resolve(refused as never);
      const given = typeof answer === 'function' ? (answer(organizationId) as object | undefined) : answer;
      return Promise.resolve((given ?? granted()) as never);
    },
    verify: () => verdict as never,
    seal,
    onRefreshed: () => told.push('renewed'),
    onFailed: ({ kind }) => told.push(kind),
  });
  return { ...createRefresh({ clientId: 'client_1', refreshTokens, now }), asked, told };
}

test('sessions are refreshed separately', async () => {
  const { run, asked } = refreshing();
  const results = await Promise.all(['rt_a', 'rt_b'].map((token) => run(session(token), undefined)));
  expect(asked).toEqual([
    ['rt_a', undefined],
    ['rt_b', undefined],
  ]);
  expect(results[0]).not.toBe(results[1]);
});

test('a result is remembered for its organization until the new token expires', async () => {
  let clock = 1000;
  const { run, asked, told } = refreshing({ now: () => clock });
  expect(await run(session(), undefined)).toMatchObject({ kind: 'refreshed', sealed: 'sealed' });
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

test('a refresh token that WorkOS does not rotate is used again, also for a different organization', async () => {
  let looks = 0;
  const now = () => {
    if ((looks += 1) > 20 * ENOUGH) throw new Error('a refresh that goes in circles');
    return 1000;
  };
  const value = { accessToken: token({ sub: 'u', exp: 7200 }), refreshToken: 'rt', user: { id: 'u' } };
  const { run, asked } = refreshing({ answer: { kind: 'ok', value }, now });
  for (const organization of ['org_1', 'org_2', 'org_2'])
    expect(await run(session(), organization)).toMatchObject({ kind: 'refreshed', organization });
  const both = await Promise.all(['org_1', 'org_2', 'org_1'].map((id) => run(session(), id)));
  expect(both.map((result) => 'organization' in result && result.organization)).toEqual([
    'org_1',
    'org_2',
    'org_1',
  ]);
  expect(asked).toEqual(['org_1', 'org_2', 'org_2', 'org_1', 'org_2'].map((id) => ['rt', id]));
});

test('a refused refresh ends the session, and is remembered for a minute', async () => {
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
  expect(await refreshing({ answer: step }).run(session(), undefined)).toEqual(step);
});

test('an outage is not remembered, except that refreshes before expiry pause for ten seconds', async () => {
  let clock = 1000;
  const {
    run,
    asked,
    canRefreshAhead: mayTryAhead,
    backOff: postpone,
  } = refreshing({ answer: down, now: () => clock });
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

test('new tokens end the pause after an outage, also for requests with the old tokens', async () => {
  let isDown = true;
  const {
    run,
    canRefreshAhead: mayTryAhead,
    backOff: postpone,
  } = refreshing({ answer: () => (isDown ? down : undefined) });
  await run(session(), undefined);
  expect(mayTryAhead(session())).toBe(false);
  isDown = false;
  await run(session(), undefined);
  expect(mayTryAhead(session())).toBe(true);
  const slow = run(session('slow'), undefined);
  postpone(session('slow'));
  expect(mayTryAhead(session('slow'))).toBe(false);
  await slow;
  expect(mayTryAhead(session('slow'))).toBe(true);
});

test('a further step required by one organization is remembered for that organization only', async () => {
  const { run, asked } = refreshing({ answer: (id) => (id === 'org_sso' ? step : undefined) });
  expect(await run(session(), 'org_sso')).toEqual(step);
  expect(await run(session(), 'org_sso')).toEqual(step);
  expect(asked).toEqual([['rt', 'org_sso']]);
  const [other, again] = await Promise.all([run(session(), undefined), run(session(), 'org_sso')]);
  expect({ other: other.kind, again }).toEqual({ other: 'refreshed', again: step });
  expect(asked).toEqual([
    ['rt', 'org_sso'],
    ['rt', undefined],
  ]);
});

test.each([
  ['a step that only the first one demands: the second one asks for itself', step, ['org_1', 'org_2']],
  ['an outage: the second one tries for itself', down, ['org_1', 'org_2']],
  ['a refusal of the token: it is over for both', refused, ['org_1']],
])('two organizations at once, and %s', async (_, answer, expected) => {
  const { run, asked } = refreshing({ answer: (id) => (id === 'org_1' ? answer : undefined) });
  const [first, second] = await Promise.all([run(session(), 'org_1'), run(session(), 'org_2')]);
  expect(first.kind).toBe(answer.kind);
  expect(second.kind).toBe(answer === refused ? 'refused' : 'refreshed');
  expect(asked).toEqual(expected.map((id) => ['rt', id]));
});

test('expired results are removed even if they are never requested again', async () => {
  let clock = 1000;
  const { run } = refreshing({ now: () => clock });
  const refresh = async (name: string) => {
    const result = await run(session(name), undefined);
    return new WeakRef((result as { session: Session }).session);
  };
  const held: WeakRef<Session>[] = [];
  for (let index = 0; index < 256; index += 1) held.push(await refresh(`early_${index}`));
  const left = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    return held.filter((one) => one.deref() !== undefined).length;
  };
  expect(await left()).toBe(256);
  clock = 8_000_000;
  for (let index = 0; index < 256; index += 1) await refresh(`late_${index}`);
  expect(await left()).toBeLessThan(10);
});

test.each([
  [{ kind: 'invalid', reason: 'issuer' }, 'u', 'WorkOS sent an access token that is not valid (issuer)'],
  [{ kind: 'valid', claims: { sub: 'v' } }, 'u', 'WorkOS sent an access token of another user'],
  [{ kind: 'unavailable' }, 'v', 'WorkOS sent an access token of another user'],
])('a new token whose verification is %j is not accepted', async (verdict, sub, message) => {
  const value = { accessToken: token({ sub }), refreshToken: 'rt_2', user: { id: 'u' } };
  const { run } = refreshing({ verdict, answer: { kind: 'ok', value } });
  expect(await run(session(), undefined)).toMatchObject({ kind: 'unavailable', error: { message } });
});

test('tokens that cannot be verified now, or that have expired by the clock of this server, are kept', async () => {
  for (const kind of ['unavailable', 'expired'])
    expect(await refreshing({ verdict: { kind } }).run(session(), undefined)).toMatchObject({
      kind: 'refreshed',
    });
});

test('the tokens of another user are not accepted, and an error on the way is reported', async () => {
  const value = { accessToken: token({ sub: 'u' }), refreshToken: 'rt_2', user: { id: 'v' } };
  expect(await refreshing({ answer: { kind: 'ok', value } }).run(session(), undefined)).toMatchObject({
    kind: 'unavailable',
    error: { message: 'WorkOS sent the session of another user' },
  });
  const cause = new Error('no entropy');
  expect(await refreshing({ seal: () => Promise.reject(cause) }).run(session(), undefined)).toMatchObject({
    kind: 'unavailable',
    error: { message: 'the session could not be refreshed', cause },
  });
});
