import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createOptionalWait, Deadline } from '../../src/deadline.js';
import { unavailable } from '../../src/errors.js';
import { withRefreshLock } from '../../src/session/refresh-lock.js';
import { toSession, type Session } from '../../src/session/sealed-session.js';
import type { RefreshResult } from '../../src/session/refresh-at-workos.js';
import { createSignedStore } from '../../src/stores/signed-store.js';
import { FETCH, send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { createTestApp, type TestApp } from '../support/app.js';

const ask = (at: Pick<TestApp, 'origin'>, cookie: string, path: string) =>
  send(at.origin + path, { headers: { ...FETCH, cookie } });

/** Returns this many cookies of users whose access tokens have expired. */
async function expired(at: TestApp, count: number): Promise<string[]> {
  const emails = Array.from({ length: count }, (_, index) => `user${index}@example.com`);
  const cookies = await Promise.all(emails.map((email) => at.cookie({ user: { email } })));
  at.workos.clock.advance(600_000);
  return cookies;
}

const never = () => new Promise<never>(() => undefined);

describe('19B the time that a request waits', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('a deadline is taken once, and what follows has what is left of it', async () => {
    const deadline = new Deadline(1000);
    expect(deadline.left()).toBe(1000);
    await vi.advanceTimersByTimeAsync(700);
    expect(deadline.left()).toBe(300);
    await vi.advanceTimersByTimeAsync(700);
    expect(deadline.left()).toBe(0);
  });

  /** Returns how long each request waits, in milliseconds of a clock that the test advances. */
  async function waits(optionalWait: ReturnType<typeof createOptionalWait>, ...pending: Promise<unknown>[]) {
    const startedAt = performance.now();
    const lasted: number[] = [];
    const all = pending.map((promise) =>
      optionalWait(promise).then(() => lasted.push(performance.now() - startedAt)),
    );
    await vi.advanceTimersByTimeAsync(1000);
    await Promise.all(all);
    return lasted;
  }

  test('after a wait that took too long, requests wait briefly, and one in five seconds tries again', async () => {
    const optionalWait = createOptionalWait(1000);
    expect(await waits(optionalWait, never())).toEqual([1000]);
    for (let second = 1; second <= 4; second += 1)
      expect(await waits(optionalWait, never(), never())).toEqual([50, 50]);
    await vi.advanceTimersByTimeAsync(1000);
    // In the order in which they finish.
    expect(await waits(optionalWait, never(), never(), never())).toEqual([50, 50, 1000]);
    expect(await waits(optionalWait, never())).toEqual([50]);
  });

  test('what comes at once does not end that, and what comes in time does', async () => {
    const optionalWait = createOptionalWait(1000);
    await waits(optionalWait, never());
    await vi.advanceTimersByTimeAsync(5000);
    expect(await waits(optionalWait, Promise.resolve())).toEqual([0]);
    const inTime = new Promise((resolve) => setTimeout(resolve, 400));
    expect(await waits(optionalWait, inTime, never())).toEqual([50, 400]);
    expect(await waits(optionalWait, never(), never())).toEqual([1000, 1000]);
  });
});

test.each<[string, Partial<Parameters<TestApp['workos']['fail']>[0]>]>([
  ['a WorkOS that does not answer', { hang: true }],
  ['a WorkOS that is slow', { delay: 2500 }],
])('19B with %s, only one of several pages without a guard waits for it', async (_, fault) => {
  const at = await createTestApp('express5', { authkit: { timeout: 4000 } });
  const cookies = await expired(at, 12);
  at.workos.fail({ on: 'refresh', ...fault });
  const order: string[] = [];
  await ask(at, cookies[0]!, '/open');
  // As long as a page that does wait.
  const full = wait(800).then(() => order.push('full'));
  for (const cookie of cookies.slice(1, 6)) {
    const reply = await ask(at, cookie, '/open');
    expect(JSON.parse(reply.body)).toMatchObject({ email: null, reason: 'unavailable' });
    order.push('page');
  }
  await full;
  expect(order).toEqual(['page', 'page', 'page', 'page', 'page', 'full']);
  at.workos.recover();
});

test('19B with a WorkOS that does not answer, users whose token is still valid stay signed in on every page', async () => {
  const at = await createTestApp('express5', { authkit: { timeout: 1000 } });
  const emails = Array.from({ length: 6 }, (_, index) => `user${index}@example.com`);
  const cookies = await Promise.all(emails.map((email) => at.cookie({ user: { email } })));
  // The tokens are due for a refresh.
  at.workos.clock.advance(290_000);
  at.workos.fail({ on: 'refresh', hang: true });
  for (const [index, cookie] of cookies.entries()) {
    for (const path of ['/open', '/account']) {
      const reply = await ask(at, cookie, path);
      expect(reply.status).toBe(200);
      expect(JSON.parse(reply.body), `${path} ${index}`).toMatchObject({ email: emails[index] });
    }
  }
});

