import { log } from '../events.js';
import type { Store } from './index.js';

/** A client of node-redis 4 to 6 or of ioredis 5 and 6, single or cluster, as far as a store needs it. */
export interface RedisClient {
  get(...args: never[]): unknown;
  set(...args: never[]): unknown;
  del(...args: never[]): unknown;
  eval(...args: never[]): unknown;
}

export interface RedisStoreOptions {
  /** Before every key, default `authkit:`. A prefix of the client's own comes before that. */
  prefix?: string;
}

/** Compares and sets, or deletes, in one step. One key, so that it runs on a cluster. */
const REPLACE = `
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('del', KEYS[1]) else redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`;

/** The four commands that a store is made of. */
interface Commands {
  get: (key: string) => Promise<unknown>;
  /** With `onlyNew`, answers nothing if the key is there. */
  set: (key: string, value: string, ttl: number, onlyNew: boolean) => Promise<unknown>;
  del: (key: string) => Promise<unknown>;
  eval: (script: string, key: string, args: string[]) => Promise<unknown>;
}

/**
 * A store in Redis, Valkey or what else speaks their protocol, over the application's own connected client: its TLS,
 * cluster mode and key prefix are used as they are. The client must read from primaries, not from replicas.
 *
 * @param client Of node-redis 4 to 6 (`createClient`, `createCluster`, `createClientPool`, `createSentinel`) or of
 * ioredis 5 and 6. Its `error` events are listened to, so that a Redis that goes away does not end the process.
 * @throws {TypeError} if it is neither.
 * @example
 * const client = createClient({ url: 'rediss://cache.example.com' });
 * await client.connect();
 * app.use(authkit({ store: redisStore(client) }));
 */
export function redisStore(client: RedisClient, { prefix = 'authkit:' }: RedisStoreOptions = {}): Store {
  const redis = commandsOf(client);
  listen(client);
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

/** Told apart by shape: ioredis can define commands, node-redis cannot. */
function commandsOf(client: RedisClient): Commands {
  const given: unknown = client;
  const has = (name: string) => typeof (given as Record<string, unknown> | null)?.[name] === 'function';
  if (!['get', 'set', 'del', 'eval'].every(has)) {
    throw new TypeError('redisStore() takes a client of node-redis or ioredis, such as createClient() gives');
  }
  return has('defineCommand') ? ofIoredis(given as Ioredis) : ofNodeRedis(given as NodeRedis);
}

interface NodeRedis {
  get: (key: string) => Promise<unknown>;
  set: (key: string, value: string, options: { PX: number; NX?: true }) => Promise<unknown>;
  del: (key: string) => Promise<unknown>;
  eval: (script: string, options: { keys: string[]; arguments: string[] }) => Promise<unknown>;
}

function ofNodeRedis(client: NodeRedis): Commands {
  return {
    get: (key) => client.get(key),
    set: (key, value, ttl, onlyNew) =>
      client.set(key, value, onlyNew ? { PX: whole(ttl), NX: true } : { PX: whole(ttl) }),
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

function ofIoredis(client: Ioredis): Commands {
  return {
    get: (key) => client.get(key),
    set: (key, value, ttl, onlyNew) => client.set(key, value, 'PX', whole(ttl), ...(onlyNew ? ['NX'] : [])),
    del: (key) => client.del(key),
    eval: (script, key, args) => client.eval(script, 1, key, ...args),
  };
}

/** Redis refuses a time to live that is no whole number of milliseconds, or none. */
function whole(ttl: number): number {
  return Math.max(1, Math.ceil(ttl));
}

/** A client may be set to hand out buffers. */
function textOf(reply: unknown): string | undefined {
  return typeof reply === 'string' ? reply : Buffer.isBuffer(reply) ? reply.toString('utf8') : undefined;
}

function isYes(reply: unknown): boolean {
  return reply === 1 || reply === '1' || textOf(reply) === 'OK';
}

/** node-redis throws where nobody listens. */
function listen(client: RedisClient): void {
  const emitter = client as { on?: (event: 'error', listener: (error: unknown) => void) => unknown };
  emitter.on?.('error', (error) => {
    log('store', { outcome: 'client error', error: error instanceof Error ? error.name : typeof error });
  });
}
