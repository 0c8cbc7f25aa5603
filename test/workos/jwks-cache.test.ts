import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createJWKS, type JWKSLookup } from '../../src/workos/jwks.js';
import { UpstreamError } from '../../src/workos/fetch.js';
import { messagesOn } from '../support/events.js';

const START = 1_700_000_000_000;
const SECOND = 1000;
const DAY = 86_400_000;
const SOFT_TIMEOUT = 200;

const rsa = (modulusLength = 2048) =>
  generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' });
const PUBLIC = rsa();
const key = (kid?: unknown, change: object = {}) => ({
  ...PUBLIC,
  ...(kid === undefined ? {} : { kid }),
  ...change,
});

/** A key set on a clock of the test. `state.publish` is what its server does. */
function setUp(published: readonly unknown[] = [key('a')]) {
  const state = {
    now: START,
    fetches: 0,
    publish: (): Promise<unknown> => Promise.resolve({ keys: published }),
  };
  const down = () => Promise.reject(new Error('down'));
  const jwks = createJWKS({
    clientId: 'client_1',
    now: () => state.now,
    softTimeout: SOFT_TIMEOUT,
    fetchKeys: () => {
      state.fetches += 1;
      return state.publish();
    },
  });
  return { state, jwks, down };
}

/** A response of the server that the test sends later. */
function later(keys: readonly unknown[] = [key('a')]) {
  let send!: () => void;
  let fail!: () => void;
  const response = new Promise<unknown>((resolve, reject) => {
    send = () => {
      resolve({ keys });
    };
    fail = () => {
      reject(new Error('down'));
    };
  });
  return { publish: () => response, send, fail };
}

/** Sets the monotonic clock for the rest of the test. */
function monotonic() {
  const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
  onTestFinished(() => {
    clock.mockRestore();
  });
  return clock;
}

const FOUND = { kind: 'found', isFresh: true };
const STALE = { kind: 'found', isFresh: false };
const MISSING = { kind: 'missing' };
const UNAVAILABLE = { kind: 'unavailable' };
const unknown = (retryAfter: number): JWKSLookup => ({ kind: 'unknown', retryAfter });

describe('the age of the keys', () => {
  test('the keys are fetched again after ten minutes, and not before', async () => {
    const { state, jwks } = setUp();
    expect([jwks.hasFresh('a'), jwks.age()]).toEqual([false, undefined]);
    for (const [elapsed, fetches] of [
      [0, 1],
      [599_999, 1],
      [600_000, 2],
      [600_001, 2],
    ] as const) {
      state.now = START + elapsed;
      expect(await jwks.find('a')).toMatchObject(FOUND);
      expect(state.fetches, `${elapsed} ms`).toBe(fetches);
    }
    expect([jwks.hasFresh('a'), jwks.hasFresh('b'), jwks.age()]).toEqual([true, false, 1]);
    state.now += 600_000;
    expect([jwks.hasFresh('a'), jwks.age()]).toEqual([false, 600_001]);
  });

  test('old keys are used for a day while their server is down, which is tried again every ten seconds', async () => {
    const { state, jwks, down } = setUp();
    await jwks.find('a');
    state.publish = down;
    for (const [elapsed, fetches, expected] of [
      [600_000, 2, STALE],
      [609_999, 2, STALE],
      [610_000, 3, STALE],
      [DAY - 1, 4, STALE],
      [DAY, 5, UNAVAILABLE],
      [DAY, 6, UNAVAILABLE],
    ] as const) {
      state.now = START + elapsed;
      expect(await jwks.find('a')).toMatchObject(expected);
      expect(state.fetches, `${elapsed} ms`).toBe(fetches);
      expect(jwks.age()).toBe(elapsed < DAY ? elapsed : undefined);
      expect(jwks.hasFresh('a')).toBe(false);
    }
  });

  test('if the clock is set back, the keys are fetched again', async () => {
    const { state, jwks } = setUp();
    await jwks.find('a');
    state.now -= 1;
    expect(await jwks.find('a')).toMatchObject(FOUND);
    expect(state.fetches).toBe(2);
  });

  test('a request with an old key waits for newer keys for a quarter of the soft timeout at most', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { state, jwks } = setUp();
    await jwks.find('a');
    state.now += 600_000;
    const slow = later();
    state.publish = slow.publish;
    const found: JWKSLookup[] = [];
    void jwks.find('a').then((result) => found.push(result));
    await vi.advanceTimersByTimeAsync(SOFT_TIMEOUT / 4 - 1);
    expect(found).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(found).toMatchObject([STALE]);
    // Another request joins the same fetch.
    void jwks.find('a').then((result) => found.push(result));
    slow.send();
    await vi.advanceTimersByTimeAsync(0);
    expect(found).toMatchObject([STALE, FOUND]);
    expect(state.fetches).toBe(2);
  });
});

