import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type pg from 'pg';
import { postgresSchema, postgresStore } from 'authkit-express/postgres';
import { testStore } from 'authkit-express/testing';
import { FETCH, send } from '../support/browser.js';
import { hasPostgres, startPostgres, type PostgresServer } from '../support/postgres.js';
import { createTestApp } from '../support/app.js';

const MINUTE = 60_000;

describe.runIf(hasPostgres)('postgresStore', () => {
  let server: PostgresServer;
  let pool: pg.Pool;
  beforeAll(async () => {
    server = await startPostgres();
    pool = server.pool();
    await pool.query(postgresSchema());
  });
  afterAll(async () => {
    await pool.end();
    await server.stop();
  });

  test('does what authkit() relies on, and rejects without a database', async () => {
    const closed = server.pool();
    await closed.end();
    await testStore(postgresStore(pool), { unavailable: postgresStore(closed) });
  });

  test('does so in a table of another name, whose SQL can run twice', async () => {
    await pool.query('CREATE SCHEMA IF NOT EXISTS app');
    for (let times = 0; times < 2; times += 1) await pool.query(postgresSchema('app.sessions'));
    await testStore(postgresStore(pool, { table: 'app.sessions' }));
    const { rows } = await pool.query('SELECT count(*)::int AS count FROM app.sessions');
    expect(rows[0]).toEqual({ count: 0 });
  });

  test('the clock of the process does not matter', async () => {
    const store = postgresStore(pool);
    for (const skew of [-86_400_000, 86_400_000]) {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + skew });
      onTestFinished(() => void vi.useRealTimers());
      expect(await store.add(`skew:${skew}`, 'one', MINUTE)).toBe(true);
      expect(await store.get(`skew:${skew}`)).toBe('one');
      vi.useRealTimers();
      expect(await store.add(`skew:${skew}`, 'two', MINUTE)).toBe(false);
    }
  });

  test('of concurrent calls on two pools, one adds and one replaces, also where an expired row is in the way', async () => {
    const other = server.pool();
    onTestFinished(() => other.end());
    const stores = [postgresStore(pool), postgresStore(other)];
    for (let round = 0; round < 20; round += 1) {
      const key = `race:${round}`;
      if (round % 2 === 0)
        await pool.query("INSERT INTO authkit_store VALUES ($1, 'old', now() - interval '1 second')", [key]);
      const added = await Promise.all([0, 1, 2, 3].map((n) => stores[n % 2]!.add(key, `v${n}`, MINUTE)));
      expect(added.filter(Boolean)).toHaveLength(1);
      const winner = `v${added.indexOf(true)}`;
      const replaced = await Promise.all(
        [0, 1, 2, 3].map((n) => stores[n % 2]!.replace(key, winner, n === 3 ? undefined : `w${n}`, MINUTE)),
      );
      expect(replaced.filter(Boolean)).toHaveLength(1);
    }
  });

  test('expired rows are deleted by a later write', async () => {
    await pool.query(
      "INSERT INTO authkit_store SELECT 'swept:' || n, 'x', now() - interval '1 second' FROM generate_series(1, 2500) n",
    );
    const left = async () => {
      const { rows } = await pool.query(
        "SELECT count(*)::int AS count FROM authkit_store WHERE key LIKE 'swept:%'",
      );
      return (rows[0] as { count: number }).count;
    };
    const store = postgresStore(pool);
    await expect
      .poll(async () => {
        await store.set('live', 'x', MINUTE);
        return left();
      })
      .toBe(0);
    expect(await store.get('live')).toBe('x');
  });

  test('a table that is missing is an error, and not a missing value', async () => {
    const store = postgresStore(pool, { table: 'no_such_table' });
    await expect(store.get('a')).rejects.toThrow('no_such_table');
  });

  test('an app keeps its sessions through a restart of the database, and signs no user out', async () => {
    const own = server.pool({ connectionTimeoutMillis: 1000 });
    onTestFinished(() => own.end());
    const { origin, cookie } = await createTestApp('express5', {
      authkit: { store: postgresStore(own), session: 'store', timeout: 20_000 },
    });
    const header = await cookie();
    const at = async () =>
      (await send(`${origin}/account`, { headers: { ...FETCH, cookie: header } })).status;
    expect(await at()).toBe(200);
    await server.restart();
    await expect.poll(at, { timeout: 20_000 }).toBe(200);
  });
});

test('what is not a pool or not a table name is refused where it is passed', () => {
  for (const wrong of [undefined, null, {}, 'postgres://localhost'] as never[])
    expect(() => postgresStore(wrong)).toThrow(/pool of pg/);
  const pool = { query: () => Promise.resolve({ rows: [], rowCount: 0 }) };
  for (const table of ['', 'a b', 'a;drop table x', 'a"b', 'A', '1a', 'a.b.c', 'x'.repeat(64), 7]) {
    expect(() => postgresStore(pool, { table: table as string })).toThrow(/table/);
    expect(() => postgresSchema(table as string)).toThrow(/table/);
  }
});

test('an error of an idle connection does not end the process', () => {
  const listeners: ((error: Error) => void)[] = [];
  const pool = {
    query: () => Promise.resolve({ rows: [], rowCount: 0 }),
    on: (event: string, listener: (error: Error) => void) => {
      if (event === 'error') listeners.push(listener);
    },
  };
  postgresStore(pool);
  expect(listeners).toHaveLength(1);
  expect(() => {
    listeners[0]!(new Error('terminating connection'));
  }).not.toThrow();
});
