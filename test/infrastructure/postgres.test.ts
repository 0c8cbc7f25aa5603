import { setTimeout as wait } from 'node:timers/promises';
import { describe, test } from 'vitest';
import { postgresSchema } from 'authkit-express/postgres';
import { startPostgres, type PostgresServer } from '../support/postgres.js';
import {
  expectNoSignOut,
  expectOneRefreshEach,
  expectRecovery,
  expectRevocationEverywhere,
} from './outcomes.js';
import { useInfrastructure } from './setup.js';

async function startWithSchema(): Promise<PostgresServer> {
  const server = await startPostgres();
  const pool = server.pool();
  await pool.query(postgresSchema());
  await pool.end();
  return server;
}

describe('PostgreSQL', () => {
  const at = useInfrastructure({
    startServers: startWithSchema,
    storeOf: ({ port }) => ({
      kind: 'postgres',
      connection: { host: '127.0.0.1', port, user: 'test', database: 'postgres' },
    }),
    clockOffsets: [-45_000, 0, 45_000],
  });

  test('each session is refreshed once, and a revocation reaches every process', async () => {
    await expectOneRefreshEach(at.app);
    await expectRevocationEverywhere(at.app);
  });

  test('a restart signs no user out, and afterwards each session is refreshed once', async () => {
    await expectNoSignOut(at.app, () => at.servers.restart());
    await expectRecovery(at.app);
  });

  test('a database that is down for five seconds signs no user out', async () => {
    await expectNoSignOut(at.app, () => at.servers.restart(() => wait(5000)));
    await expectRecovery(at.app);
  });
});
