import { setTimeout as pause } from 'node:timers/promises';
import { expiringMap } from '../expiring-map.js';
import { ownProperties } from '../plain-objects.js';
import type { Store } from './index.js';

type Done = (error?: unknown, value?: unknown) => void;

/** The methods of an `express-session` store that `expressStore` uses. */
export interface ExpressSessionStore {
  get(...args: never[]): unknown;
  set(...args: never[]): unknown;
  destroy(...args: never[]): unknown;
}

export interface ExpressStoreOptions {
  /** Prefix of every key, default `authkit:`. The session store may add another prefix. */
  prefix?: string;
}

/**
 * An entry in the format of an `express-session` session. It needs a `cookie` property, because session stores read the
 * time to live from it.
 */
interface Entry {
  cookie: { originalMaxAge: number; maxAge: number; expires: Date; path: '/'; httpOnly: true };
  value: string;
  /** Time to live, in milliseconds. */
  ttl: number;
  /** When the entry expires, in milliseconds since the epoch, according to the clock of the process that wrote it. */
  until: number;
}

/**
 * How long `add` waits before it reads the value back, in milliseconds. A concurrent write by another process becomes
 * visible in that time.
 */
const SETTLED = 25;

/**
 * The maximum time to live of a short-lived entry, such as a lock, in milliseconds. The system clocks of two machines
 * may differ. Each process therefore measures the age of such an entry with its monotonic clock, starting when it first
 * sees the entry.
 */
const SHORT = 60_000;

/** The maximum tolerated difference between the system clocks of two machines, in milliseconds. */
const CLOCK_SKEW = 60_000;

/** The maximum number of short-lived entries that a process remembers having seen. */
const MAX_SEEN = 10_000;

/**
 * Creates a store from any `express-session` store, such as one from connect-redis, connect-pg-simple or memorystore.
 *
 * An `express-session` store has no operation that sets a key only if the key does not exist, so `add` and `replace`
 * are atomic only within one process. In rare cases, two processes therefore refresh the same session at the same time.
 * WorkOS then returns the same tokens to both.
 *
 * @throws {TypeError} if `store` is not an `express-session` store.
 * @example
 * app.use(authkit({ store: expressStore(new PostgresStore({ pool })) }));
 */
export function expressStore(store: ExpressSessionStore, options: ExpressStoreOptions = {}): Store {
  const { prefix = 'authkit:' } = ownProperties(options);
  const entries = createEntries(store, prefix);
  const oneAtATime = createQueues();
  return Object.freeze({
    get: entries.get,
    set: entries.set,
    add: (key: string, value: string, ttl: number) =>
      oneAtATime(key, async () => {
        if ((await entries.get(key)) !== undefined) return false;
        await entries.set(key, value, ttl);
        // If two processes write at the same time, the store keeps the later value.
        await pause(SETTLED);
        return (await entries.get(key)) === value;
      }),
    replace: (key: string, expected: string, value: string | undefined, ttl: number) =>
      oneAtATime(key, async () => {
        if ((await entries.get(key)) !== expected) return false;
        await (value === undefined ? entries.delete(key) : entries.set(key, value, ttl));
        return true;
      }),
    delete: entries.delete,
  });
}

/** Creates a function that runs operations on the same key one after another. */
function createQueues() {
  const queues = new Map<string, Promise<unknown>>();
  return <T>(key: string, operation: () => Promise<T>): Promise<T> => {
    const before = queues.get(key) ?? Promise.resolve();
    const result = before.then(operation);
    const settled = result
      .catch(() => undefined)
      .finally(() => {
        if (queues.get(key) === settled) queues.delete(key);
      });
    queues.set(key, settled);
    return result;
  };
}

type Methods = Readonly<Record<'get' | 'set' | 'destroy', (...args: unknown[]) => unknown>>;

function createEntries(store: ExpressSessionStore, prefix: string) {
  const methods = store as unknown as Methods | null | undefined;
  if (
    ['get', 'set', 'destroy'].some((name) => typeof methods?.[name as keyof Methods] !== 'function') ||
    !methods
  ) {
    throw new TypeError('expressStore() takes a store of express-session, such as new MemoryStore()');
  }
  const isExpired = createExpiry();
  return {
    get: async (key: string): Promise<string | undefined> => {
      const entry = await toPromise((done) => methods.get(prefix + key, done));
      return isEntry(entry) && !isExpired(key, entry) ? entry.value : undefined;
    },
    set: async (key: string, value: string, ttl: number) => {
      const entry = entryOf(value, ttl);
      await toPromise((done) => methods.set(prefix + key, entry, done));
      // If the entry is short-lived, this call records when the process first saw it. The age of the entry is measured
      // from that time.
      isExpired(key, entry);
    },
    delete: (key: string) => toPromise((done) => methods.destroy(prefix + key, done)),
  };
}

function isEntry(value: unknown): value is Entry {
  const { value: text, ttl, until } = (value ?? {}) as Partial<Record<keyof Entry, unknown>>;
  return typeof text === 'string' && typeof ttl === 'number' && typeof until === 'number';
}

/**
 * Creates a function that returns whether an entry has expired. The function remembers when it first saw each
 * short-lived entry, because it measures the entry's age from that time (see {@link SHORT}).
 */
function createExpiry() {
  const seen = expiringMap<{ readonly entry: string; readonly at: number }>({
    max: MAX_SEEN,
    now: () => performance.now(),
  });
  return (key: string, { value, ttl, until }: Entry): boolean => {
    const over = Date.now() - until;
    if (ttl > SHORT) return over >= 0;
    if (over >= CLOCK_SKEW) return true;
    const now = performance.now();
    const known = seen.get(key);
    // An extended lock has the same value as before, but a different `until`.
    const entry = `${until} ${value}`;
    if (known?.entry === entry) return now - known.at >= ttl;
    seen.set(key, { entry, at: now });
    return false;
  };
}

function entryOf(value: string, ttl: number): Entry {
  const until = Date.now() + ttl;
  // Some session stores compare `expires` with the clock of the process that reads the entry. If that clock is ahead, a
  // short-lived entry must not expire too early.
  const maxAge = ttl > SHORT ? ttl : ttl + CLOCK_SKEW;
  const expires = new Date(Date.now() + maxAge);
  return {
    cookie: { originalMaxAge: maxAge, maxAge, expires, path: '/', httpOnly: true },
    value,
    ttl,
    until,
  };
}

/**
 * Converts a call to a session store into a promise. All session stores take a callback. Some also return a promise,
 * whose rejection must be handled as well.
 */
function toPromise(call: (done: Done) => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const done: Done = (error, value) => {
      if (error === null || error === undefined) resolve(value);
      else reject(error instanceof Error ? error : new Error('the session store failed', { cause: error }));
    };
    Promise.resolve(call(done)).catch(done);
  });
}
