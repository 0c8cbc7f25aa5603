/**
 * A store that uses Redis.
 *
 * @module authkit-express/redis
 */
import { errorNameOf, log } from '../diagnostics.js';
import { ownProperties } from '../plain-objects.js';
import type { Store } from './index.js';

/** The methods that `redisStore` calls on a client of node-redis 4 to 6 or ioredis 5 and 6. */
export interface RedisClient {
  get(...args: never[]): unknown;
  set(...args: never[]): unknown;
  del(...args: never[]): unknown;
  eval(...args: never[]): unknown;
}

export interface RedisStoreOptions {
  /** Prefix of every key, default `authkit:`. The client may add another prefix. */
  prefix?: string;
}

/**
 * A Lua script for compare-and-set: it replaces or deletes the value of a key in one atomic step, if the current value
 * is the expected one. The script uses a single key, so it can run on Redis Cluster.
 */
const REPLACE = `
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('del', KEYS[1]) else redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`;

/** The four Redis commands that the store uses. */
interface Commands {
  get: (key: string) => Promise<unknown>;
  /**
   * Sets a value with a time to live of `ttl` milliseconds. If `onlyNew` is true and the key exists, its value is not
   * changed and the reply is `null`.
   */
  set: (key: string, value: string, ttl: number, onlyNew: boolean) => Promise<unknown>;
  del: (key: string) => Promise<unknown>;
  eval: (script: string, key: string, args: string[]) => Promise<unknown>;
}

/**
 * Creates a store that uses Redis, Valkey or another server with the same protocol. The client must read from
 * primaries, not from replicas.
 *
 * @param client A connected client from node-redis 4 to 6 (`createClient`, `createCluster`, `createClientPool`,
 * `createSentinel`) or ioredis 5 or 6. The store handles its `error` events, so a lost connection does not crash the
 * process.
 * @throws {TypeError} if `client` is not a node-redis or ioredis client.
 * @example
 * const client = createClient({ url: 'rediss://cache.example.com' });
 * await client.connect();
 * app.use(authkit({ store: redisStore(client) }));
 */
export function redisStore(client: RedisClient, options: RedisStoreOptions = {}): Store {
  const { prefix = 'authkit:' } = ownProperties(options);
  const redis = commandsOf(client);
  handleErrors(client);
  warnAboutSentinelPool(client);
  return Object.freeze({
    get: async (key: string) => textOf(await redis.get(prefix + key)),
    set: (key: string, value: string, ttl: number) => redis.set(prefix + key, value, ttl, false),
    add: async (key: string, value: string, ttl: number) =>
      isYes(await redis.set(prefix + key, value, ttl, true)),
    replace: async (key: string, expected: string, value: string | undefined, ttl: number) =>
      isYes(await redis.eval(REPLACE, prefix + key, [expected, value ?? '', String(whole(ttl))])),
    delete: (key: string) => redis.del(prefix + key),
  });
}

/** Returns the commands of a client from either package. Only ioredis clients have the method `defineCommand`. */
function commandsOf(client: RedisClient): Commands {
  const given: unknown = client;
  const has = (name: string) => typeof (given as Record<string, unknown> | null)?.[name] === 'function';
  if (!['get', 'set', 'del', 'eval'].every(has)) {
    throw new TypeError('redisStore() takes a client of node-redis or ioredis, such as createClient() gives');
  }
  return has('defineCommand') ? ioredisCommands(given as Ioredis) : nodeRedisCommands(given as NodeRedis);
}

interface NodeRedis {
  get: (key: string) => Promise<unknown>;
  set: (key: string, value: string, options: { PX: number; NX?: true }) => Promise<unknown>;
  del: (key: string) => Promise<unknown>;
  eval: (script: string, options: { keys: string[]; arguments: string[] }) => Promise<unknown>;
}

function nodeRedisCommands(client: NodeRedis): Commands {
  return {
    get: (key) => client.get(key),
    set: (key, value, ttl, onlyNew) =>
      client.set(key, value, ownProperties({ PX: whole(ttl), ...(onlyNew ? { NX: true } : {}) })),
    del: (key) => client.del(key),
    eval: (script, key, args) => client.eval(script, { keys: [key], arguments: args }),
  };
}

interface Ioredis {
  get: (key: string) => Promise<unknown>;
  set: (key: string, value: string, ...options: (string | number)[]) => Promise<unknown>;
  del: (key: string) => Promise<unknown>;
  eval: (script: string, keys: number, ...args: string[]) => Promise<unknown>;
}

function ioredisCommands(client: Ioredis): Commands {
  return {
    get: (key) => client.get(key),
    set: (key, value, ttl, onlyNew) => client.set(key, value, 'PX', whole(ttl), ...(onlyNew ? ['NX'] : [])),
    del: (key) => client.del(key),
    eval: (script, key, args) => client.eval(script, 1, key, ...args),
  };
}

/** Rounds up a time to live. Redis accepts only a positive whole number of milliseconds. */
function whole(ttl: number): number {
  return Math.max(1, Math.ceil(ttl));
}

/** Converts a reply to text. A client may be configured to return buffers instead of strings. */
function textOf(reply: unknown): string | undefined {
  return typeof reply === 'string' ? reply : Buffer.isBuffer(reply) ? reply.toString('utf8') : undefined;
}

function isYes(reply: unknown): boolean {
  return reply === 1 || reply === '1' || textOf(reply) === 'OK';
}

/** Logs `error` events. Without a listener, an `error` event of a node-redis client ends the process. */
function handleErrors(client: RedisClient): void {
  const emitter = client as { on?: (event: 'error', listener: (error: unknown) => void) => unknown };
  emitter.on?.('error', (error) => {
    log('store', { outcome: 'client error', error: errorNameOf(error) });
  });
}

/**
 * Warns if a sentinel client uses a single connection, which is the default. In a burst of requests, calls on a single
 * connection wait for each other and may take too long.
 */
function warnAboutSentinelPool(client: RedisClient): void {
  if (sentinelPoolSize(client) !== 1) return;
  process.emitWarning(
    'createSentinel() uses a single connection to Redis, so calls wait for each other and may take too long: ' +
      'pass masterPoolSize: 10 or more',
    { code: 'AUTHKIT_SENTINEL_POOL' },
  );
}

/**
 * Returns the number of connections that a sentinel client uses. Returns `undefined` if the client is not a sentinel
 * client, or if the number is unknown, as with node-redis 5. The client's options are private. In node-redis 6,
 * `duplicate()` passes them to the constructor of the object that the method is called on. This function therefore
 * calls `duplicate()` on an object whose constructor reads the options.
 */
function sentinelPoolSize(client: unknown): number | undefined {
  const { acquire, duplicate, getSentinelNode, _self } = client as Record<string, unknown>;
  const isSentinel = typeof acquire === 'function' && typeof getSentinelNode === 'function';
  if (!isSentinel || typeof duplicate !== 'function') return undefined;
  let size: unknown;
  const prototype = {
    constructor: function readOptions(options: { masterPoolSize?: number }) {
      size = options.masterPoolSize ?? 1;
    },
  };
  try {
    duplicate.call(Object.assign(Object.create(prototype) as object, { _self }));
  } catch {
    return undefined;
  }
  return typeof size === 'number' ? size : undefined;
}
