import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { RedisStore } from 'connect-redis';
import { MemoryStore } from 'express-session';
import session from 'express-session';
import { Cluster, Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import createMemoryStore from 'memorystore';
import { createClient, createClientPool, createCluster } from 'redis';
import { createClient as createClient4 } from 'redis4';
import { createClient as createClient5 } from 'redis5';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { expressStore, type Store } from 'authkit-express';
import { redisStore } from 'authkit-express/redis';
import { createSignedStore as createSharedStore } from '../../src/stores/signed-store.js';
import { mapStore } from '../support/map-store.js';
import { freePort, hasRedis, startRedis, stop, type RedisServer } from '../support/redis.js';

const MINUTE = 60_000;

/** What a store has to do, whatever it is made of. */
async function keepsItsWord(store: Store): Promise<void> {
  expect((await store.get('a')) ?? undefined).toBeUndefined();
  await store.set('a', 'one', MINUTE);
  expect(await store.get('a')).toBe('one');
  expect(await store.add('a', 'two', MINUTE)).toBe(false);
  expect(await store.replace('a', 'two', 'three', MINUTE)).toBe(false);
  expect(await store.replace('a', 'one', 'three', MINUTE)).toBe(true);
  expect(await store.get('a')).toBe('three');
  expect(await store.replace('a', 'one', undefined, 0)).toBe(false);
  expect(await store.replace('a', 'three', undefined, 0)).toBe(true);
  expect((await store.get('a')) ?? undefined).toBeUndefined();
  expect(await store.replace('a', 'three', 'four', MINUTE)).toBe(false);
  expect(await store.add('a', 'ä ✓', MINUTE)).toBe(true);
  expect(await store.get('a')).toBe('ä ✓');
  await store.delete('a');
  expect((await store.get('a')) ?? undefined).toBeUndefined();
  // Long enough for a busy machine to add it, and no longer than it takes to be gone.
  expect(await store.add('brief', 'x', 400.5)).toBe(true);
  await store.set('short', 'x', 400.5);
  await gone(store, 'brief');
  await gone(store, 'short');
}

async function gone(store: Store, key: string): Promise<void> {
  while (((await store.get(key)) ?? undefined) !== undefined) await wait(50);
}

describe.runIf(hasRedis)('redisStore', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => stop(server));

  /** Of one major each: how a client is made, and how it ends. */
  const clients = {
    'node-redis 4': async () => {
      const client = createClient4({ url: server.url });
      await client.connect();
      return { client, close: () => client.disconnect() };
    },
    'node-redis 5': async () => {
      const client = createClient5({ url: server.url });
      await client.connect();
      return {
        client,
        close: async () => {
          client.destroy();
        },
      };
    },
    'node-redis 6': async () => {
      const client = createClient({ url: server.url });
      await client.connect();
      return {
        client,
        close: async () => {
          client.destroy();
        },
      };
    },
    'node-redis 6, a pool': async () => {
      const client = createClientPool({ url: server.url });
      await client.connect();
      return {
        client,
        close: async () => {
          client.destroy();
        },
      };
    },
    'ioredis 5': async () => {
      const client = new Redis5(server.port, { keyPrefix: 'app5:' });
      return {
        client,
        close: async () => {
          client.disconnect();
        },
      };
    },
    'ioredis 6': async () => {
      const client = new Redis(server.port, { keyPrefix: 'app6:' });
      return {
        client,
        close: async () => {
          client.disconnect();
        },
      };
    },
  };

  test.each(Object.entries(clients))('meets the contract of a store with %s', async (name, make) => {
    const { client, close } = await make();
    onTestFinished(() => close());
    await keepsItsWord(redisStore(client, { prefix: `${name}:` }));
    await redisStore(client).set('seen', 'x', MINUTE);
    const reader = new Redis(server.port);
    onTestFinished(() => {
      reader.disconnect();
    });
    const expected = { 'ioredis 5': 'app5:authkit:seen', 'ioredis 6': 'app6:authkit:seen' }[name];
    expect(await reader.get(expected ?? 'authkit:seen')).toBe('x');
  });

  test('meets the contract on a Redis cluster, with both clients', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'authkit-cluster-'));
    const [bus, announced] = [String(await freePort()), '127.0.0.1'];
    const cluster = ['--cluster-enabled', 'yes', '--cluster-port', bus, '--cluster-announce-ip', announced];
    const node = await startRedis(undefined, ...cluster, '--dir', folder);
    onTestFinished(async () => {
      await stop(node);
      rmSync(folder, { recursive: true });
    });
    const admin = new Redis(node.port);
    await admin.call('cluster', 'addslotsrange', '0', '16383');
    while (!String(await admin.call('cluster', 'info')).includes('cluster_state:ok')) await wait(20);
    admin.disconnect();
    const nodeRedis = createCluster({ rootNodes: [{ url: node.url }] });
    await nodeRedis.connect();
    onTestFinished(() => {
      nodeRedis.destroy();
    });
    await keepsItsWord(redisStore(nodeRedis));
    const ioredis = new Cluster([{ host: '127.0.0.1', port: node.port }], { keyPrefix: 'app:' });
    onTestFinished(() => {
      ioredis.disconnect();
    });
    await keepsItsWord(redisStore(ioredis));
  });

  test('connect-redis works through expressStore', async () => {
    const client = createClient({ url: server.url });
    await client.connect();
    onTestFinished(() => {
      client.destroy();
    });
    // It counts in seconds and rounds up: that what is over is not handed out is our own doing.
    await keepsItsWord(expressStore(new RedisStore({ client })));
  });
});

test('an object that is not a Redis client throws a TypeError', () => {
  for (const wrong of [undefined, null, {}, { get: () => undefined }, 'redis://localhost'] as never[]) {
    expect(() => redisStore(wrong)).toThrow(/node-redis or ioredis/);
    expect(() => expressStore(wrong)).toThrow(/express-session/);
  }
});

describe('expressStore', () => {
  test('meets the contract of a store with the MemoryStore of express-session', async () => {
    await keepsItsWord(expressStore(new MemoryStore()));
  });

  test('meets the contract of a store with memorystore', async () => {
    const Memory = createMemoryStore(session);
    await keepsItsWord(expressStore(new Memory({})));
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
    const moody: Store = {
      ...store,
      get: (key) => {
        asked += 1;
        return hangs ? new Promise(() => undefined) : store.get(key);
      },
    };
    const door = shared(moody);
    expect(await door.get('user', 'a')).toEqual({ kind: 'unavailable' });
    for (let i = 0; i < 100; i += 1) expect(await door.get('user', 'a')).toEqual({ kind: 'unavailable' });
    expect(asked).toBe(1);
    hangs = false;
    while ((await door.get('user', 'a')).kind === 'unavailable') await wait(50);
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
    const door = shared(broken);
    for (let i = 0; i < 6; i += 1) expect(await door.put('user', 'a', 'x', 1)).toBe('unavailable');
    expect(await door.get('user', 'a')).toEqual({ kind: 'miss' });
    expect(call).toBe(6);
  });
});
