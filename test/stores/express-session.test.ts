import session, { MemoryStore } from 'express-session';
import createMemoryStore from 'memorystore';
import { describe, expect, test } from 'vitest';
import { expressStore } from 'authkit-express';
import { expectStoreContract } from '../support/store-contract.js';

const MINUTE = 60_000;

describe('expressStore', () => {
  test('meets the contract of a store with the MemoryStore of express-session', async () => {
    await expectStoreContract(expressStore(new MemoryStore()));
  });

  test('meets the contract of a store with memorystore', async () => {
    const Memory = createMemoryStore(session);
    await expectStoreContract(expressStore(new Memory({})));
  });

  test('only one of two simultaneous add() calls succeeds', async () => {
    const store = expressStore(new MemoryStore());
    const added = await Promise.all(['a', 'b', 'c'].map((value) => store.add('lock', value, MINUTE)));
    expect(added.filter(Boolean)).toHaveLength(1);
  });

  test.each([
    ['nothing', undefined],
    ['a string', 'text'],
    ['an array', [1, 2]],
    ['another session', { cookie: {}, user: 'ada' }],
    ['a value that is no text', { value: 7, until: Infinity }],
    ['a cycle', Object.assign([], { value: {}, until: 1 })],
  ])('an entry that is %s is ignored', async (_name, entry) => {
    const store = expressStore({
      get: (_id: string, done: (error: null, entry: unknown) => void) => {
        done(null, entry);
      },
      set: () => undefined,
      destroy: () => undefined,
    });
    expect(await store.get('a')).toBeUndefined();
  });
});
