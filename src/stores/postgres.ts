/**
 * A store that uses PostgreSQL.
 *
 * @module authkit-express/postgres
 */
import { errorNameOf, log } from '../diagnostics.js';
import { ownProperties } from '../plain-objects.js';
import type { Store } from './index.js';

/** The methods that `postgresStore` calls on a `Pool` of the `pg` package. */
export interface PostgresPool {
  query(...args: never[]): unknown;
}

export interface PostgresStoreOptions {
  /** Name of the table, with or without a schema name. Default `authkit_store`. */
  table?: string;
}

const TABLE = 'authkit_store';

const NAME = /^[a-z_][a-z\d_]{0,62}(?:\.[a-z_][a-z\d_]{0,62})?$/;

/**
 * The minimum time between two sweeps, in milliseconds. A sweep deletes expired rows. If a sweep reaches the limit of
 * {@link SWEEP_ROWS}, the next write starts another sweep without waiting.
 */
const SWEEP_INTERVAL = 60_000;

/** The maximum number of rows that one sweep deletes. The limit keeps a sweep from delaying other statements. */
const SWEEP_ROWS = 1000;

/**
 * Returns the SQL that creates the table for `postgresStore`. Run this SQL in a migration, or once by hand.
 *
 * @param table Name of the table, with or without a schema name. Default `authkit_store`.
 * @throws {TypeError} if the name contains characters other than lower-case letters, digits, underscores and one dot
 * after a schema name.
 */
export function postgresSchema(table = TABLE): string {
  assertTable(table);
  const index = `${table.replace('.', '_')}_expires_at`.slice(0, 63);
  return `CREATE TABLE IF NOT EXISTS ${table} (
  key text PRIMARY KEY,
  value text NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS ${index} ON ${table} (expires_at);
`;
}

/**
 * Creates a store that uses PostgreSQL. All times come from the database's clock, so the clocks of the processes may
 * differ.
 *
 * @param pool A `Pool` of the `pg` package. The store handles its `error` events, so a lost connection does not end the
 * process.
 * @throws {TypeError} if `pool` is not a pool, or if the table name is invalid.
 * @example
 * const pool = new pg.Pool({ connectionString: 'postgres://localhost/app' });
 * app.use(authkit({ store: postgresStore(pool) }));
 */
export function postgresStore(pool: PostgresPool, options: PostgresStoreOptions = {}): Store {
  const { table = TABLE } = ownProperties(options);
  assertPool(pool);
  assertTable(table);
  const sql = statements(table);
  const query = pool.query.bind(pool) as unknown as Query;
  const sweep = createSweep(() => query(sql.sweep));
  const emitter = pool as unknown as { on?: (event: 'error', listener: (error: unknown) => void) => unknown };
  emitter.on?.('error', (error) => {
    log('store', { outcome: 'client error', error: errorNameOf(error) });
  });
  /** Runs a statement, and resolves to whether it changed a row. */
  const write = async (text: string, values: readonly unknown[]): Promise<boolean> => {
    const { rowCount } = await query(text, values);
    sweep();
    return rowCount === 1;
  };
  return Object.freeze({
    async get(key: string) {
      const { rows } = await query(sql.get, [key]);
      return rows[0]?.value;
    },
    set: (key: string, value: string, ttl: number) => write(sql.set, [key, value, ttl]),
    add: (key: string, value: string, ttl: number) => write(sql.add, [key, value, ttl]),
    replace: (key: string, expected: string, value: string | undefined, ttl: number) =>
      value === undefined
        ? write(sql.deleteExpected, [key, expected])
        : write(sql.replace, [key, expected, value, ttl]),
    delete: (key: string) => write(sql.delete, [key]),
  });
}

type Query = (
  text: string,
  values?: readonly unknown[],
) => Promise<{ rows: readonly { value?: string }[]; rowCount: number | null }>;

function statements(table: string) {
  const after = (ttl: string) => `clock_timestamp() + ${ttl}::float8 * interval '1 millisecond'`;
  const insert = `INSERT INTO ${table} AS entry (key, value, expires_at) VALUES ($1, $2, ${after('$3')})
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`;
  const isExpected = 'key = $1 AND value = $2 AND expires_at > clock_timestamp()';
  return {
    get: `SELECT value FROM ${table} WHERE key = $1 AND expires_at > clock_timestamp()`,
    set: insert,
    // A concurrent `add` of the same key waits for this one, then finds that the row has not expired and keeps it.
    add: `${insert} WHERE entry.expires_at <= clock_timestamp()`,
    replace: `UPDATE ${table} SET value = $3, expires_at = ${after('$4')} WHERE ${isExpected}`,
    deleteExpected: `DELETE FROM ${table} WHERE ${isExpected}`,
    delete: `DELETE FROM ${table} WHERE key = $1`,
    sweep: `DELETE FROM ${table} WHERE key IN (SELECT key FROM ${table} WHERE expires_at <= clock_timestamp()
      LIMIT ${SWEEP_ROWS} FOR UPDATE SKIP LOCKED)`,
  };
}

/**
 * Creates a function that is called after each write and deletes expired rows from time to time. It does not use a
 * timer. A store has no `close` method that could stop a timer, so the timer would still query the pool after the
 * application has closed the pool.
 */
function createSweep(run: () => Promise<{ rowCount: number | null }>): () => void {
  let dueAt = 0;
  return () => {
    if (performance.now() < dueAt) return;
    // The interval is random, so the processes of an application do not all sweep at the same time.
    dueAt = performance.now() + SWEEP_INTERVAL * (1 + Math.random());
    run().then(
      ({ rowCount }) => {
        if (rowCount === SWEEP_ROWS) dueAt = 0;
      },
      (error: unknown) => {
        log('store', { outcome: 'sweep failed', error: errorNameOf(error) });
      },
    );
  };
}

function assertPool(pool: unknown): void {
  if (typeof (pool as PostgresPool | null | undefined)?.query !== 'function')
    throw new TypeError('postgresStore() takes a pool of pg, such as new Pool()');
}

function assertTable(table: unknown): asserts table is string {
  if (typeof table !== 'string' || !NAME.test(table))
    throw new TypeError(
      'the table of postgresStore() must be a name of lower-case letters, digits and underscores, such as "authkit_store"',
    );
}
