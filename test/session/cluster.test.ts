import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { postgresSchema } from 'authkit-express/postgres';
import { account, endMember, type Answered } from '../support/cluster.js';
import {
  expectAllSignedIn,
  refreshesPerToken,
  startCluster,
  type ClusterApp,
} from '../support/cluster-app.js';
import type { StoreSettings } from '../support/cluster-store.js';
import { hasPostgres, startPostgres } from '../support/postgres.js';
import { hasRedis, startRedis, stop, type RedisServer } from '../support/redis.js';

const old = 'an-older-password-of-this-application';
const fresh = 'the-newer-password-of-this-application';

/** A store server that can be restarted, with or without its data. */
interface StoreServer {
  settings: StoreSettings;
  restart: () => Promise<unknown>;
  stop: () => Promise<unknown>;
}

let redis: RedisServer;

async function redisServer(): Promise<StoreServer> {
  redis = await startRedis();
  return {
    settings: { kind: 'redis', url: redis.url },
    restart: async () => {
      await stop(redis);
      redis = await startRedis(redis.port);
    },
    stop: () => stop(redis),
  };
}

async function postgresServer(): Promise<StoreServer> {
  const server = await startPostgres();
  const pool = server.pool();
  await pool.query(postgresSchema());
  await pool.end();
  const connection = { host: '127.0.0.1', port: server.port, user: 'test', database: 'postgres' };
  return { settings: { kind: 'postgres', connection }, restart: server.restart, stop: server.stop };
}

/** Real stores, each with three processes behind one address. */
const stores = [
  { name: 'Redis', isInstalled: hasRedis, start: redisServer, users: 300, times: 10 },
  { name: 'PostgreSQL', isInstalled: hasPostgres, start: postgresServer, users: 100, times: 6 },
];

for (const { name, isInstalled, start: startServer, users, times } of stores) {
  describe.runIf(isInstalled)(`three processes, whose clocks differ by 90 seconds, and ${name}`, () => {
    let server: StoreServer;
    let cluster: ClusterApp;

    beforeAll(async () => {
      server = await startServer();
      const { settings: store } = server;
      const clockOffsets = [-45_000, 0, 45_000];
      cluster = await startCluster({ store, users, cookiePassword: old, clockOffsets });
    });
    afterAll(async () => {
      await cluster.close();
      await server.stop();
    });

    test(`${users} users with ${times} simultaneous requests each: one refresh for each user without a replay window, and status 200 for all`, async () => {
      const answers = await cluster.request(await cluster.expired(users), times);
      expectAllSignedIn(answers);
      expect(answers).toHaveLength(users * times);
      expect(cluster.workos.callsTo('refresh')).toHaveLength(users);
    }, 120_000);

    test('a session.revoked event delivered to one process ends the session in all of them', async () => {
      const cookie = await cluster.workos.signIn({ user: 'user0@example.com' });
      expect(await cluster.statuses(cookie)).toEqual([200, 200, 200]);
      expect(await cluster.revoke(cookie)).toBe(200);
      await wait(600);
      expect(await cluster.statuses(cookie)).toEqual([401, 401, 401]);
    });

    test('restarting the store under load signs no user out, and it is used again afterwards', async () => {
      const { workos } = cluster;
      workos.replayWindow = 30;
      const before = await cluster.expired(50);
      let restarted: Promise<unknown> | undefined;
      const answers = await cluster.request(before, times, (count) => {
        if (count === 50) restarted = server.restart();
      });
      await restarted;
      expectAllSignedIn(answers);
      workos.replayWindow = 0;
      const revoked = await cluster.workos.signIn({ user: 'user0@example.com' });
      await expect.poll(() => cluster.revoke(revoked), { timeout: 20_000 }).toBe(200);
      await expect.poll(() => cluster.statuses(revoked)).toEqual([401, 401, 401]);
      const calls = workos.callsTo('refresh').length;
      expectAllSignedIn(await cluster.request(await cluster.expired(30), times));
      expect(Math.max(...refreshesPerToken(workos, calls).values())).toBe(1);
    }, 60_000);

    if (name !== 'Redis') return;

    test('killing one process under load signs no user out', async () => {
      const { members, workos } = cluster;
      workos.replayWindow = 30;
      const answers = await cluster.request(
        await cluster.expired(150),
        10,
        (count) => count === 200 && members[2]!.child.kill('SIGKILL'),
      );
      expectAllSignedIn(answers);
      await endMember(members[2]!);
      members[2] = await cluster.start();
    }, 60_000);

    test('stopping Redis under load and continuing it signs no user out', async () => {
      cluster.workos.replayWindow = 30;
      const asking = await cluster.expired(150);
      const answers = await cluster.request(asking, 10, (count) => {
        if (count === 200) redis.signal('SIGSTOP');
        if (count === 1200) redis.signal('SIGCONT');
      });
      redis.signal('SIGCONT');
      expectAllSignedIn(answers);
      expectAllSignedIn(await cluster.request(asking.slice(0, 20), 10));
    }, 60_000);

    test('rotating the password under load, one process at a time, causes no 401 and no 5xx', async () => {
      const { agent, members, port, workos } = cluster;
      workos.replayWindow = 30;
      // A clock that is ahead would find these short access tokens expired as soon as they are issued.
      await endMember(members[2]!);
      members[2] = await cluster.start();
      // Tokens are refreshed throughout, so every password is used to seal. Even a slow machine verifies them in time.
      workos.accessTokenLifetime = 10;
      let refreshed = 0;
      let isOver = false;
      const bad: Answered[] = [];
      let served = 0;
      const visitors = (await cluster.expired(40)).map(async ({ user, cookie }) => {
        let own = cookie;
        while (!isOver) {
          const answered = await account(port, agent, own);
          if (answered.status !== 200 || answered.email !== user) bad.push(answered);
          if (answered.cookie !== undefined) refreshed += 1;
          own = answered.cookie ?? own;
          served += 1;
          await wait(250);
        }
      });
      for (const passwords of [
        [old, fresh],
        [fresh, old],
      ]) {
        for (const index of [0, 1, 2]) {
          const [next, before] = [await cluster.start(passwords), members[index]!];
          members[index] = next;
          await before.retire();
        }
      }
      // Each user's session is refreshed more than once.
      await expect.poll(() => refreshed, { timeout: 30_000 }).toBeGreaterThan(40);
      isOver = true;
      await Promise.all(visitors);
      workos.accessTokenLifetime = 300;
      expect(bad).toEqual([]);
      expect(served).toBeGreaterThan(400);
    });
  });
}
