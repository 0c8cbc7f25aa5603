import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { postgresSchema } from 'authkit-express/postgres';
import { startCluster, type ClusterApp } from '../support/cluster-app.js';
import { startPostgres, type PostgresServer } from '../support/postgres.js';
import { expectNoSignOut, expectOneRefreshEach, expectRevocationEverywhere, settled } from './outcomes.js';

const cookiePassword = 'a-password-of-this-application-0123456789';

describe('PostgreSQL', () => {
  let server: PostgresServer;
  let app: ClusterApp;
  beforeAll(async () => {
    server = await startPostgres();
    const pool = server.pool();
    await pool.query(postgresSchema());
    await pool.end();
    const connection = { host: '127.0.0.1', port: server.port, user: 'test', database: 'postgres' };
    const clockOffsets = [-45_000, 0, 45_000];
    app = await startCluster({
      store: { kind: 'postgres', connection },
      users: 60,
      cookiePassword,
      clockOffsets,
    });
  });
  afterAll(async () => {
    await app.close();
    await server.stop();
  });

  test('each session is refreshed once, and a revocation reaches every process', async () => {
    await expectOneRefreshEach(app);
    await expectRevocationEverywhere(app);
  });

  test('a restart signs no user out, and afterwards each session is refreshed once', async () => {
    await expectNoSignOut(app, () => server.restart());
    await settled();
    await expectOneRefreshEach(app);
    await expectRevocationEverywhere(app);
  });

  test('a database that is down for five seconds signs no user out', async () => {
    await expectNoSignOut(app, () => server.restart(() => wait(5000)));
    await settled();
    await expectOneRefreshEach(app);
  });
});
