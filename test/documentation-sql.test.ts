import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ROOT } from './support/documentation.js';
import { hasPostgres, startPostgres, type PostgresServer } from './support/postgres.js';

const page = readFileSync(join(ROOT, 'docs/users.md'), 'utf8');
const [update = '', insert = '', select = ''] = /^```sql\n(.*?)^```$/ms.exec(page)![1]!.split(';');

describe.runIf(hasPostgres)('the SQL of docs/users.md', () => {
  let server: PostgresServer;
  let pool: pg.Pool;
  beforeAll(async () => {
    server = await startPostgres();
    pool = server.pool();
    // As the server stops, it may end a connection before the pool has.
    pool.on('error', () => undefined);
  });
  afterAll(async () => {
    await pool.end();
    await server.stop();
  });
  beforeEach(async () => {
    await pool.query('DROP TABLE IF EXISTS users');
    await pool.query('CREATE TABLE users (id serial, email text UNIQUE, workos_id text UNIQUE)');
    await pool.query("INSERT INTO users (email) VALUES ('Ada@example.com'), ('grace@example.com')");
  });

  /** One sign-in: returns the ID of the row, or nothing if the sign-in has to be rejected. */
  async function link(id: string, email: string, emailVerified = true): Promise<number | undefined> {
    if (emailVerified) await pool.query(update, [id, email]);
    await pool.query(insert, [id, email]);
    const { rows } = await pool.query<{ id: number }>(select, [id]);
    return rows[0]?.id;
  }

  test('sign-ins of one user at the same time get one row: the existing one, or one new one', async () => {
    const both = (id: string, email: string) =>
      Promise.all(Array.from({ length: 20 }, () => link(id, email)));
    expect(new Set(await both('user_ada', 'ada@example.com'))).toEqual(new Set([1]));
    const fresh = new Set(await both('user_new', 'new@example.com'));
    expect([fresh.size, fresh.has(undefined)]).toEqual([1, false]);
    expect((await pool.query('SELECT FROM users')).rowCount).toBe(3);
  });

  test('a user who changes to the address of another row keeps the own row', async () => {
    expect(await link('user_ada', 'ada@example.com')).toBe(1);
    expect(await link('user_ada', 'grace@example.com')).toBe(1);
  });

  test('an address that is not verified, or whose row is linked, takes no row over', async () => {
    expect(await link('user_eve', 'grace@example.com', false)).toBeUndefined();
    expect(await link('user_grace', 'grace@example.com')).toBe(2);
    expect(await link('user_eve', 'grace@example.com')).toBeUndefined();
    const { rows } = await pool.query('SELECT workos_id FROM users WHERE id = 2');
    expect(rows).toEqual([{ workos_id: 'user_grace' }]);
  });
});
