import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Store } from 'authkit-express';
import { redisStore } from 'authkit-express/redis';
import { createSessionIds } from '../../src/session/sessions-in-store.js';
import { Browser, FETCH, send, type Reply } from '../support/browser.js';
import { connected, hasRedis, startRedis, stop, type RedisServer } from '../support/redis.js';
import { ADA, createTestApp, type Application, type Options } from '../support/app.js';

/** Longer than any access token of the tests lives, in milliseconds. */
const LATER = 600_000;

/** Longer than a lookup in the store is cached, in milliseconds of real time. */
const SEEN = 600;

const GRACE = 'grace@example.com';

let server: RedisServer;

let client: Awaited<ReturnType<typeof connected>>;

beforeAll(async () => {
  if (hasRedis) server = await startRedis();
});

afterAll(() => (hasRedis ? stop(server) : undefined));

beforeEach(async () => {
  if (!hasRedis) return;
  client = await connected(server.url);
  await client.flushAll();
});

const inStore = (options: Options = {}): Options => ({
  store: redisStore(client),
  session: 'store',
  ...options,
});

const at = ({ origin }: Application, cookie: string, path = '/account') =>
  send(origin + path, { headers: { ...FETCH, cookie } });

/** The session cookie, as the browser would send it. */
const cookieOf = async ({ origin }: Application, browser: Browser) =>
  `wos-session=${(await browser.cookie(origin, 'wos-session'))!}`;

const cleared = ({ setCookies }: Reply) =>
  setCookies.some((line) => line.startsWith('wos-session=; Max-Age=0'));

/** The one session in the store. */
async function kept(): Promise<{ key: string; value: string | null }> {
  const [key, ...others] = await client.keys('authkit:session:*');
  expect(others).toEqual([]);
  return { key: key!, value: await client.get(key!) };
}

/** A store that reports each call before it is made, so that calls can be counted, delayed or failed. */
function watched(store: Store, before: (method: keyof Store, key: string) => unknown): Store {
  return {
    get: async (key) => {
      await before('get', key);
      return store.get(key);
    },
    set: async (key, ...rest) => {
      await before('set', key);
      return store.set(key, ...rest);
    },
    add: async (key, ...rest) => {
      await before('add', key);
      return store.add(key, ...rest);
    },
    replace: async (key, ...rest) => {
      await before('replace', key);
      return store.replace(key, ...rest);
    },
    delete: async (key) => {
      await before('delete', key);
      return store.delete(key);
    },
  };
}

test.runIf(hasRedis)(
  'F11 a process that refreshes late does not overwrite the newer session of another process',
  async () => {
    const one = await createTestApp('express5', {
      authkit: inStore(),
      routes: (app, auth) => {
        app.route('/refresh', (req, res, next) => {
          auth.refreshSession(req, res).then(() => res.end(), next);
        });
      },
    });
    await one.signIn();
    const cookie = await cookieOf(one, one.browser);
    const writes: string[] = [];
    let goOn!: () => void;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const two = await one.sibling({
      store: watched(redisStore(client), async (method, key) => {
        if (method === 'get') return;
        // Its locks fail, so it continues with what it has read, and writes late.
        if (!key.startsWith('session:')) throw new Error('refused');
        writes.push(method);
        await held;
      }),
      timeout: 20_000,
    });
    expect((await at(two, cookie)).status).toBe(200);
    // Serving a request writes nothing.
    expect(writes).toEqual([]);
    one.workos.clock.advance(LATER);
    const late = at(two, cookie);
    while (writes.length === 0) await wait(5);
    expect((await one.browser.fetch(`${one.origin}/account`)).status).toBe(200);
    expect((await one.browser.fetch(`${one.origin}/refresh`)).status).toBe(200);
    const { value: newest } = await kept();
    goOn();
    expect((await late).status).toBe(200);
    expect(writes).toEqual(['replace']);
    expect((await kept()).value).toBe(newest);
    const calls = one.workos.callsTo('refresh').length;
    expect((await at(await one.sibling(), await cookieOf(one, one.browser))).status).toBe(200);
    expect(one.workos.callsTo('refresh')).toHaveLength(calls);
  },
);

