import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Store } from 'authkit-express';
import { createSignedStore as createSharedStore } from '../../src/stores/signed-store.js';
import { mapStore } from '../support/map-store.js';

describe('entries', () => {
  const passwords = ['a-password-for-tests-and-for-nothing-else'] as const;
  const shared = (store: Store, more: readonly string[] = []) =>
    createSharedStore({
      store,
      clientId: 'client_1',
      passwords: [...more, ...passwords] as unknown as [string],
      deadline: 50,
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