describe('key IDs that are not in the set', () => {
  test('each is fetched for once, after a pause that grows from 30 to 60 seconds', async () => {
    const { state, jwks } = setUp();
    await jwks.find('a');
    expect(await jwks.find('b')).toEqual(MISSING);
    expect(await jwks.find('b')).toEqual(MISSING);
    state.now += 1;
    expect(await jwks.find('c')).toEqual(unknown(29.999));
    expect(state.fetches).toBe(2);
    state.now = START + 30_000;
    expect(await jwks.find('c')).toEqual(MISSING);
    expect(state.fetches).toBe(3);
    // The fetch for `c` cleared the record, so `b` is unknown until the next one.
    expect(await jwks.find('b')).toEqual(unknown(60));
    state.now += 59_999;
    expect(await jwks.find('b')).toEqual(unknown(0.001));
    expect(await jwks.find('c')).toEqual(MISSING);
    state.now += 1;
    expect(await jwks.find('b')).toEqual(MISSING);
    expect(await jwks.find('d')).toEqual(unknown(60));
    expect(state.fetches).toBe(4);
  });

  test.each([
    [119_999, 60],
    [120_000, 30],
  ])('%i ms after a miss, the next pause is %i seconds', async (elapsed, pause) => {
    const { state, jwks } = setUp();
    await jwks.find('a');
    await jwks.find('b');
    state.now += elapsed;
    expect(await jwks.find('c')).toEqual(MISSING);
    expect(await jwks.find('d')).toEqual(unknown(pause));
  });

  test('requests that share one fetch lengthen the pause once', async () => {
    const { state, jwks } = setUp();
    await jwks.find('a');
    const results = await Promise.all(['b', 'c', undefined].map((kid) => jwks.find(kid)));
    // Without an ID, the only key of the set is found.
    expect(results).toMatchObject([MISSING, MISSING, FOUND]);
    expect(await jwks.find('d')).toEqual(unknown(30));
    expect(state.fetches).toBe(2);
  });

  test('a request without a key ID is remembered as one too', async () => {
    const { state, jwks } = setUp([key('a'), key('b')]);
    await jwks.find('a');
    expect(await jwks.find(undefined)).toEqual(MISSING);
    expect(await jwks.find(undefined)).toEqual(MISSING);
    expect(state.fetches).toBe(2);
  });

  test('for a token that WorkOS has just sent, the keys are fetched even in the pause', async () => {
    const { state, jwks } = setUp();
    await jwks.find('a');
    await jwks.find('b');
    expect(await jwks.find('a', true)).toMatchObject(FOUND);
    expect(await jwks.find('b', true)).toEqual(MISSING);
    expect(state.fetches).toBe(3);
  });

  test('while a fetch is in flight, an unknown ID waits for it instead of the pause', async () => {
    const { state, jwks } = setUp();
    await jwks.find('a');
    await jwks.find('b');
    state.now += 10_000;
    const slow = later([key('a'), key('c')]);
    state.publish = slow.publish;
    const loaded = jwks.load(true);
    const found = jwks.find('c');
    slow.send();
    await loaded;
    expect(await found).toMatchObject(FOUND);
    expect(state.fetches).toBe(3);
  });

  test('if the keys cannot be fetched, an unknown ID is tried again after ten seconds', async () => {
    const { state, jwks, down } = setUp();
    await jwks.find('a');
    state.publish = down;
    state.now += SECOND;
    expect(await jwks.find('b')).toEqual(unknown(10));
    state.now += 4 * SECOND;
    expect(await jwks.find('b')).toEqual(unknown(6));
    expect(state.fetches).toBe(2);
    state.now += 6 * SECOND;
    expect(await jwks.find('b')).toEqual(unknown(10));
    expect(state.fetches).toBe(3);
    // A failed fetch is not a miss, so no pause follows once the keys can be fetched.
    state.now += 10 * SECOND;
    state.publish = () => Promise.resolve({ keys: [key('a'), key('b')] });
    expect(await jwks.find('b')).toMatchObject(FOUND);
  });

  test('if the clock is set back after a miss, the pause ends', async () => {
    const { state, jwks } = setUp();
    await jwks.find('a');
    await jwks.find('b');
    state.now -= 1;
    expect(await jwks.find('b')).toEqual(MISSING);
    expect(state.fetches).toBe(3);
  });
});

