import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createRevocation, type Revocation } from '../../src/session/revocation.js';
import type { SessionIdentity } from '../../src/session/sealed-session.js';
import type { Store } from '../../src/stores/index.js';
import { createSignedStore, type SignedStore } from '../../src/stores/signed-store.js';
import { mapStore } from '../support/map-store.js';

/** Signs in to a session that may have ended before. */
async function reopen(revocation: Revocation, identity: SessionIdentity): Promise<boolean> {
  return revocation.reopenSession(identity, await revocation.endOf(identity));
}

const SECOND = 1_700_000_000;
const NOW = SECOND * 1000;
const DAY = 86_400_000;

const identity = (
  sessionId: string | undefined,
  userId = 'user_1',
  issuedAt = SECOND,
  tokenId?: string,
): SessionIdentity => ({ sessionId, userId, issuedAt, tokenId });

const sign = (store: Store): SignedStore =>
  createSignedStore({
    store,
    clientId: 'client_1',
    passwords: ['a-password-for-tests-and-for-nothing-else'],
    timeout: 1000,
  });

const revocationWith = (store?: SignedStore, now = () => NOW): Revocation =>
  createRevocation({ clientId: 'client_1', store, now });

/** A signed store that counts its reads and remembers the lifetimes of what is written. */
function countingStore(map = new Map<string, string>()) {
  const plain = mapStore(map);
  const reads: string[] = [];
  const lifetimes: number[] = [];
  const store: Store = {
    ...plain,
    get: (key) => {
      reads.push(key.split(':', 1)[0]!);
      return plain.get(key);
    },
    set: (key, value, ttl) => {
      lifetimes.push(ttl);
      return plain.set(key, value, ttl);
    },
    add: (key, value, ttl) => {
      lifetimes.push(ttl);
      return plain.add(key, value, ttl);
    },
    replace: (key, expected, value, ttl) => {
      lifetimes.push(ttl);
      return plain.replace(key, expected, value, ttl);
    },
  };
  return { store: sign(store), reads, lifetimes, map };
}

afterEach(() => {
  vi.useRealTimers();
});

/** What is published while `run` runs. */
async function published(run: () => Promise<unknown>): Promise<unknown[]> {
  const messages: unknown[] = [];
  const hear = (message: unknown) => messages.push(message);
  subscribe('authkit:revoked', hear);
  await run();
  unsubscribe('authkit:revoked', hear);
  return messages;
}

