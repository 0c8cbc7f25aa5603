import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { RedisStore } from 'connect-redis';
import { Cluster, Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { createClient, createClientPool, createCluster } from 'redis';
import { createClient as createClient4 } from 'redis4';
import { createClient as createClient5 } from 'redis5';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { expressStore } from 'authkit-express';
import { redisStore } from 'authkit-express/redis';
import { hasRedis, startRedis, stop, type RedisServer } from '../support/redis.js';
import { freePort } from '../support/free-port.js';
import { expectStoreContract } from '../support/store-contract.js';

const MINUTE = 60_000;

describe.runIf(hasRedis)('redisStore', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => stop(server));

  /** How to create and close a client of each major version. */
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
    await expectStoreContract(redisStore(client, { prefix: `${name}:` }));
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
    await expectStoreContract(redisStore(nodeRedis));
    const ioredis = new Cluster([{ host: '127.0.0.1', port: node.port }], { keyPrefix: 'app:' });
    onTestFinished(() => {
      ioredis.disconnect();
    });
    await expectStoreContract(redisStore(ioredis));
  });

  test('connect-redis works through expressStore', async () => {
    const client = createClient({ url: server.url });
    await client.connect();
    onTestFinished(() => {
      client.destroy();
    });
    // The store counts in seconds and rounds up, so the adapter drops expired entries itself.
    await expectStoreContract(expressStore(new RedisStore({ client })));
  });
});

test('an object that is not a Redis client throws a TypeError', () => {
  for (const wrong of [undefined, null, {}, { get: () => undefined }, 'redis://localhost'] as never[]) {
    expect(() => redisStore(wrong)).toThrow(/node-redis or ioredis/);
    expect(() => expressStore(wrong)).toThrow(/express-session/);
  }
});
