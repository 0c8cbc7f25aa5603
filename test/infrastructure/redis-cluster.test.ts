import { describe, test } from 'vitest';
import {
  expectNoSignOut,
  expectOneRefreshEach,
  expectRecovery,
  expectRevocationEverywhere,
} from './outcomes.js';
import { startRedisCluster } from './redis-servers.js';
import { REDIS_CLIENTS, useInfrastructure } from './setup.js';

describe.each(REDIS_CLIENTS)('a Redis Cluster of three masters, with %s', (client) => {
  const at = useInfrastructure({
    startServers: startRedisCluster,
    storeOf: ({ nodes }) => ({ kind: 'redis-cluster', client, nodes }),
  });

  test('each session is refreshed once, and a revocation reaches every process', async () => {
    await expectOneRefreshEach(at.app);
    await expectRevocationEverywhere(at.app);
  });

  test('each session is refreshed once while 2000 slots move to another master', async () => {
    await expectOneRefreshEach(at.app, () => at.servers.reshard(2000));
    await expectRevocationEverywhere(at.app);
  });

  test('a killed master signs no user out, and afterwards each session is refreshed once', async () => {
    await expectNoSignOut(at.app, async () => {
      const killed = await at.servers.killMaster();
      await at.servers.revive(killed);
    });
    await expectRecovery(at.app);
  });
});