test.runIf(hasRedis)(
  'S02 sign-in creates a new session id, and a session planted before it is destroyed in every process',
  async () => {
    const one = await createTestApp('express5', { authkit: inStore() });
    const two = await one.sibling();
    const attacker = new Browser();
    await one.signIn(GRACE, '/account', attacker);
    const planted = await cookieOf(one, attacker);
    // A subdomain can set the cookie, and the victim's browser sends it.
    await one.browser.jar.setCookie(`${planted}; Path=/`, one.origin);
    const away = await one.browser.go(`${one.origin}/login`);
    await one.browser.follow(await one.workos.authorize(away.location!, { user: ADA }));
    const own = await cookieOf(one, one.browser);
    expect(own.split('.')[1]).not.toBe(planted.split('.')[1]);
    await kept();
    await wait(SEEN);
    for (const process of [one, two]) {
      expect((await at(process, planted)).status).toBe(401);
      expect(JSON.parse((await at(process, own)).body)).toMatchObject({ email: ADA });
    }
  },
);

test.runIf(hasRedis)('S02 all of several planted sessions are destroyed at sign-in', async () => {
  const one = await createTestApp('express5', { authkit: inStore() });
  const planted = await Promise.all(
    [0, 1].map(async () => {
      const attacker = new Browser();
      await one.signIn(GRACE, '/account', attacker);
      return cookieOf(one, attacker);
    }),
  );
  const away = await one.browser.go(`${one.origin}/login`);
  const callback = await one.workos.authorize(away.location!, { user: ADA });
  const cookie = [...planted, await one.browser.jar.getCookieString(one.origin)].join('; ');
  expect((await one.browser.go(callback, { headers: { cookie } })).status).toBe(302);
  await kept();
});

test.runIf(hasRedis)('S02 anonymous requests write nothing to the store', async () => {
  const one = await createTestApp('express5', { authkit: inStore() });
  for (const [path, status] of [
    ['/open', 200],
    ['/account', 302],
    ['/login', 302],
  ] as const)
    expect((await one.browser.go(one.origin + path)).status, path).toBe(status);
  expect(await client.keys('*')).toEqual([]);
  expect((await one.signIn()).status).toBe(200);
  expect(await client.keys('*')).not.toEqual([]);
});

test.runIf(hasRedis)(
  'S03 signing in as another user destroys the earlier session and carries nothing over',
  async () => {
    const one = await createTestApp('express5', {
      authkit: inStore({
        onSuccess: ({ user }) => (user.email === ADA ? { data: { secret: 'of Ada' } } : {}),
      }),
      routes: (app) => {
        app.route('/data', (req, res) => {
          const { data } = (req as unknown as { auth: { data?: unknown } }).auth;
          res.end(JSON.stringify({ data: data ?? null }));
        });
      },
    });
    const two = await one.sibling();
    await one.signIn();
    const first = await cookieOf(one, one.browser);
    expect((await at(two, first, '/data')).body).toContain('of Ada');
    const away = await one.browser.go(`${one.origin}/login`);
    await one.browser.follow(await one.workos.authorize(away.location!, { user: GRACE }));
    const second = await cookieOf(one, one.browser);
    expect(second.split('.')[1]).not.toBe(first.split('.')[1]);
    await kept();
    await wait(SEEN);
    for (const process of [one, two]) {
      expect((await at(process, first)).status).toBe(401);
      expect(JSON.parse((await at(process, second)).body)).toMatchObject({ email: GRACE });
      expect((await at(process, second, '/data')).body).toBe('{"data":null}');
    }
  },
);