describe('without a store', () => {
  test('an ended session is revoked, and other sessions of the user are not', async () => {
    const revocation = revocationWith();
    expect(await revocation.endSession('session_1')).toBe(true);
    expect(await revocation.status(identity('session_1'))).toBe('revoked');
    expect(revocation.statusNow(identity('session_1'))).toBe('revoked');
    expect(revocation.isEndedHere(identity('session_1'))).toBe(true);
    expect(await revocation.status(identity('session_2'))).toBe('active');
    expect(revocation.statusNow(identity('session_2'))).toBe('active');
    expect(revocation.isEndedHere(identity('session_2'))).toBe(false);
    expect(await revocation.status(identity(undefined))).toBe('active');
  });

  test('a later time ends more sessions of a user, an earlier one does not end fewer', async () => {
    const revocation = revocationWith();
    for (const before of [NOW + 5000, NOW + 10_000, NOW + 2000])
      expect(await revocation.endUser('user_1', before)).toBe(true);
    expect(await revocation.status(identity('s', 'user_1', SECOND + 9))).toBe('revoked');
    expect(await revocation.status(identity(undefined, 'user_1', SECOND + 9))).toBe('revoked');
    expect(await revocation.status(identity('s', 'user_1', SECOND + 10))).toBe('active');
    expect(await revocation.status(identity('s', 'user_2', SECOND))).toBe('active');
  });

  test('a changed user is refreshed until the token was issued after the last change', async () => {
    const revocation = revocationWith();
    for (const at of [NOW + 5000, NOW + 10_000, NOW + 3000]) await revocation.changeUser('user_1', at);
    expect(await revocation.status(identity('s', 'user_1', SECOND + 9))).toBe('changed');
    expect(revocation.isEndedHere(identity('s', 'user_1', SECOND + 9))).toBe(false);
    expect(await revocation.status(identity('s', 'user_1', SECOND + 10))).toBe('active');
  });

  test('a session that was not ended stays as it is after a new sign-in', async () => {
    const revocation = revocationWith();
    for (const sessionId of ['session_1', undefined])
      expect(await reopen(revocation, identity(sessionId, 'user_1', SECOND, 'new'))).toBe(true);
    expect(await revocation.status(identity('session_1', 'user_1', SECOND - 1, 'old'))).toBe('active');
  });

  test('a new sign-in without a token ID ends only the tokens of earlier seconds', async () => {
    const revocation = revocationWith();
    await revocation.endSession('session_1');
    await reopen(revocation, identity('session_1'));
    expect(await revocation.status(identity('session_1'))).toBe('active');
    expect(await revocation.status(identity('session_1', 'user_1', SECOND, 'other'))).toBe('active');
    expect(await revocation.status(identity('session_1', 'user_1', SECOND - 1))).toBe('revoked');
  });

  test('a changed user is forgotten after a day', async () => {
    let now = NOW;
    const revocation = revocationWith(undefined, () => now);
    await revocation.endUser('user_1', NOW);
    await revocation.changeUser('user_2', NOW);
    now += DAY;
    expect(await revocation.status(identity('s', 'user_1', SECOND - 1))).toBe('revoked');
    expect(await revocation.status(identity('s', 'user_2', SECOND - 1))).toBe('changed');
    now += 1;
    expect(await revocation.status(identity('s', 'user_1', SECOND - 1))).toBe('active');
    expect(await revocation.status(identity('s', 'user_2', SECOND - 1))).toBe('active');
  });

  test('each end is published, and a change is not', async () => {
    const revocation = revocationWith();
    const messages = await published(async () => {
      await revocation.endSession('session_1');
      await revocation.endUser('user_1', NOW);
      await revocation.changeUser('user_1', NOW);
    });
    const shared = { clientId: 'client_1', isShared: true };
    expect(messages).toEqual([
      { ...shared, sessionId: 'session_1', userId: undefined },
      { ...shared, sessionId: undefined, userId: 'user_1' },
    ]);
  });
});

