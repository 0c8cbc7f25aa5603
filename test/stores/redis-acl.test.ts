import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import { createClient, createCluster } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { redisStore } from 'authkit-express/redis';
import { testStore } from 'authkit-express/testing';
import { ROOT } from '../support/documentation.js';
import { hasRedis, startRedis, stop, type RedisServer } from '../support/redis.js';
import { freePort } from '../support/free-port.js';

/** The ACL line from the documentation, without `ACL SETUSER`, the name and the password. */
const LINE = /^ *ACL SETUSER authkit on >PASSWORD (.+)$/m.exec(
  readFileSync(join(ROOT, 'docs/cluster.md'), 'utf8'),
)?.[1];

const USER = { username: 'authkit', password: 'a-password' };

describe.runIf(hasRedis)('a Redis user with the permissions that docs/cluster.md lists', () => {
  let server: RedisServer;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'authkit-acl-'));
    const cluster = ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())];
    const address = ['--cluster-announce-ip', '127.0.0.1', '--dir', folder];
    server = await startRedis(undefined, ...cluster, ...address);
    const admin = new Redis(server.port);
    await admin.call('cluster', 'addslotsrange', '0', '16383');
    while (!String(await admin.call('cluster', 'info')).includes('cluster_state:ok')) await wait(20);
    await admin.call('acl', 'setuser', USER.username, 'on', `>${USER.password}`, ...(LINE ?? '').split(' '));
    admin.disconnect();
  });
  afterAll(async () => {
    await stop(server);
    rmSync(folder, { recursive: true });
  });

  const clients = {
    'node-redis': async () => {
      const client = createClient({ url: server.url, ...USER });
      await client.connect();
      return { client, close: () => client.close() };
    },
    'node-redis, a cluster': async () => {
      const client = createCluster({ rootNodes: [{ url: server.url }], defaults: USER });
      await client.connect();
      return { client, close: () => client.close() };
    },
    ioredis: async () => {
      const client = new Redis({ port: server.port, ...USER });
      return { client, close: () => client.quit() };
    },
    'ioredis, a cluster': async () => {
      const nodes = [{ host: '127.0.0.1', port: server.port }];
      const client = new Cluster(nodes, { redisOptions: USER });
      return { client, close: () => client.quit() };
    },
  };

  test.each(Object.entries(clients))('is enough for a store with %s', async (_name, connect) => {
    const { client, close } = await connect();
    await testStore(redisStore(client));
    await close();
  });

  test('cannot read other keys or run other commands', async () => {
    const client = new Redis({ port: server.port, ...USER });
    await expect(client.get('session:1')).rejects.toThrow(/NOPERM/);
    await expect(client.keys('*')).rejects.toThrow(/NOPERM/);
    await expect(client.flushall()).rejects.toThrow(/NOPERM/);
    await expect(client.config('GET', '*')).rejects.toThrow(/NOPERM/);
    await client.quit();
  });
});
