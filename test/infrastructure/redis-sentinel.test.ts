import { describe, test } from 'vitest';
import {
  expectNoSignOut,
  expectOneRefreshEach,
  expectRecovery,
  expectRevocationEverywhere,
} from './outcomes.js';
import { startRedisSentinels } from './redis-servers.js';
import { REDIS_CLIENTS, useInfrastructure } from './setup.js';

describe.each(REDIS_CLIENTS)('Redis Sentinel with two replicas, with %s', (client) => {
  const at = useInfrastructure({
    startServers: startRedisSentinels,
    storeOf: ({ name, sentinels }) => ({ kind: 'redis-sentinel', client, name, sentinels }),
  });

  test('each session is refreshed once, and a revocation reaches every process', async () => {
    await expectOneRefreshEach(at.app);
    await expectRevocationEverywhere(at.app);
  });

  test('a failover signs no user out, and afterwards each session is refreshed once', async () => {
    await expectNoSignOut(at.app, async () => {
      const killed = await at.servers.failOver();
      await at.servers.revive(killed);
    });
    await expectRecovery(at.app);
  });
});
