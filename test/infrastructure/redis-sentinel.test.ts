import { afterAll, beforeAll, describe, test } from 'vitest';
import { startCluster, type ClusterApp } from '../support/cluster-app.js';
import { expectNoSignOut, expectOneRefreshEach, expectRevocationEverywhere, settled } from './outcomes.js';
import { startRedisSentinels, type RedisSentinels } from './redis-servers.js';

const cookiePassword = 'a-password-of-this-application-0123456789';

describe.each(['node-redis', 'ioredis'] as const)('Redis Sentinel with two replicas, with %s', (client) => {
  let redis: RedisSentinels;
  let app: ClusterApp;
  beforeAll(async () => {
    redis = await startRedisSentinels();
    const { name, sentinels } = redis;
    const store = { kind: 'redis-sentinel', client, name, sentinels } as const;
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

  test('a failover signs no user out, and afterwards each session is refreshed once', async () => {
    await expectNoSignOut(app, async () => {
      const killed = await redis.failOver();
      await redis.revive(killed);
    });
    await settled();
    await expectOneRefreshEach(app);
    await expectRevocationEverywhere(app);
  });
});