test('19B with a store that does not answer, only one of several pages without a guard waits for it', async () => {
  const store = mapStore();
  const at = await createTestApp('express5', { authkit: { store, timeout: 4000 } });
  const cookies = await Promise.all(
    Array.from({ length: 6 }, (_, index) => at.cookie({ user: { email: `user${index}@example.com` } })),
  );
  store.get = never;
  const order: string[] = [];
  await ask(at, cookies[0]!, '/open');
  const full = wait(800).then(() => order.push('full'));
  for (const cookie of cookies.slice(1)) {
    expect((await ask(at, cookie, '/open')).status).toBe(200);
    order.push('page');
  }
  await full;
  expect(order).toEqual(['page', 'page', 'page', 'page', 'page', 'full']);
});

test('19B everything that waits for a session ends in two timeouts, with a lock that is never released', async () => {
  const store = mapStore();
  const at = await createTestApp('express5', {
    authkit: { store, timeout: 1000, routes: { token: '/token' } },
    routes: (app, auth) => {
      app.route('/authenticate', async (req, res) => {
        res.end(JSON.stringify(await auth.authenticate(req)));
      });
    },
  });
  const [cookie] = await expired(at, 1);
  store.add = async () => false;
  at.workos.fail({ on: 'refresh', hang: true });
  const order: string[] = [];
  // Waiting for the lock and for WorkOS takes 2.5 timeouts.
  const later = wait(2350).then(() => order.push('later'));
  const note = (what: string) => async (reply: Promise<{ status: number; body: string }>) => {
    const { status, body } = await reply;
    order.push(what);
    return { status, body };
  };
  const [guarded, upgrade] = await Promise.all([
    note('guarded')(ask(at, cookie!, '/account')),
    note('authenticate')(ask(at, cookie!, '/authenticate')),
    later,
  ]);
  expect(guarded.status).toBe(503);
  expect(upgrade.status).toBe(200);
  expect(order.at(-1)).toBe('later');
});

describe('19B the processes that wait for another one', () => {
  const signed = () =>
    createSignedStore({
      store: mapStore(),
      clientId: 'client_1',
      passwords: ['a-password-for-tests-and-for-nothing-else'],
      timeout: 1000,
    });
  const session: Session = toSession(
    { accessToken: 'x.e30.x', refreshToken: 'rt_1', user: { id: 'user_1' } as Session['user'] },
    {},
  );

  test('do not ask WorkOS if it did not answer the one that holds the lock, and the next request does', async () => {
    const store = signed();
    const asked: string[] = [];
    let isDown = true;
    const processOf = (name: string) =>
      withRefreshLock(
        async (): Promise<RefreshResult> => {
          asked.push(name);
          await wait(200);
          if (isDown) return { kind: 'unavailable', error: unavailable('WorkOS is down') };
          return { kind: 'refreshed', organization: '', session, sealed: 'sealed' };
        },
        { store, open: () => session, now: () => 0, waitForLock: 10_000 },
      );
    const [one, two, three] = ['one', 'two', 'three'].map(processOf);
    const results = await Promise.all([one!, two!, three!].map((refresh) => refresh(session, undefined)));
    expect(results.map(({ kind }) => kind)).toEqual(['unavailable', 'unavailable', 'unavailable']);
    expect(asked).toHaveLength(1);
    isDown = false;
    expect((await two!(session, undefined)).kind).toBe('refreshed');
    expect(asked).toHaveLength(2);
  });

  test('with two processes and a WorkOS that fails, an expired user is one call, not one for each process', async () => {
    const at = await createTestApp('express5', { authkit: { store: mapStore() } });
    const other = await at.sibling();
    const [cookie] = await expired(at, 1);
    at.workos.fail({ on: 'refresh', status: 503, delay: 300 });
    const replies = await Promise.all([at, other].map((one) => ask(one, cookie!, '/account')));
    expect(replies.map(({ status }) => status)).toEqual([503, 503]);
    expect(at.workos.callsTo('refresh')).toHaveLength(1);
    at.workos.recover();
    expect((await ask(other, cookie!, '/account')).status).toBe(200);
  });
});

test('T44 a request that planted cookies make slow does not shorten the wait of other requests', async () => {
  const at = await createTestApp('express5', { authkit: { timeout: 4000 } });
  const [slow, other] = (await expired(at, 2)) as [string, string];
  const planted = [slow, ...['a', 'b', 'c'].map((letter) => `wos-session=${letter}`)].join('; ');
  // Longer than a route without a guard waits for a session, and then longer than the brief wait after a timeout.
  for (const [cookie, delay, email] of [
    [planted, 1000, null],
    [other, 100, 'user1@example.com'],
  ] as const) {
    at.workos.fail({ on: 'refresh', delay, times: 1 });
    expect(JSON.parse((await ask(at, cookie, '/open')).body)).toMatchObject({ email });
  }
});