describe('keys that are fetched in advance', () => {
  test('are fetched if there are none, at most once a second while that fails', async () => {
    const { state, jwks, down } = setUp();
    state.publish = down;
    for (const [elapsed, fetches] of [
      [0, 1],
      [999, 1],
      [1000, 2],
    ] as const) {
      state.now = START + elapsed;
      await jwks.load();
      expect(state.fetches, `${elapsed} ms`).toBe(fetches);
    }
    // A request does not wait for the second to pass.
    expect(await jwks.find('a')).toEqual(UNAVAILABLE);
    expect(state.fetches).toBe(3);
  });

  test.each([
    [
      false,
      [
        [9999, 1],
        [10_000, 1],
        [599_999, 1],
        [600_000, 2],
      ],
    ],
    [
      true,
      [
        [9999, 1],
        [10_000, 2],
        [19_999, 2],
        [20_000, 3],
      ],
    ],
  ] as const)(
    'are fetched again if it is due or forced (%s), and not within ten seconds',
    async (isForced, table) => {
      const { state, jwks } = setUp();
      await jwks.load();
      for (const [elapsed, fetches] of table) {
        state.now = START + elapsed;
        await (isForced ? jwks.load(true) : jwks.load());
        expect(state.fetches, `${elapsed} ms`).toBe(fetches);
      }
    },
  );

  test('while a fetch is in flight, no second one begins, and both end with it', async () => {
    const { state, jwks } = setUp();
    const slow = later();
    state.publish = slow.publish;
    const order: string[] = [];
    const loads = [jwks.load(), jwks.load(true)].map((load) => load.then(() => order.push('loaded')));
    const found = jwks.find('a').then((result) => order.push(result.kind));
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual([]);
    slow.send();
    await Promise.all([...loads, found]);
    expect([...order].sort()).toEqual(['found', 'loaded', 'loaded']);
    expect(state.fetches).toBe(1);
  });

  test.each([
    [500, 1],
    [501, 2],
  ])('a request %i ms after such a fetch began makes the number of fetches %i', async (elapsed, fetches) => {
    const clock = monotonic();
    const { state, jwks } = setUp();
    const frozen = later();
    const fresh = state.publish;
    state.publish = frozen.publish;
    const loaded = jwks.load();
    clock.mockReturnValue(elapsed);
    state.publish = fresh;
    const found = jwks.find('a');
    if (fetches === 1) frozen.send();
    expect(await found).toMatchObject(FOUND);
    expect(state.fetches).toBe(fetches);
    frozen.send();
    await loaded;
  });

  test('the end of a frozen fetch does not hide the fetch that replaced it', async () => {
    const clock = monotonic();
    const { state, jwks } = setUp();
    const [frozen, newer] = [later(), later()];
    state.publish = frozen.publish;
    const loaded = jwks.load();
    clock.mockReturnValue(501);
    state.publish = newer.publish;
    const first = jwks.find('a');
    frozen.fail();
    await loaded;
    const second = jwks.find('a');
    newer.send();
    expect([await first, await second]).toMatchObject([FOUND, FOUND]);
    expect(state.fetches).toBe(2);
  });

  test('a fetch that a request began is joined, however long ago it began', async () => {
    const clock = monotonic();
    const { state, jwks } = setUp();
    const slow = later();
    state.publish = slow.publish;
    const first = jwks.find('a');
    clock.mockReturnValue(10_000);
    const second = jwks.find('a');
    slow.send();
    expect([await first, await second]).toMatchObject([FOUND, FOUND]);
    expect(state.fetches).toBe(1);
  });

  test('a request fetches the keys itself if the fetch in advance that it waited for has failed', async () => {
    const { state, jwks } = setUp();
    const [first, fresh] = [later(), state.publish];
    state.publish = first.publish;
    const loaded = jwks.load();
    const found = jwks.find('a');
    state.publish = fresh;
    first.fail();
    await loaded;
    expect(await found).toMatchObject(FOUND);
    expect(state.fetches).toBe(2);
  });

  test('a request does not fetch again after the failed fetch of another request', async () => {
    const { state, jwks, down } = setUp();
    state.publish = down;
    expect(await Promise.all([jwks.find('a'), jwks.find('a')])).toEqual([UNAVAILABLE, UNAVAILABLE]);
    expect(state.fetches).toBe(1);
  });
});

