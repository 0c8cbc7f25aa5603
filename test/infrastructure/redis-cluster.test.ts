import { afterAll, beforeAll, describe, test } from 'vitest';
import { startCluster, type ClusterApp } from '../support/cluster-app.js';
import { expectNoSignOut, expectOneRefreshEach, expectRevocationEverywhere, settled } from './outcomes.js';
import { startRedisCluster, type RedisCluster } from './redis-servers.js';

const cookiePassword = 'a-password-of-this-application-0123456789';

describe.each(['node-redis', 'ioredis'] as const)('a Redis Cluster of three masters, with %s', (client) => {
  let redis: RedisCluster;
  let app: ClusterApp;
  beforeAll(async () => {
    redis = await startRedisCluster();
    const store = { kind: 'redis-cluster', client, nodes: redis.nodes } as const;
    app = await startCluster({ store, users: 60, cookiePassword });
  });
  afterAll(async () => {
    await app.close();
    await redis.stop();
  });

  test('each session is refreshed once, and a revocation reaches every process', async () => {
    await expectOneRefreshEach(app);
    await expectRevocationEverywhere(app);
  });

  test('each session is refreshed once while 2000 slots move to another master', async () => {
    await expectOneRefreshEach(app, () => redis.reshard(2000));
    await expectRevocationEverywhere(app);
  });

  test('a killed master signs no user out, and afterwards each session is refreshed once', async () => {
    await expectNoSignOut(app, async () => {
      const killed = await redis.killMaster();
      await redis.revive(killed);
    });
    await settled();
    await expectOneRefreshEach(app);
    await expectRevocationEverywhere(app);
  });
});