/** Reads from a lagging replica: the first reads after a write return the earlier value. */
function behind(store: Store, times = 1, reads: string[] = []): Store & { isBehind: boolean } {
  const before = new Map<string, { value: string | null | undefined; left: number }>();
  const noted = async <T>(key: string, write: () => Promise<T>): Promise<T> => {
    const value = await store.get(key);
    const done = await write();
    // A write that was refused does not change the replica.
    if (done !== false) before.set(key, { value, left: times });
    return done;
  };
  const replica = {
    ...store,
    isBehind: false,
    get: async (key: string) => {
      reads.push(key);
      const old = before.get(key);
      return replica.isBehind && old && old.left-- > 0 ? old.value : store.get(key);
    },
    set: (key: string, value: string, ttl: number) => noted(key, () => store.set(key, value, ttl)),
    add: (key: string, value: string, ttl: number) => noted(key, () => store.add(key, value, ttl)),
    replace: (key: string, expected: string, value: string | undefined, ttl: number) =>
      noted(key, () => store.replace(key, expected, value, ttl)),
  };
  return replica;
}

test.runIf(hasRedis)(
  'S05 a replica that does not have a session yet is read once more, and the user stays signed in',
  async () => {
    const store = behind(redisStore(client));
    const one = await createTestApp('express5', { authkit: inStore({ store }) });
    store.isBehind = true;
    expect((await one.signIn()).status).toBe(200);
  },
);

test.runIf(hasRedis)(
  'S05 a replica that still has the old tokens causes no second refresh and signs no user out',
  async () => {
    const store = behind(redisStore(client));
    const one = await createTestApp('express5', { workos: { replayWindow: 0 }, authkit: inStore({ store }) });
    await one.signIn();
    one.workos.clock.advance(LATER);
    expect((await one.browser.fetch(`${one.origin}/account`)).status).toBe(200);
    store.isBehind = true;
    const two = await one.sibling();
    expect((await at(two, await cookieOf(one, one.browser))).status).toBe(200);
    expect(one.workos.callsTo('refresh')).toHaveLength(1);
  },
);

test.runIf(hasRedis)(
  'S05 the old cookie at a replica without the refresh record signs no user out',
  async () => {
    // Lagging so far that WorkOS refuses the used token before the process sees the other process's result.
    const store = behind(redisStore(client), 3);
    const one = await createTestApp('express5', { workos: { replayWindow: 0 }, authkit: inStore({ store }) });
    await one.signIn();
    const old = await cookieOf(one, one.browser);
    one.workos.clock.advance(LATER);
    expect((await one.browser.fetch(`${one.origin}/account`)).status).toBe(200);
    store.isBehind = true;
    const reply = await at(await one.sibling(), old);
    expect(reply.status).toBe(200);
    expect(cleared(reply)).toBe(false);
  },
);

test.runIf(hasRedis)(
  'S05 a session that is missing at the second read has ended, after two reads',
  async () => {
    const reads: string[] = [];
    const one = await createTestApp('express5', {
      authkit: inStore({ store: behind(redisStore(client), 1, reads) }),
    });
    await one.signIn();
    const cookie = await cookieOf(one, one.browser);
    await client.del((await kept()).key);
    const two = await one.sibling();
    reads.length = 0;
    const reply = await at(two, cookie);
    expect(reply.status).toBe(401);
    expect(reply.setCookies).toEqual([]);
    expect(reads).toHaveLength(2);
  },
);