describe('T68 while there are no keys and they cannot be fetched', () => {
  test('ten requests fetch them at once, and after that one request each second', async () => {
    const { state, jwks, down } = setUp();
    state.publish = down;
    for (let nth = 0; nth < 200; nth += 1) expect(await jwks.find(`kid_${nth}`)).toEqual(UNAVAILABLE);
    expect(state.fetches).toBe(10);
    state.now += SECOND - 1;
    await jwks.find('a');
    expect(state.fetches).toBe(10);
    state.now += 1;
    for (let nth = 0; nth < 200; nth += 1) await jwks.find(`kid_${nth}`);
    expect(state.fetches).toBe(11);
    state.now -= 10 * SECOND;
    await jwks.find('a');
    expect(state.fetches).toBe(12);
  });

  test('the token of a sign-in or refresh fetches them at once, and so do requests as soon as they are there', async () => {
    const { state, jwks, down } = setUp();
    const published = state.publish;
    state.publish = down;
    for (let nth = 0; nth < 20; nth += 1) await jwks.find('a');
    expect(await jwks.find('a', true)).toEqual(UNAVAILABLE);
    expect(state.fetches).toBe(11);
    state.publish = published;
    expect(await jwks.find('a')).toEqual(UNAVAILABLE);
    expect(await jwks.find('a', true)).toMatchObject(FOUND);
    state.now += DAY;
    state.publish = down;
    for (let nth = 0; nth < 20; nth += 1) expect(await jwks.find('a')).toEqual(UNAVAILABLE);
    expect(state.fetches).toBe(22);
  });

  test('a request joins a fetch that is in flight', async () => {
    const { state, jwks, down } = setUp();
    state.publish = down;
    for (let nth = 0; nth < 20; nth += 1) await jwks.find('a');
    const next = later();
    state.publish = next.publish;
    const [trusted, other] = [jwks.find('a', true), jwks.find('a')];
    next.send();
    expect(await trusted).toMatchObject(FOUND);
    expect(await other).toMatchObject(FOUND);
    expect(state.fetches).toBe(11);
  });
});

