import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { AuthKitError, unavailable } from '../../src/errors.js';
import { withRefreshLock } from '../../src/session/refresh-lock.js';
import { sha256 } from '../../src/sha256.js';
import { toSession, type Session } from '../../src/session/sealed-session.js';
import { type RefreshResult, sessionEnded } from '../../src/session/refresh-at-workos.js';
import type { Store } from '../../src/stores/index.js';
import { createSignedStore, type SignedStore } from '../../src/stores/signed-store.js';

/** The pauses of `withRefreshLock`, in milliseconds. They are cut short while `areShort` is set. */
const pauses = vi.hoisted(() => ({ asked: [] as number[], areShort: false }));

vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number) => {
    pauses.asked.push(ms);
    if (pauses.asked.length > 50) throw new Error('it pauses without end');
    return wait(pauses.areShort ? 1 : ms);
  },
}));

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries += 1) {
    if (tries === 2000) throw new Error('it does not happen');
    await wait(1);
  }
}

afterAll(() => {
  vi.doUnmock('node:timers/promises');
});

afterEach(() => {
  pauses.asked.length = 0;
  pauses.areShort = false;
  vi.useRealTimers();
});

/** A store that honors the time to live, and counts the calls of each method. */
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
    timeout: 1000,
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

test('new tokens replace a refusal that another process has stored meanwhile', async () => {
  const { signed } = expiringStore();
  const refused = inProcess(signed, () => Promise.resolve(sessionEnded()));
  const renewed = inProcess(signed, async () => {
    // This process was paused until its lock had expired, and WorkOS rejects the used token.
    await signed.remove('lock', signed.hashOf('lock', sha256('rt_1')));
    expect((await refused()).kind).toBe('refused');
    return refreshedTo(sessionOf('user_1', 'rt_2'));
  });
  expect((await renewed()).kind).toBe('refreshed');
  const third = await inProcess(signed, () => Promise.reject(new Error('not needed')))();
  expect(third).toMatchObject({ kind: 'refreshed', session: { refreshToken: 'rt_2' } });
});

test('tokens with the same refresh token as before are not shared, because the refresh token can be used again', async () => {
  const { signed } = expiringStore();
  const same = inProcess(signed, () => Promise.resolve(refreshedTo(OLD)));
  expect((await same()).kind).toBe('refreshed');
  expect(await signed.get('refresh', sha256('rt_1'))).toEqual({ kind: 'miss' });
});

test('a refusal without the lock is not stored, and is believed if WorkOS refuses the token again five seconds later', async () => {
  pauses.areShort = true;
  const { signed } = expiringStore();
  const time = { now: 1_000_000 };
  const options = { waitForLock: 0, now: () => time.now };
  const lock = await signed.add('lock', sha256('rt_1'), 'of another process', 600_000);
  expect(lock.kind).toBe('hit');
  const refused = inProcess(signed, () => Promise.resolve(sessionEnded()), options);
  for (const milliseconds of [0, 4999]) {
    time.now += milliseconds;
    expect(await refused()).toMatchObject({ kind: 'unavailable', error: { code: 'upstream_unavailable' } });
  }
  time.now += 1;
  expect(await refused()).toMatchObject({ kind: 'refused', error: { code: 'unauthenticated' } });
  expect(await signed.get('refresh', sha256('rt_1'))).toEqual({ kind: 'miss' });
  // Each process decides for itself, even if its clock has been set back.
  const other = inProcess(signed, () => Promise.resolve(sessionEnded()), options);
  expect((await other()).kind).toBe('unavailable');
  time.now -= 3_600_000;
  expect((await other()).kind).toBe('refused');
});

