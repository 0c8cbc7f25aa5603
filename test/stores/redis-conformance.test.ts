import { Redis } from 'ioredis';
import { createClient, createSentinel } from 'redis';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { redisStore } from 'authkit-express/redis';
import { testStore } from 'authkit-express/testing';
import { connected, hasRedis, redisServer } from '../support/redis.js';

describe.runIf(hasRedis)('redisStore', () => {
  test('does what authkit() relies on with node-redis, and rejects once the client is closed', async () => {
    const { url } = await redisServer();
    const closed = createClient({ url });
    await closed.connect();
    closed.destroy();
    await testStore(redisStore(await connected(url)), { unavailable: redisStore(closed) });
  });

  test('does what authkit() relies on with ioredis', async () => {
    const { port } = await redisServer();
    const client = new Redis(port);
    onTestFinished(() => {
      client.disconnect();
    });
    await testStore(redisStore(client));
  });
});

describe('a sentinel client with a single connection', () => {
  const warningsOf = (make: () => Parameters<typeof redisStore>[0]) => {
    const emitted = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      redisStore(make());
      return emitted.mock.calls.map(([message, options]) => ({ message: String(message), options }));
    } finally {
      emitted.mockRestore();
    }
  };
  const options = { name: 'mymaster', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] };

  test('of node-redis 6 is warned about when the store is created', () => {
    const warnings = warningsOf(() => createSentinel(options));
    expect(warnings).toEqual([expect.objectContaining({ options: { code: 'AUTHKIT_SENTINEL_POOL' } })]);
    expect(warnings[0]!.message).toContain('masterPoolSize: 10');
    expect(warningsOf(() => createSentinel({ ...options, masterPoolSize: 1 }))).toHaveLength(1);
    expect(warningsOf(() => createSentinel({ ...options, masterPoolSize: 10 }))).toEqual([]);
  });

  test('other clients get no warning', () => {
    expect(warningsOf(() => createClient())).toEqual([]);
    const none = () => undefined;
    const odd = { get: none, set: none, del: none, eval: none, acquire: none, getSentinelNode: none };
    expect(warningsOf(() => odd)).toEqual([]);
    const throwing = () => {
      throw new Error('no');
    };
    expect(warningsOf(() => ({ ...odd, duplicate: throwing }) as typeof odd)).toEqual([]);
  });
});
