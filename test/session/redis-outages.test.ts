import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Store } from 'authkit-express';
import { redisStore } from 'authkit-express/redis';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { connected, hasRedis, redisServer, startRedis, stop, type RedisServer } from '../support/redis.js';
import { freePort } from '../support/free-port.js';
import { ADA, createTestApp, type Options, type TestApp } from '../support/app.js';

/** Longer than the lifetime of any access token in the tests, in milliseconds. */
const LATER = 600_000;
/** Store calls time out after a fifth of this. WorkOS runs in the same process. */
const timeout = 2500;

// The first call loads the SDK, which can take this long on a busy machine.
beforeAll(async () => {
  await import('@workos-inc/node');
});

type Mode = 'cookie' | 'store';

/** Faults of a running Redis, and how each one is repaired. */
const troubles: Record<string, (server: RedisServer) => Promise<() => Promise<unknown>>> = {
  'is killed': async (server) => {
    await stop(server);
    return async () => {
      const again = await startRedis(server.port);
      onTestFinished(() => stop(again));
    };
  },
  'hangs (SIGSTOP)': async (server) => {
    server.signal('SIGSTOP');
    return async () => {
      server.signal('SIGCONT');
    };
  },
  'takes no writes (a replica)': (server) =>
    configured(server, ['replicaof', '127.0.0.1', '1'], ['replicaof', 'no', 'one']),
  'is out of memory': (server) =>
    configured(server, ['config', 'set', 'maxmemory', '1'], ['config', 'set', 'maxmemory', '0']),
  'wants another password': (server) =>
    configured(
      server,
      ['acl', 'setuser', 'default', 'resetpass', '>other', '-@all', '+acl', '+ping'],
      ['acl', 'setuser', 'default', 'nopass', '+@all'],
    ),
};

async function configured(server: RedisServer, breaks: string[], mends: string[]) {
  const admin = new Redis(server.port);
  admin.on('error', () => undefined);
  onTestFinished(() => {
    admin.disconnect();
  });
  await admin.call(breaks[0]!, ...breaks.slice(1));
  return () => admin.call(mends[0]!, ...mends.slice(1));
}

async function cluster(mode: Mode, options: Options = {}) {
  const server = await redisServer();
  const client = await connected(server.url);
  const one = await createTestApp('express5', {
    authkit: { store: redisStore(client), session: mode, timeout, ...options },
  });
  return { server, client, one };
}

describe.runIf(hasRedis).each(Object.keys(troubles))('a Redis that %s', (name) => {
  test('sessions in cookies work as without a store, and the store is used again when it is back', async () => {
    const { server, one } = await cluster('cookie');
    const { origin, browser, workos, signIn } = one;
    expect((await signIn()).status).toBe(200);
    const mend = await troubles[name]!(server);
    const go = async () => (await browser.go(`${origin}/account`)).status;
    expect([await go(), await go()]).toEqual([200, 200]);
    workos.clock.advance(LATER);
    expect([await go(), await go()]).toEqual([200, 200]);
    expect(workos.callsTo('refresh').map(({ status }) => status)).toEqual([200]);
    await browser.fetch(`${origin}/logout`, { method: 'POST' });
    expect((await browser.fetch(`${origin}/account`)).status).toBe(401);
    expect((await signIn()).status).toBe(200);
    await mend();
    await found(one);
  });

  test('sessions in the store get 503 or 200, stay signed in, and work when it is back', async () => {
    const { server, one } = await cluster('store');
    const { origin, browser, workos, signIn, served } = one;
    expect((await signIn()).status).toBe(200);
    const cookie = (await browser.cookie(origin, 'wos-session'))!;
    const mend = await troubles[name]!(server);
    await wait(550);
    const before = served();
    for (const headers of [FETCH, NAVIGATION]) {
      const reply = await send(`${origin}/account`, {
        headers: { ...headers, cookie: `wos-session=${cookie}` },
      });
      // A process that can still read the store can still serve requests.
      expect([200, 503]).toContain(reply.status);
      if (reply.status === 503) expect(reply.headers['retry-after']).toBeDefined();
      expect(reply.setCookies.filter((line) => line.startsWith('wos-session=;'))).toEqual([]);
      expect(served() > before).toBe(reply.status === 200);
    }
    workos.clock.advance(LATER);
    // Tokens that were refreshed while the store was not writable are not lost.
    const late = await browser.go(`${origin}/account`);
    expect([200, 503]).toContain(late.status);
    await mend();
    // If Redis was killed, it restarts empty. In the other cases, the session is still there.
    const end = name === 'is killed' ? 302 : 200;
    let status = 0;
    for (let tries = 0; tries < 100 && status !== end; tries += 1) {
      ({ status } = await browser.go(`${origin}/account`));
      if (status !== end) expect(status).toBe(503);
      await wait(50);
    }
    expect(status).toBe(end);
    expect(workos.callsTo('refresh').filter((call) => call.status !== 200)).toEqual([]);
  });
});

/** Waits until a process can write sessions again. */
async function found({ workos, sibling }: TestApp): Promise<void> {
  const { origin } = await sibling({ session: 'store' });
  for (let tries = 0; tries < 100; tries += 1) {
    const cookie = await workos.signIn({ user: ADA });
    const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie } });
    expect(reply.status).toBe(200);
    if (reply.setCookies.some((line) => line.startsWith('wos-session=s1.'))) return;
    await wait(50);
  }
  throw new Error('the store was not found again');
}

describe.runIf(hasRedis)('a Redis that is not running at start-up', () => {
  test.each(['node-redis', 'ioredis'])(
    'with %s nothing throws, and it is used once it is running',
    async (name) => {
      const port = await freePort();
      const client =
        name === 'ioredis'
          ? new Redis(port, { retryStrategy: () => 50 })
          : createClient({ url: `redis://127.0.0.1:${port}`, socket: { reconnectStrategy: 50 } });
      const store = redisStore(client);
      if ('isOpen' in client) void client.connect().catch(() => undefined);
      onTestFinished(() => {
        if ('isOpen' in client) client.destroy();
        else client.disconnect();
      });
      const site = await createTestApp('express5', {
        authkit: { store, timeout },
      });
      const { origin, workos, signIn, browser } = site;
      expect((await signIn()).status).toBe(200);
      workos.clock.advance(LATER);
      expect((await browser.go(`${origin}/account`)).status).toBe(200);
      const server = await startRedis(port);
      onTestFinished(() => stop(server));
      await found(site);
    },
  );
});

const rubbish: [string, unknown][] = [
  ['text', 'rubbish'],
  ['a number', 7],
  ['an object', { then: 'no' }],
  ['an array', ['1.x.y']],
  ['a buffer', Buffer.from('1.x.y')],
  ['true', true],
];

test.each(rubbish)('a store that answers %s to everything signs no user out', async (_name, answer) => {
  const say = async () => answer as never;
  const store: Store = { get: say, set: say, add: say, replace: say, delete: say };
  const one = await createTestApp('express5', { authkit: { store, timeout: 1000 } });
  const cookie = await one.cookie({ user: ADA });
  const ask = (origin: string) => send(`${origin}/account`, { headers: { ...FETCH, cookie } });
  expect((await ask(one.origin)).status).toBe(200);
  one.workos.clock.advance(LATER);
  expect((await ask(one.origin)).status).toBe(200);
  const inStore = await one.sibling({ session: 'store' });
  expect((await ask(inStore.origin)).status).toBe(200);
});
