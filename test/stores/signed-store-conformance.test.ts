import { describe, expect, test } from 'vitest';
import type { Store } from 'authkit-express';
import { createSignedStore } from '../../src/stores/signed-store.js';
import { mapStore } from '../support/map-store.js';
import { messagesOn } from '../support/events.js';

const signed = (store: Store) =>
  createSignedStore({
    store,
    clientId: 'client_1',
    passwords: ['a-password-for-tests-and-for-nothing-else'],
    timeout: 50,
  });

describe('only true counts as true', () => {
  test.each([1, 'OK', 'true', {}, [], Symbol('yes'), 0, null, undefined, false, NaN])(
    '%s is false',
    async (answer) => {
      const store = signed({
        ...mapStore(),
        add: () => Promise.resolve(answer as boolean),
        replace: () => Promise.resolve(answer as boolean),
      });
      expect(await store.add('lock', 'a', 'x', 1000)).toEqual({ kind: 'taken' });
      const entry = { kind: 'hit', text: 'x', raw: 'x' } as const;
      expect(await store.replace('lock', 'a', entry, 'y', 1000)).toEqual({ kind: 'changed' });
    },
  );

  test('true is true', async () => {
    const store = signed(mapStore());
    const entry = await store.add('lock', 'a', 'x', 1000);
    expect(entry).toMatchObject({ kind: 'hit', text: 'x' });
    if (entry.kind === 'hit')
      expect(await store.replace('lock', 'a', entry, 'y', 1000)).toMatchObject({ kind: 'hit' });
  });
});

describe('authkit:store', () => {
  test('is published once when an operation begins to fail, and once when it works again', async () => {
    const events = messagesOn('authkit:store');
    let isDown = false;
    const store = mapStore();
    const client = signed({
      ...store,
      get: (key) =>
        isDown
          ? Promise.reject(Object.assign(new Error('secret'), { code: 'ECONNREFUSED' }))
          : store.get(key),
    });
    await client.get('user', 'a');
    expect(events).toEqual([]);
    isDown = true;
    for (let times = 0; times < 5; times += 1) await client.get('user', 'a');
    await client.put('user', 'a', 'x', 1000);
    isDown = false;
    for (let times = 0; times < 5; times += 1) await client.get('user', 'a');
    expect(events).toEqual([
      {
        clientId: 'client_1',
        operation: 'get',
        outcome: 'error',
        code: 'ECONNREFUSED',
        duration: expect.any(Number) as number,
      },
      {
        clientId: 'client_1',
        operation: 'get',
        outcome: 'ok',
        code: undefined,
        duration: expect.any(Number) as number,
      },
    ]);
    expect(JSON.stringify(events)).not.toContain('secret');
  });

  test('says that a store does not reply', async () => {
    const events = messagesOn('authkit:store');
    const client = signed({ ...mapStore(), set: () => new Promise(() => undefined) });
    await client.put('user', 'a', 'x', 1000);
    await client.put('user', 'a', 'x', 1000);
    expect(events).toEqual([
      expect.objectContaining({ operation: 'set', outcome: 'timeout', code: undefined }),
    ]);
  });

  test.each([
    ['an error without a code', () => Promise.reject(new TypeError('closed')), 'TypeError'],
    [
      'a code with other characters',
      () => Promise.reject(Object.assign(new Error('x'), { code: 'a\nb' })),
      'Error',
    ],
    [
      'an exception',
      () => {
        throw new RangeError('x');
      },
      'RangeError',
    ],
  ])('%s', async (_, get, code) => {
    const events = messagesOn('authkit:store');
    await signed({ ...mapStore(), get: get }).get('user', 'a');
    expect(events).toEqual([expect.objectContaining({ outcome: 'error', code })]);
  });
});