describe('the keys of a set', () => {
  test.each<[string, unknown]>([
    ['null', null],
    ['a string', '{}'],
    ['no list', {}],
    ['an object instead of a list', { keys: { a: key('a') } }],
    ['an empty list', { keys: [] }],
    ['only a key whose ID is a number', { keys: [key(7)] }],
    ['only keys of other kinds', { keys: [null, 7, 'key', { kty: 'EC' }] }],
  ])('%s is no usable set', async (_, answer) => {
    const { state, jwks } = setUp();
    state.publish = () => Promise.resolve(answer);
    expect(await jwks.find('a')).toEqual(UNAVAILABLE);
  });

  test.each<[string, object, boolean]>([
    ['for signatures', { use: 'sig', alg: 'RS256', key_ops: ['verify'] }, true],
    ['with further operations', { key_ops: ['sign', 'verify'] }, true],
    ['for encryption', { use: 'enc' }, false],
    ['of another algorithm', { alg: 'RS512' }, false],
    ['that cannot verify', { key_ops: ['sign'] }, false],
    ['with operations as text', { key_ops: 'verify' }, false],
    ['of another kind', { kty: 'EC' }, false],
    ['without a modulus', { n: undefined }, false],
    ['of 2040 bits', rsa(2040), false],
    ['of 3072 bits', rsa(3072), true],
    ['whose ID is a number', { kid: 7 }, false],
  ])('a key %s is used: %s', async (_, change, isUsed) => {
    const { jwks } = setUp([key('a', change), key('other')]);
    expect((await jwks.find('a')).kind).toBe(isUsed ? 'found' : 'missing');
    expect((await jwks.find('other')).kind).toBe('found');
  });

  test('all keys with one ID are found, and without an ID only a single key', async () => {
    const two = setUp([key('a'), key('b'), key('a')]).jwks;
    const [ofA, ofB, ofNone] = [await two.find('a'), await two.find('b'), await two.find(undefined)];
    expect([ofA, ofB].map((found) => found.kind === 'found' && found.keys.length)).toEqual([2, 1]);
    expect(ofNone).toEqual(MISSING);
    const nameless = setUp([key(), null]).jwks;
    const found = await nameless.find(undefined);
    expect(found.kind === 'found' && found.keys.map(({ type }) => type)).toEqual(['public']);
    expect(await nameless.find('a')).toEqual(MISSING);
  });
});

test('the first keys, and each change of the IDs or of the outcome, are published once', async () => {
  const seen = messagesOn('authkit:keys');
  const { state, jwks, down } = setUp([key('b'), key('a')]);
  const ok = state.publish;
  const fetchAgain = async (publish: () => Promise<unknown>) => {
    state.publish = publish;
    state.now += 10_000;
    await jwks.load(true);
  };
  const fail = (reason: 'status' | 'timeout', status?: number) => () =>
    Promise.reject(new Error('SDK', { cause: new UpstreamError(reason, status, undefined, undefined) }));
  await fetchAgain(down);
  await fetchAgain(down);
  await fetchAgain(ok);
  await fetchAgain(() => Promise.resolve({ keys: [key('a'), key('b')] }));
  await fetchAgain(() => Promise.resolve({ keys: [key('a'), key('c')] }));
  await fetchAgain(fail('status', 503));
  await fetchAgain(fail('timeout'));
  await fetchAgain(ok);
  const about = { clientId: 'client_1', issuer: undefined };
  const fetched = { ...about, outcome: 'ok', count: 2, reason: undefined, status: undefined, age: 0 };
  const failed = { ...about, outcome: 'unavailable', count: 2 };
  expect(seen).toEqual([
    { ...failed, count: 0, reason: 'no_usable_key', status: undefined, age: undefined },
    fetched,
    fetched,
    { ...failed, reason: 'status', status: 503, age: 10_000 },
    fetched,
  ]);
});
