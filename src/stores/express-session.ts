import { setTimeout as pause } from 'node:timers/promises';
import type { Store } from './index.js';

type Done = (error?: unknown, value?: unknown) => void;

/** A store of `express-session`, as far as a store needs it. */
export interface ExpressSessionStore {
  get(...args: never[]): unknown;
  set(...args: never[]): unknown;
  destroy(...args: never[]): unknown;
}

export interface ExpressStoreOptions {
  /** Before every key, default `authkit:`; the store's own prefix comes before that. */
  prefix?: string;
}

/** What lies in the store, in the form of a session of `express-session`: stores read the time to live off `cookie`. */
interface Entry {
  cookie: { originalMaxAge: number; maxAge: number; expires: Date; path: '/'; httpOnly: true };
  value: string;
  /** Milliseconds since the epoch; not every store drops what is over. */
  until: number;
}

/** Another process that wrote in the same moment is seen after this long, in milliseconds. */
const SETTLED = 25;

/**
 * A store over any store of `express-session`: connect-redis, connect-pg-simple, memorystore and the like.
 *
 * Such a store cannot set a key only if it is not there, so "one refresh for a token" is likely across processes and
 * not certain: WorkOS's replay window covers the rest. All else holds as with Redis.
 *
 * @throws {TypeError} if it is no such store.
 * @example
 * app.use(authkit({ store: expressStore(new PostgresStore({ pool })) }));
 */
export function expressStore(
  store: ExpressSessionStore,
  { prefix = 'authkit:' }: ExpressStoreOptions = {},
): Store {
  const entries = createEntries(store, prefix);
  return Object.freeze({
    get: entries.get,
    set: entries.set,
    async add(key: string, value: string, ttl: number) {
      if ((await entries.get(key)) !== undefined) return false;
      await entries.set(key, value, ttl);
      // Of two that wrote at once, the later one stays.
      await pause(SETTLED);
      return (await entries.get(key)) === value;
    },
    async replace(key: string, expected: string, value: string | undefined, ttl: number) {
      if ((await entries.get(key)) !== expected) return false;
      await (value === undefined ? entries.delete(key) : entries.set(key, value, ttl));
      return true;
    },
    delete: entries.delete,
  });
}

type Methods = Readonly<Record<'get' | 'set' | 'destroy', (...args: unknown[]) => unknown>>;

function createEntries(store: ExpressSessionStore, prefix: string) {
  const given = store as unknown as Methods | null;
  if (
    ['get', 'set', 'destroy'].some((name) => typeof given?.[name as keyof Methods] !== 'function') ||
    !given
  ) {
    throw new TypeError('expressStore() takes a store of express-session, such as new MemoryStore()');
  }
  return {
    get: async (key: string): Promise<string | undefined> => {
      const entry = await settled((done) => given.get(prefix + key, done));
      const { value, until } = (entry ?? {}) as Partial<Record<keyof Entry, unknown>>;
      return typeof value === 'string' && typeof until === 'number' && Date.now() < until ? value : undefined;
    },
    set: (key: string, value: string, ttl: number) =>
      settled((done) => given.set(prefix + key, entryOf(value, ttl), done)),
    delete: (key: string) => settled((done) => given.destroy(prefix + key, done)),
  };
}

function entryOf(value: string, ttl: number): Entry {
  const until = Date.now() + ttl;
  const expires = new Date(until);
  return {
    cookie: { originalMaxAge: ttl, maxAge: ttl, expires, path: '/', httpOnly: true },
    value,
    until,
  };
}

/** Stores answer by callback; some answer with a promise as well, whose rejection must not go unhandled. */
function settled(call: (done: Done) => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const done: Done = (error, value) => {
      if (error === null || error === undefined) resolve(value);
      else reject(error instanceof Error ? error : new Error('the store failed', { cause: error }));
    };
    Promise.resolve(call(done)).catch(done);
  });
}