test('a process that was refused without the lock gets the tokens of the one that holds it', async () => {
  const { signed } = expiringStore();
  const slow = inProcess(signed, async () => {
    // WorkOS has rotated the token, and its answer is on the way.
    expect(await refused()).toMatchObject({ kind: 'unavailable' });
    void wait(100).then(() => signed.put('refresh', sha256('rt_1'), `${sealed} `, 60_000));
    expect(await refused()).toMatchObject({ kind: 'refreshed', session: { refreshToken: 'rt_2' } });
    return refreshedTo(sessionOf('user_1', 'rt_2'));
  });
  const { sealed } = refreshedTo(sessionOf('user_1', 'rt_2')) as { sealed: string };
  const refused = inProcess(signed, () => Promise.resolve(sessionEnded()), { waitForLock: 0 });
  expect((await slow()).kind).toBe('refreshed');
  expect(pauses.asked).toEqual([250, 250]);
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

const renewedSession = () => Promise.resolve(refreshedTo(sessionOf('user_1', 'rt_2')));
const notNeeded = () => Promise.reject(new Error('WorkOS must not be asked'));

/** The store with the calls that were made, as in `add lock`, and their lifetimes. */
function recordingStore() {
  const { signed } = expiringStore();
  const calls: string[] = [];
  const lifetimes: Record<string, number> = {};
  const note = (method: string, kind: string, ttl?: number) => {
    calls.push(`${method} ${kind}`);
    if (ttl !== undefined) lifetimes[`${method} ${kind}`] = ttl;
  };
  const store: SignedStore = {
    ...signed,
    get: (kind, id) => {
      note('get', kind);
      return signed.get(kind, id);
    },
    put: (kind, id, text, ttl) => {
      note('put', kind, ttl);
      return signed.put(kind, id, text, ttl);
    },
    add: (kind, id, text, ttl) => {
      note('add', kind, ttl);
      return signed.add(kind, id, text, ttl);
    },
    replace: (kind, id, entry, text, ttl) => {
      note('replace', kind, ttl);
      return signed.replace(kind, id, entry, text, ttl);
    },
    release: (kind, id, entry) => {
      note('release', kind);
      return signed.release(kind, id, entry);
    },
  };
  return { store, calls, lifetimes, signed };
}

test('a refresh is made with a lock, its result is stored, and the lock is released', async () => {
  const { store, calls, lifetimes } = recordingStore();
  expect(await inProcess(store, renewedSession)()).toMatchObject({ kind: 'refreshed' });
  await wait(0);
  expect(calls).toEqual(['get refresh', 'add lock', 'get refresh', 'put refresh', 'release lock']);
  // The result is stored until its access token expires.
  expect(lifetimes).toEqual({ 'add lock': 2500, 'put refresh': 2_000_000_000_000 - 1_000_000 });
  // The next process uses the result, unless the session has been refreshed again, and needs no lock.
  calls.length = 0;
  expect(await inProcess(store, notNeeded)()).toMatchObject({ session: { refreshToken: 'rt_2' } });
  expect(calls).toEqual(['get refresh', 'get refresh']);
});

test('T69 the latest result is used if other processes have refreshed the session several times', async () => {
  const { store, calls } = recordingStore();
  const shareRefreshes = async (from: number, to: number) => {
    for (let token = from; token < to; token += 1) {
      const { sealed } = refreshedTo(sessionOf('user_1', `rt_${token + 1}`)) as { sealed: string };
      await store.put('refresh', sha256(`rt_${token}`), `${sealed} org_${token + 1}`, 60_000);
    }
  };
  await shareRefreshes(1, 4);
  const run = inProcess(store, notNeeded);
  expect(await run()).toMatchObject({ organization: 'org_4', session: { refreshToken: 'rt_4' } });
  // The number of reads is limited.
  await shareRefreshes(4, 20);
  calls.length = 0;
  expect(await run()).toMatchObject({ session: { refreshToken: 'rt_12' } });
  expect(calls).toHaveLength(11);
});

test('a later refresh that WorkOS has refused does not end the session of an earlier cookie', async () => {
  const { store } = recordingStore();
  const { sealed } = refreshedTo(sessionOf('user_1', 'rt_2')) as { sealed: string };
  await store.put('refresh', sha256('rt_1'), `${sealed} org_2`, 60_000);
  const refuse = withRefreshLock(() => Promise.resolve(sessionEnded()), {
    store,
    open: (text) => JSON.parse(Buffer.from(text, 'base64url').toString()) as Session,
    now: () => 1_000_000,
    waitForLock: 10_000,
  });
  expect(await refuse(sessionOf('user_1', 'rt_2'), undefined)).toMatchObject({ kind: 'refused' });
  expect(await inProcess(store, notNeeded)()).toMatchObject({ session: { refreshToken: 'rt_2' } });
});

test('the organization of a result is stored with it', async () => {
  const { signed } = expiringStore();
  for (const organization of ['org_1', '', 'an organization with spaces']) {
    const result = { ...refreshedTo(sessionOf('user_1', 'rt_2')), organization } as RefreshResult;
    const session = sessionOf('user_1', `rt_of_${organization}`);
    const run = (refresh: () => Promise<RefreshResult>) =>
      withRefreshLock(refresh, {
        store: signed,
        open: (sealed) => JSON.parse(Buffer.from(sealed, 'base64url').toString()) as Session,
        now: () => 1_000_000,
        waitForLock: 10_000,
      })(session, organization || undefined);
    expect(await run(() => Promise.resolve(result))).toBe(result);
    expect(await run(notNeeded)).toEqual(result);
  }
});

test('the session and the organization that are asked for are passed to the refresh', async () => {
  const { signed } = expiringStore();
  const asked: unknown[] = [];
  const refresh = (...args: unknown[]) => {
    asked.push(...args);
    return renewedSession();
  };
  const options = { store: signed, open: () => undefined, now: () => 1_000_000, waitForLock: 10_000 };
  await withRefreshLock(refresh, options)(OLD, 'org_1');
  expect(asked).toEqual([OLD, 'org_1']);
});

test('a refusal is stored for a minute, and the other processes do not ask WorkOS again', async () => {
  const { store, lifetimes } = recordingStore();
  const refused = sessionEnded();
  expect(await inProcess(store, () => Promise.resolve(refused))()).toBe(refused);
  expect(lifetimes['add refresh']).toBe(60_000);
  expect(await store.get('refresh', sha256('rt_1'))).toMatchObject({ text: 'refused' });
  expect(await inProcess(store, notNeeded)()).toEqual(refused);
});

test('an outage of WorkOS is not stored as a result: the processes that waited get 503, the next request tries again', async () => {
  pauses.areShort = true;
  const { store, calls, lifetimes } = recordingStore();
  const outage: RefreshResult = { kind: 'unavailable', error: unavailable('WorkOS does not answer') };
  let fail: () => void = () => undefined;
  const failing = inProcess(store, async () => {
    await new Promise<void>((resolve) => (fail = resolve));
    return outage;
  })();
  await until(() => calls.includes('add lock'));
  const waiting = inProcess(store, notNeeded)();
  await until(() => pauses.asked.length >= 3);
  fail();
  expect(await failing).toBe(outage);
  expect(lifetimes['put failure']).toBe(2000);
  expect(calls).not.toContain('put refresh');
  expect(calls).not.toContain('add refresh');
  const result = await waiting;
  expect(result).toMatchObject({ kind: 'unavailable', error: { code: 'upstream_unavailable' } });
  expect((result as { error: Error }).error.message).toContain('another process could not refresh');
  // The failure of before does not count for a request that comes later, even if it has to wait for a lock.
  let attempts = 0;
  const busy: SignedStore = {
    ...store,
    add: (...args) => {
      attempts += 1;
      return attempts <= 2 ? Promise.resolve({ kind: 'taken' }) : store.add(...args);
    },
  };
  expect(await inProcess(busy, renewedSession)()).toMatchObject({ kind: 'refreshed' });
});

test('a failure from before, which expires while a process waits, is not a new one', async () => {
  pauses.areShort = true;
  const { store } = recordingStore();
  let attempts = 0;
  let failureReads = 0;
  const busy: SignedStore = {
    ...store,
    add: (...args) => {
      attempts += 1;
      return attempts <= 3 ? Promise.resolve({ kind: 'taken' }) : store.add(...args);
    },
    get: (kind, id) => {
      if (kind !== 'failure') return store.get(kind, id);
      failureReads += 1;
      return Promise.resolve(failureReads <= 2 ? { kind: 'hit', text: 'old', raw: '' } : { kind: 'miss' });
    },
  };
  expect(await inProcess(busy, renewedSession)()).toMatchObject({ kind: 'refreshed' });
  expect(failureReads).toBe(4);
});

test('a stored result that cannot be opened is not used', async () => {
  const { signed } = expiringStore();
  await inProcess(signed, renewedSession)();
  const refresh = vi.fn(renewedSession);
  const options = { store: signed, open: () => undefined, now: () => 1_000_000, waitForLock: 10_000 };
  expect(await withRefreshLock(refresh, options)(OLD, undefined)).toMatchObject({ kind: 'refreshed' });
  expect(refresh).toHaveBeenCalledOnce();
});

test('a refusal that is not an end of the session is not stored, and no failure is', async () => {
  const { store, calls } = recordingStore();
  const result: RefreshResult = {
    kind: 'refused',
    error: new AuthKitError('mfa_enrollment', 'another step'),
  };
  expect(await inProcess(store, () => Promise.resolve(result))()).toBe(result);
  expect(calls.filter((call) => /^(put|add) (refresh|failure)/.test(call))).toEqual([]);
});

test('a process refreshes on its own, without a lock, while the store is unavailable', async () => {
  const down = { kind: 'unavailable' } as const;
  const { store, calls } = recordingStore();
  const unreadable = { ...store, get: () => Promise.resolve(down) };
  expect(await inProcess(unreadable, renewedSession)()).toMatchObject({ kind: 'refreshed' });
  expect(calls).toEqual(['put refresh']);
  const other = recordingStore();
  const unlockable = { ...other.store, add: () => Promise.resolve(down) };
  expect(await inProcess(unlockable, renewedSession)()).toMatchObject({ kind: 'refreshed' });
  expect(other.calls).toEqual(['get refresh', 'put refresh']);
});

test('a result that appears while the lock is acquired is used; if the store fails then, WorkOS is asked', async () => {
  for (const [second, isAsked] of [
    ['stored', false],
    ['unavailable', true],
  ] as const) {
    const { signed } = expiringStore();
    await inProcess(signed, renewedSession)();
    let reads = 0;
    const store: SignedStore = {
      ...signed,
      get: (kind, id) => {
        reads += 1;
        if (reads === 1) return Promise.resolve({ kind: 'miss' });
        return second === 'stored' ? signed.get(kind, id) : Promise.resolve({ kind: 'unavailable' });
      },
    };
    let refreshes = 0;
    const run = inProcess(store, () => {
      refreshes += 1;
      return renewedSession();
    });
    expect(await run()).toMatchObject({ kind: 'refreshed', session: { refreshToken: 'rt_2' } });
    expect(refreshes).toBe(isAsked ? 1 : 0);
  }
});

test('the pauses between two reads double up to a quarter of a second', async () => {
  pauses.areShort = true;
  const { store, calls } = recordingStore();
  let times = 0;
  const add: SignedStore['add'] = (...args) => {
    times += 1;
    return times <= 7 ? Promise.resolve({ kind: 'taken' }) : store.add(...args);
  };
  expect(await inProcess({ ...store, add }, renewedSession)()).toMatchObject({ kind: 'refreshed' });
  expect(pauses.asked).toEqual([15, 30, 60, 120, 240, 250, 250]);
  // The failure of before is read once, then with each read of the result.
  expect(calls.filter((call) => call === 'get failure')).toHaveLength(8);
});

test('a process that may not wait refreshes at once', async () => {
  pauses.areShort = true;
  vi.useFakeTimers({ toFake: ['performance'] });
  const { store, calls } = recordingStore();
  const locked: SignedStore = { ...store, add: () => Promise.resolve({ kind: 'taken' }) };
  expect(await inProcess(locked, renewedSession, { waitForLock: 0 })()).toMatchObject({ kind: 'refreshed' });
  expect(calls).toEqual(['get refresh', 'put refresh']);
  expect(pauses.asked).toEqual([]);
});

test('the lock is extended twice a second, for two and a half seconds each time, until the refresh is over', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { store, calls, lifetimes } = recordingStore();
  const answers: (() => void)[] = [];
  const run = inProcess(store, async () => {
    await new Promise<void>((resolve) => answers.push(resolve));
    return refreshedTo(sessionOf('user_1', 'rt_2'));
  })();
  await until(() => answers.length > 0);
  const extensions = () => calls.filter((call) => call === 'replace lock').length;
  vi.advanceTimersByTime(499);
  expect(extensions()).toBe(0);
  vi.advanceTimersByTime(1);
  expect(extensions()).toBe(1);
  vi.advanceTimersByTime(1000);
  expect(extensions()).toBe(3);
  expect(lifetimes['replace lock']).toBe(2500);
  answers[0]!();
  await run;
  await wait(1);
  expect(calls.at(-1)).toBe('release lock');
  vi.advanceTimersByTime(5000);
  expect(extensions()).toBe(3);
});

test('the lock is released although the refresh throws', async () => {
  const { store, calls } = recordingStore();
  await expect(inProcess(store, () => Promise.reject(new Error('unexpected')))()).rejects.toThrow(
    'unexpected',
  );
  await wait(1);
  expect(calls.at(-1)).toBe('release lock');
});

test.each([
  ['has the entry a moment later', 1, 'refreshed'],
  ['does not get it', 2, 'unavailable'],
])('a refused process whose replica %s waits once for the tokens', async (_, misses, kind) => {
  pauses.areShort = true;
  const { signed } = expiringStore();
  await inProcess(signed, renewedSession)();
  // Both reads before the exchange miss as well.
  let left = misses + 2;
  const behind: SignedStore = {
    ...signed,
    get: (entry, id) => ((left -= 1) >= 0 ? Promise.resolve({ kind: 'miss' }) : signed.get(entry, id)),
  };
  expect((await inProcess(behind, () => Promise.resolve(sessionEnded()))()).kind).toBe(kind);
  expect(pauses.asked).toEqual([250]);
});

test('a refused process keeps its result if it stores it itself, and not if the store fails', async () => {
  pauses.areShort = true;
  const { signed } = expiringStore();
  const refused = sessionEnded();
  expect(await inProcess(signed, () => Promise.resolve(refused))()).toBe(refused);
  let reads = 0;
  const failing: SignedStore = {
    ...signed,
    get: () => Promise.resolve((reads += 1) <= 2 ? { kind: 'miss' } : { kind: 'unavailable' }),
  };
  expect(pauses.asked).toEqual([]);
  expect((await inProcess(failing, () => Promise.resolve(refused))()).kind).toBe('unavailable');
  expect(pauses.asked).toEqual([250]);
});

test('a refusal is not conclusive if the store failed after the lock was acquired: another process may have new tokens', async () => {
  pauses.areShort = true;
  const { signed } = expiringStore();
  let reads = 0;
  const failing: SignedStore = {
    ...signed,
    get: (kind, id) => {
      reads += 1;
      return reads === 2 ? Promise.resolve({ kind: 'unavailable' }) : signed.get(kind, id);
    },
  };
  const result = await inProcess(failing, () => Promise.resolve(sessionEnded()))();
  expect(result).toMatchObject({ kind: 'unavailable', error: { code: 'upstream_unavailable' } });
  expect(await signed.get('refresh', sha256('rt_1'))).toEqual({ kind: 'miss' });
});

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
