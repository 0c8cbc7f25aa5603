import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { withRefreshLock } from '../../src/session/refresh-lock.js';
import { toSession, type Session } from '../../src/session/sealed-session.js';
import { type RefreshResult, sessionEnded } from '../../src/session/refresh-at-workos.js';
import type { Store } from '../../src/stores/index.js';
import { createSignedStore, type SignedStore } from '../../src/stores/signed-store.js';

/** A store that honors the time to live and counts the calls to each method. */
function expiringStore() {
  const map = new Map<string, { value: string; until: number }>();
  const calls = { add: 0, replace: 0, set: 0 };
  const valueOf = (key: string) => {
    const entry = map.get(key);
    return entry && performance.now() < entry.until ? entry.value : undefined;
  };
  const put = (key: string, value: string, ttl: number) =>
    !!map.set(key, { value, until: performance.now() + ttl });
  const store: Store = {
    get: async (key) => valueOf(key),
    set: async (key, value, ttl) => {
      calls.set += 1;
      return put(key, value, ttl);
    },
    add: async (key, value, ttl) => {
      calls.add += 1;
      return valueOf(key) === undefined && put(key, value, ttl);
    },
    replace: async (key, expected, value, ttl) => {
      if (value !== undefined) calls.replace += 1;
      if (valueOf(key) !== expected) return false;
      return value === undefined ? map.delete(key) : put(key, value, ttl);
    },
    delete: async (key) => map.delete(key),
  };
  const signed = createSignedStore({
    store,
    clientId: 'client_1',
    passwords: ['a-password-for-tests-and-for-nothing-else'],
    deadline: 1000,
  });
  return { signed, calls };
}

function sessionOf(userId: string, refreshToken: string): Session {
  const claims = Buffer.from(JSON.stringify({ sub: userId, exp: 2_000_000_000 })).toString('base64url');
  return toSession(
    { accessToken: `x.${claims}.x`, refreshToken, user: { id: userId } as Session['user'] },
    {},
  );
}

const OLD = sessionOf('user_1', 'rt_1');

function refreshedTo(session: Session): RefreshResult {
  const sealed = Buffer.from(JSON.stringify(session)).toString('base64url');
  return { kind: 'refreshed', organization: '', session, sealed };
}

/** The same refresh in a separate process. */
const inProcess = (
  signed: SignedStore,
  refresh: () => Promise<RefreshResult>,
  options: { waitForLock?: number; now?: () => number } = {},
) => {
  const open = (sealed: string) => JSON.parse(Buffer.from(sealed, 'base64url').toString()) as Session;
  const { waitForLock = 10_000, now = () => 1_000_000 } = options;
  const run = withRefreshLock(refresh, { store: signed, open, now, waitForLock });
  return () => run(OLD, undefined);
};

test('a lock is extended while its process waits for WorkOS, so that no other process refreshes too', async () => {
  const { signed, calls } = expiringStore();
  let refreshes = 0;
  const slow = async () => {
    refreshes += 1;
    await wait(3500);
    return refreshedTo(sessionOf('user_1', 'rt_2'));
  };
  const results = await Promise.all([inProcess(signed, slow)(), inProcess(signed, slow)()]);
  expect(results.map(({ kind }) => kind)).toEqual(['refreshed', 'refreshed']);
  expect(refreshes).toBe(1);
  expect(calls.replace).toBeGreaterThan(0);
});

test('new tokens replace a refusal that another process has stored meanwhile', async () => {
  const { signed } = expiringStore();
  const refused = inProcess(signed, () => Promise.resolve(sessionEnded()), { waitForLock: 0 });
  const renewed = inProcess(signed, async () => {
    // A second process does not wait for this one, and WorkOS rejects the used token.
    expect((await refused()).kind).toBe('refused');
    return refreshedTo(sessionOf('user_1', 'rt_2'));
  });
  expect((await renewed()).kind).toBe('refreshed');
  const third = await inProcess(signed, () => Promise.reject(new Error('not needed')))();
  expect(third).toMatchObject({ kind: 'refreshed', session: { refreshToken: 'rt_2' } });
});

test('a refusal never replaces new tokens: the refused process gets them', async () => {
  const { signed } = expiringStore();
  const renewed = inProcess(signed, () => Promise.resolve(refreshedTo(sessionOf('user_1', 'rt_2'))), {
    waitForLock: 0,
  });
  const refused = inProcess(signed, async () => {
    expect((await renewed()).kind).toBe('refreshed');
    return sessionEnded();
  });
  expect(await refused()).toMatchObject({ kind: 'refreshed', session: { refreshToken: 'rt_2' } });
});

test('a lock that is never released does not stop a process: it refreshes on its own', async () => {
  const { signed } = expiringStore();
  const locked: SignedStore = {
    ...signed,
    add: (kind, ...rest) =>
      kind === 'lock' ? Promise.resolve({ kind: 'taken' }) : signed.add(kind, ...rest),
  };
  let refreshes = 0;
  const run = inProcess(
    locked,
    () => {
      refreshes += 1;
      return Promise.resolve(refreshedTo(sessionOf('user_1', 'rt_2')));
    },
    { waitForLock: 200 },
  );
  const result = run();
  await wait(50);
  expect(refreshes).toBe(0);
  expect((await result).kind).toBe('refreshed');
  expect(refreshes).toBe(1);
});

test('the stored result of a refresh is not used for another user', async () => {
  const { signed } = expiringStore();
  const foreign = inProcess(signed, () => Promise.resolve(refreshedTo(sessionOf('user_2', 'rt_2'))));
  await foreign();
  let refreshes = 0;
  const own = inProcess(signed, () => {
    refreshes += 1;
    return Promise.resolve(refreshedTo(sessionOf('user_1', 'rt_3')));
  });
  expect(await own()).toMatchObject({ session: { user: { id: 'user_1' } } });
  expect(refreshes).toBe(1);
});
