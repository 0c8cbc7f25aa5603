import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Store } from 'authkit-express';
import { createSignedStore as createSharedStore, type SignedStore } from '../../src/stores/signed-store.js';
import { mapStore } from '../support/map-store.js';

describe('entries', () => {
  const passwords = ['a-password-for-tests-and-for-nothing-else'] as const;
  const shared = (store: Store, more: readonly string[] = []) =>
    createSharedStore({
      store,
      clientId: 'client_1',
      passwords: [...more, ...passwords] as unknown as [string],
      timeout: 50,
    });
  const mapped = () => {
    const map = new Map<string, string>();
    return { map, store: mapStore(map) };
  };

  test('have keys that reveal nothing, and can be read with the newer and the older password', async () => {
    const { map, store } = mapped();
    await shared(store).put('ended', 'session_1', 'x', 1);
    expect([...map.keys()].join()).not.toContain('session_1');
    const rotated = shared(store, ['another-password-for-tests-and-for-nothing']);
    expect(await rotated.get('ended', 'session_1')).toMatchObject({ kind: 'hit', text: 'x' });
    await rotated.put('ended', 'session_2', 'y', 1);
    expect(await shared(store).get('ended', 'session_2')).toEqual({ kind: 'unreadable' });
  });

  test('that were moved, altered or written without the password cannot be read', async () => {
    const { map, store } = mapped();
    await shared(store).put('session', 'mine', 'sealed', 1);
    await shared(store).put('session', 'theirs', 'other', 1);
    const [mine, theirs] = [...map.keys()] as [string, string];
    const good = map.get(mine)!;
    for (const wrong of [
      map.get(theirs)!,
      good.replace('1.', '2.'),
      `${good}x`,
      'rubbish',
      '',
      '1..',
      '[]',
      '1.%.x',
    ]) {
      map.set(mine, wrong);
      expect(await shared(store).get('session', 'mine'), wrong).toEqual({ kind: 'unreadable' });
    }
    for (const wrong of [7, {}, [], Buffer.from(good), () => good]) {
      map.set(mine, wrong as string);
      expect(await shared(store).get('session', 'mine')).toEqual({ kind: 'unreadable' });
    }
  });

  test('a store that hangs delays one call at a time, is not called meanwhile, and is used again when it responds', async () => {
    const { store } = mapped();
    let asked = 0;
    let hangs = true;
    const hanging: Store = {
      ...store,
      get: (key) => {
        asked += 1;
        return hangs ? new Promise(() => undefined) : store.get(key);
      },
    };
    const signed = shared(hanging);
    expect(await signed.get('user', 'a')).toEqual({ kind: 'unavailable' });
    for (let i = 0; i < 100; i += 1) expect(await signed.get('user', 'a')).toEqual({ kind: 'unavailable' });
    expect(asked).toBe(1);
    hangs = false;
    while ((await signed.get('user', 'a')).kind === 'unavailable') await wait(50);
    expect(asked).toBe(2);
  });

  describe('a store that replies again after it was silent', () => {
    beforeEach(() => {
      vi.useFakeTimers();
    });
    afterEach(() => {
      vi.useRealTimers();
    });

    /** A store that replies after `delay` milliseconds, and did not reply to a first call. */
    async function silentFor(pause: number) {
      const { store } = mapped();
      const state = { delay: Infinity, calls: 0 };
      const get: Store['get'] = async (key) => {
        state.calls += 1;
        await new Promise((resolve) => {
          if (state.delay !== Infinity) setTimeout(resolve, state.delay);
        });
        return store.get(key);
      };
      const signed = createSharedStore({
        store: { ...store, get },
        clientId: 'client_1',
        passwords,
        timeout: 1600,
      });
      const lost = signed.get('user', 'a');
      await vi.advanceTimersByTimeAsync(1601);
      expect(await lost).toEqual({ kind: 'unavailable' });
      await vi.advanceTimersByTimeAsync(pause);
      state.calls = 0;
      return { signed, state };
    }

    /** The replies to simultaneous calls, and how long each took, by a clock that the test advances. */
    async function callAtOnce(signed: SignedStore, count: number) {
      const startedAt = performance.now();
      const calls = Array.from({ length: count }, async (_, index) => {
        const { kind } = await signed.get('user', String(index));
        // A simulated `setImmediate` takes a millisecond.
        return `${kind} after ${Math.floor((performance.now() - startedAt) / 10) * 10}`;
      });
      await vi.advanceTimersByTimeAsync(2000);
      return Promise.all(calls);
    }

    test('is used by all of several simultaneous calls, not only by the one that tries it', async () => {
      const { signed, state } = await silentFor(1000);
      state.delay = 70;
      expect(await callAtOnce(signed, 4)).toEqual([
        'miss after 70',
        'miss after 140',
        'miss after 140',
        'miss after 140',
      ]);
      expect(state.calls).toBe(4);
    });

    test('delays calls by at most a quarter of the deadline if it is still silent', async () => {
      const { signed, state } = await silentFor(1000);
      const replies = callAtOnce(signed, 3);
      await vi.advanceTimersByTimeAsync(401);
      // The call that tries the store is known to be slow now.
      const late = callAtOnce(signed, 1);
      expect(await replies).toEqual([
        'unavailable after 1600',
        'unavailable after 400',
        'unavailable after 400',
      ]);
      expect(await late).toEqual(['unavailable after 0']);
      expect(state.calls).toBe(1);
    });
  });

  test('a store that throws or rejects is unavailable for that call only', async () => {
    const { store } = mapped();
    const wrongs: (() => Promise<never>)[] = [
      () => {
        throw new Error('sync');
      },
      () => Promise.reject(new Error('OOM command not allowed')),
      () => Promise.reject(new TypeError('not connected')),
    ];
    let call = 0;
    const broken: Store = { ...store, set: () => wrongs[call++ % 3]!() };
    const signed = shared(broken);
    for (let i = 0; i < 6; i += 1) expect(await signed.put('user', 'a', 'x', 1)).toBe('unavailable');
    expect(await signed.get('user', 'a')).toEqual({ kind: 'miss' });
    expect(call).toBe(6);
  });
});