test.runIf(hasRedis)(
  'S06 a stored session lives as long as its cookie, and only a refresh extends it',
  async () => {
    const maxAge = 3600;
    const writes: string[] = [];
    const store = watched(redisStore(client), (method) => method !== 'get' && writes.push(method));
    const one = await createTestApp('express5', { authkit: inStore({ store, cookie: { maxAge } }) });
    await one.signIn();
    const { key } = await kept();
    const left = async () => (await client.pTTL(key)) / 1000;
    expect(await left()).toBeLessThanOrEqual(maxAge);
    expect(await left()).toBeGreaterThan(maxAge - 60);
    await client.pExpire(key, 100_000);
    writes.length = 0;
    for (let request = 0; request < 5; request += 1)
      await at(await one.sibling(), await cookieOf(one, one.browser));
    expect(writes).toEqual([]);
    expect(await left()).toBeLessThanOrEqual(100);
    one.workos.clock.advance(LATER);
    const reply = await one.browser.fetch(`${one.origin}/account`);
    expect(reply.setCookies[0]).toContain(`Max-Age=${maxAge};`);
    expect(await left()).toBeLessThanOrEqual(maxAge);
    expect(await left()).toBeGreaterThan(maxAge - 60);
    for (const other of await client.keys('*')) {
      expect(await client.pTTL(other)).toBeGreaterThan(0);
      expect(await client.pTTL(other)).toBeLessThanOrEqual(maxAge * 1000);
    }
  },
);

test('S07 session ids have 256 random bits, and none of 1000 forged references is accepted', () => {
  const ids = createSessionIds(['a-password-for-tests-and-for-nothing-else']);
  const other = createSessionIds(['another-password-for-tests-and-for-nothing']);
  const session = { accessToken: 'a.e30.c', refreshToken: 'rt', user: { id: 'user_1' }, own: {} } as never;
  const made = new Set(Array.from({ length: 1000 }, () => ids.create()));
  expect(made.size).toBe(1000);
  for (const id of made) expect(Buffer.from(id, 'base64url')).toHaveLength(32);
  expect(ids.read(ids.write(ids.create(), session))).toBeDefined();
  for (const id of made) expect(ids.read(other.write(id, session))).toBeUndefined();
});

test.runIf(hasRedis)(
  'S07 forged, guessed and altered session references are rejected without reading the store',
  async () => {
    const reads: string[] = [];
    const store = watched(redisStore(client), (method, key) => method === 'get' && reads.push(key));
    const site = await createTestApp('express5', { authkit: inStore({ store }) });
    await site.signIn();
    const good = (await site.browser.cookie(site.origin, 'wos-session'))!;
    const parts = good.split('.') as [string, string, string, string, string];
    const [prefix, id, version, told, mac] = parts;
    const flip = (text: string) => (text.startsWith('A') ? 'B' : 'A') + text.slice(1);
    const last = (text: string) => text.slice(0, -1) + (text.endsWith('A') ? 'B' : 'A');
    const elsewhere = createSessionIds(['another-password-for-tests-and-for-nothing']);
    const session = { accessToken: 'a.e30.c', refreshToken: 'rt', user: { id: 'user_1' }, own: {} } as never;
    reads.length = 0;
    const forged = [
      ...parts.map((_, index) => parts.map((part, at) => (at === index ? flip(part) : part))),
      [prefix, id, version, told, last(mac)],
      [prefix, id, version, told],
      [prefix, id, version, mac],
      [prefix, id, version, '', mac],
      [prefix, id, version, told, mac, ''],
      [prefix, id, version, told, ''],
      [prefix, 'A'.repeat(43), version, told, 'A'.repeat(43)],
      [prefix, '', '', '', ''],
      [`${prefix}.`.repeat(1000)],
      [prefix, id, version, told, 'é'.repeat(43)],
      [elsewhere.write(id, session)],
      ...Array.from({ length: 100 }, () => [elsewhere.write(elsewhere.create(), session)]),
    ].map((one) => one.join('.'));
    for (const value of forged) {
      const reply = await at(site, `wos-session=${value}`);
      expect(reply.status, value.slice(0, 200)).toBe(401);
      expect(reply.setCookies).toEqual([]);
    }
    expect(reads).toEqual([]);
    expect((await at(await site.sibling(), `wos-session=${good}`)).status).toBe(200);
    expect(reads.length).toBeGreaterThan(0);
  },
);