describe('with a store', () => {
  test('it is asked about a session and its user once in half a second, and not while an answer is pending', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { store, reads } = countingStore();
    const revocation = revocationWith(store);
    const one = identity('session_1');
    expect(revocation.statusNow(one)).toBeUndefined();
    expect(revocation.statusNow(one)).toBeUndefined();
    expect(await revocation.status(one)).toBe('active');
    expect(reads).toEqual(['ended', 'user']);
    vi.advanceTimersByTime(499);
    expect(revocation.statusNow(one)).toBe('active');
    expect(await revocation.status(one)).toBe('active');
    expect(reads).toHaveLength(2);
    expect(await revocation.status(identity('session_2'))).toBe('active');
    expect(await revocation.status(identity('session_1', 'user_2'))).toBe('active');
    expect(reads).toHaveLength(6);
    vi.advanceTimersByTime(1);
    expect(revocation.statusNow(one)).toBeUndefined();
    await revocation.status(one);
    expect(reads).toHaveLength(8);
  });

  test('it is asked only about the user of a session without an ID', async () => {
    const { store, reads } = countingStore();
    const revocation = revocationWith(store);
    expect(await revocation.status(identity(undefined))).toBe('active');
    expect(reads).toEqual(['user']);
  });

  test('other processes learn of ended sessions, ended users and changed users', async () => {
    const { store, lifetimes } = countingStore();
    const one = revocationWith(store);
    expect(await one.endSession('session_1')).toBe(true);
    expect(await one.endUser('user_1', NOW)).toBe(true);
    expect(await one.changeUser('user_2', NOW)).toBe(true);
    expect(lifetimes).toEqual([DAY, DAY, DAY]);
    const two = revocationWith(store);
    expect(two.isEndedHere(identity('session_1', 'user_3'))).toBe(false);
    expect(await two.status(identity('session_1', 'user_3'))).toBe('revoked');
    expect(two.isEndedHere(identity('session_1', 'user_3'))).toBe(true);
    expect(await two.status(identity('s', 'user_1', SECOND - 1))).toBe('revoked');
    expect(await two.status(identity('s', 'user_2', SECOND - 1))).toBe('changed');
    expect(await two.status(identity('s', 'user_3', SECOND - 1))).toBe('active');
  });

  test('other processes understand a time that is not a whole number of milliseconds', async () => {
    const { store } = countingStore();
    await revocationWith(store).endUser('user_1', NOW + 0.25);
    await revocationWith(store).changeUser('user_2', NOW + 0.75);
    const other = revocationWith(store);
    expect(await other.status(identity('s', 'user_1', SECOND - 1))).toBe('revoked');
    expect(await other.status(identity('s', 'user_2', SECOND - 1))).toBe('changed');
  });

  test('a mark of a user is kept for a day when it is added to another one, and both hold', async () => {
    const { store, lifetimes } = countingStore();
    await revocationWith(store).endUser('user_1', NOW - 5000);
    await revocationWith(store).changeUser('user_1', NOW - 1000);
    await revocationWith(store).endUser('user_1', NOW - 9000);
    expect(lifetimes).toEqual([DAY, DAY, DAY]);
    const other = revocationWith(store);
    expect(await other.status(identity('s', 'user_1', SECOND - 6))).toBe('revoked');
    expect(await other.status(identity('s', 'user_1', SECOND - 5))).toBe('changed');
    expect(await other.status(identity('s', 'user_1', SECOND - 1))).toBe('active');
  });

  test('a process learns of a new sign-in by another process before it signs one in itself', async () => {
    const { store } = countingStore();
    const [one, two] = [revocationWith(store), revocationWith(store)];
    await one.endSession('session_1');
    // The second process has not been asked about the session before.
    expect(await reopen(two, identity('session_1', 'user_1', SECOND, 'new'))).toBe(true);
    const third = revocationWith(store);
    expect(await third.status(identity('session_1', 'user_1', SECOND, 'new'))).toBe('active');
    expect(await third.status(identity('session_1', 'user_1', SECOND, 'old'))).toBe('revoked');
    expect(await third.status(identity('session_1', 'user_1', SECOND - 1, 'old'))).toBe('revoked');
  });

  test('T65 a sign-in does not replace the end of its session by another process', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { store } = countingStore();
    let clock = NOW;
    const [one, two] = [0, 1].map(() => revocationWith(store, () => clock)) as [Revocation, Revocation];
    const signedIn = identity('session_1', 'user_1', SECOND, 'new');
    await one.endSession('session_1');
    const end = await two.endOf(signedIn);
    expect(end).toBeDefined();
    clock += 1;
    // The second process has just read the store, so it does not know that the session is ended again.
    await one.endSession('session_1');
    expect(await two.reopenSession(signedIn, end)).toBe(true);
    for (const wait of [0, 500]) {
      vi.advanceTimersByTime(wait);
      for (const process of [one, two]) expect(await process.status(signedIn)).toBe('revoked');
    }
    // The next sign-in is accepted.
    expect(await reopen(two, signedIn)).toBe(true);
    vi.advanceTimersByTime(500);
    for (const process of [one, two]) expect(await process.status(signedIn)).toBe('active');
  });

  test('T65 a sign-in does not replace the end of its session by another process at the same moment', async () => {
    const { store } = countingStore();
    let clock = NOW;
    const one = revocationWith(store, () => (clock += 1));
    const two = revocationWith({
      ...store,
      replace: async (...args) => {
        await one.endSession('session_1');
        return store.replace(...args);
      },
    });
    const signedIn = identity('session_1', 'user_1', SECOND, 'new');
    await one.endSession('session_1');
    expect(await reopen(two, signedIn)).toBe(true);
    expect(await two.status(signedIn)).toBe('revoked');
    expect(await revocationWith(store).status(signedIn)).toBe('revoked');
  });

  test('T65 a sign-in does not replace an end of its session by this process while the store is read, though the entry is lost', async () => {
    const { store, map } = countingStore();
    const signedIn = identity('session_1', 'user_1', SECOND, 'new');
    let ending: Promise<boolean> | undefined;
    let clock = NOW;
    const revocation: Revocation = revocationWith(
      {
        ...store,
        get: async (...args) => {
          const found = await store.get(...args);
          if (isReopening && args[0] === 'ended') ending ??= revocation.endSession('session_1');
          return found;
        },
      },
      () => (clock += 1),
    );
    let isReopening = false;
    await revocation.endSession('session_1');
    const end = await revocation.endOf(signedIn);
    map.clear();
    isReopening = true;
    expect(await revocation.reopenSession(signedIn, end)).toBe(true);
    expect(await ending).toBe(true);
    expect(await revocation.status(signedIn)).toBe('revoked');
    expect(await revocationWith(store).status(signedIn)).toBe('revoked');
  });

  test('an entry says which tokens of a session are ended', async () => {
    const { store } = countingStore();
    const revocation = revocationWith(store);
    const entry = async () => ((await store.get('ended', 'session_1')) as { text: string }).text;
    await revocation.endSession('session_1');
    expect(await entry()).toBe(`ended at ${NOW}`);
    await reopen(revocation, identity('session_1', 'user_1', SECOND, 'token_1'));
    expect(await entry()).toBe(`ended before ${SECOND} except token_1`);
    await revocation.endSession('session_1');
    await reopen(revocation, identity('session_1'));
    expect(await entry()).toBe(`ended before ${SECOND}`);
  });

  test.each([
    ['ended', 'revoked', 'revoked'],
    [`ended at ${NOW}`, 'revoked', 'revoked'],
    [`ended before ${SECOND}`, 'revoked', 'active'],
    [`ended before ${SECOND} except token_1`, 'revoked', 'active'],
    [`ended before ${SECOND} except a token of two words`, 'revoked', 'revoked'],
    // Text of another version.
    ['', 'revoked', 'revoked'],
    [`ended before ${SECOND} or later`, 'revoked', 'revoked'],
    [`not ended before ${SECOND}`, 'revoked', 'revoked'],
    ['ended before ', 'revoked', 'revoked'],
    [`ended before ${SECOND}${SECOND}`, 'revoked', 'revoked'],
  ])('the entry %j of a session is read', async (text, earlier, same) => {
    const { store } = countingStore();
    await store.put('ended', 'session_1', text, DAY);
    const statusAt = (issuedAt: number) =>
      revocationWith(store).status(identity('session_1', 'user_1', issuedAt, 'token_1'));
    expect(await statusAt(SECOND - 1)).toBe(earlier);
    expect(await statusAt(SECOND)).toBe(same);
  });

  test.each([
    [`${NOW} 0`, 'revoked'],
    [`0 ${NOW}`, 'changed'],
    // A later version may add to it.
    [`${NOW} 0 more`, 'revoked'],
    [`0 ${NOW} more`, 'changed'],
    // These are not marks.
    [` ${NOW} 0`, 'active'],
    [`x${NOW} 0`, 'active'],
    [`${NOW}`, 'active'],
    [`${NOW} 0x`, 'active'],
    [`0 ${NOW}x`, 'active'],
    [`${NOW}00000 0`, 'active'],
    [`0 ${NOW}00000`, 'active'],
  ])('the entry %j of a user is read', async (text, status) => {
    const { store } = countingStore();
    await store.put('user', 'user_1', text, DAY);
    expect(await revocationWith(store).status(identity('s', 'user_1', SECOND - 1))).toBe(status);
  });

  test('an entry of a user that cannot be read is replaced', async () => {
    const { store, map, lifetimes } = countingStore();
    await store.add('user', 'user_1', '0 0', DAY);
    for (const key of map.keys()) map.set(key, 'not signed');
    expect(await revocationWith(store).endUser('user_1', NOW)).toBe(true);
    expect(lifetimes).toEqual([DAY, DAY]);
    expect(await revocationWith(store).status(identity('s', 'user_1', SECOND - 1))).toBe('revoked');
  });

  test('an answer that is older than what the process has written since does not undo it', async () => {
    const { store } = countingStore();
    await revocationWith(store).endSession('session_1');
    let answer: () => void = () => undefined;
    const waits = new Promise<void>((resolve) => (answer = resolve));
    const slow: SignedStore = {
      ...store,
      get: async (kind, id) => {
        const found = await store.get(kind, id);
        if (kind === 'ended') await waits;
        return found;
      },
    };
    const revocation = revocationWith(slow);
    const asked = revocation.status(identity('session_1', 'user_1', SECOND, 'new'));
    const reopens = reopen(revocation, identity('session_1', 'user_1', SECOND, 'new'));
    answer();
    await Promise.all([asked, reopens]);
    expect(await revocation.status(identity('session_1', 'user_1', SECOND, 'new'))).toBe('active');
  });

  test('an older answer does not undo that a session was ended meanwhile', async () => {
    const { store } = countingStore();
    await store.put('ended', 'session_1', `ended before ${SECOND - 10}`, DAY);
    let answer: () => void = () => undefined;
    const waits = new Promise<void>((resolve) => (answer = resolve));
    const revocation = revocationWith({
      ...store,
      get: async (kind, id) => {
        const found = await store.get(kind, id);
        await waits;
        return found;
      },
    });
    const asked = revocation.status(identity('session_1'));
    await revocation.endSession('session_1');
    answer();
    expect(await asked).toBe('revoked');
  });

  test('a session that could not be written as ended stays ended here, whatever the store says', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { store } = countingStore();
    await store.put('ended', 'session_1', `ended before ${SECOND - 10}`, DAY);
    let isDown = true;
    const revocation = revocationWith({
      ...store,
      put: async (...args) => (isDown ? 'unavailable' : store.put(...args)),
    });
    const messages = await published(async () => {
      expect(await revocation.endSession('session_1')).toBe(false);
    });
    expect(messages).toEqual([
      { clientId: 'client_1', sessionId: 'session_1', userId: undefined, isShared: false },
    ]);
    expect(await revocation.status(identity('session_1'))).toBe('revoked');
    // As soon as it could be written, the store is believed again.
    isDown = false;
    expect(await revocation.endSession('session_1')).toBe(true);
    await store.put('ended', 'session_1', `ended before ${SECOND - 10}`, DAY);
    vi.advanceTimersByTime(500);
    expect(await revocation.status(identity('session_1'))).toBe('active');
  });

  test('a user is ended here although the store is unavailable, and the caller is told', async () => {
    const down = { kind: 'unavailable' } as const;
    const failOnce = (answer: typeof down) => {
      let calls = 0;
      return () => {
        calls += 1;
        if (calls > 1) throw new Error('called again');
        return Promise.resolve(answer);
      };
    };
    const { store } = countingStore();
    await store.add('user', 'user_known', '0 0', DAY);
    const failing: Record<string, SignedStore> = {
      reading: { ...store, get: async () => down, put: async () => 'ok' },
      adding: { ...store, add: failOnce(down) },
      replacing: { ...store, replace: failOnce(down) },
      overwriting: { ...store, get: async () => ({ kind: 'unreadable' }), put: async () => 'unavailable' },
    };
    for (const [name, one] of Object.entries(failing)) {
      const userId = name === 'replacing' ? 'user_known' : 'user_1';
      const revocation = revocationWith(one);
      const messages = await published(async () => {
        expect(await revocation.endUser(userId, NOW), name).toBe(false);
      });
      expect(messages, name).toEqual([
        { clientId: 'client_1', sessionId: undefined, userId, isShared: false },
      ]);
      expect(revocation.isEndedHere(identity('s', userId, SECOND - 1)), name).toBe(true);
    }
  });

  test('five attempts are made to write the mark of a user that other processes write too', async () => {
    const { store } = countingStore();
    for (const [failures, isWritten] of [
      [4, true],
      [5, false],
    ] as const) {
      let attempts = 0;
      const busy: SignedStore = {
        ...store,
        add: async (...args) => ((attempts += 1) <= failures ? { kind: 'taken' } : store.add(...args)),
      };
      expect(await revocationWith(busy).changeUser(`user_${failures}`, NOW)).toBe(isWritten);
      expect(attempts).toBe(5);
    }
  });

  test('a process that forgets an ended session finds it in the store, so there is no warning', async () => {
    const { store } = countingStore();
    const warnings: unknown[] = [];
    const heard = (warning: Error) => warnings.push(warning);
    process.on('warning', heard);
    const revocation = revocationWith({ ...store, put: () => Promise.resolve('ok') });
    for (let count = 0; count <= 100_000; count += 1) await revocation.endSession(`session_${count}`);
    expect(revocation.isEndedHere(identity('session_0'))).toBe(false);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', heard);
    expect(warnings).toEqual([]);
  });
});
