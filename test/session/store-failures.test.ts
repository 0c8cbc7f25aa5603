import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { expect, onTestFinished, test } from 'vitest';
import { mapStore } from '../support/map-store.js';
import type { Store } from 'authkit-express';
import { redisStore } from 'authkit-express/redis';
import { Browser, FETCH, send, type Reply } from '../support/browser.js';
import { connected, hasRedis, redisServer, stop, type RedisServer } from '../support/redis.js';
import { ADA, createTestApp, type Application, type TestApp } from '../support/app.js';

const LATER = 600_000;
/** Longer than a store lookup is cached, in milliseconds of real time. */
const SEEN = 550;
/** Store calls time out after a fifth of this, in milliseconds. */
const SHORT = 500;
const LONG = 20_000;

/** Faults of a running Redis. */
const TROUBLES: Record<
  string,
  (server: RedisServer, call: (...words: string[]) => Promise<unknown>) => unknown
> = {
  'is down': (server) => stop(server),
  'hangs (SIGSTOP)': (server) => {
    server.signal('SIGSTOP');
  },
  'is slow (CLIENT PAUSE)': (_server, call) => call('client', 'pause', '60000', 'all'),
  'is READONLY': (_server, call) => call('replicaof', '127.0.0.1', '1'),
  'is OOM': (_server, call) => call('config', 'set', 'maxmemory', '1'),
  'wants a password (NOAUTH)': async (_server, call) => {
    await call('config', 'set', 'requirepass', 'other');
    await call('client', 'kill', 'type', 'normal', 'skipme', 'yes');
  },
};
/** Faults during which the store can still be read. */
const READABLE = ['is READONLY', 'is OOM'];

function admin({ port }: RedisServer) {
  const client = new Redis(port);
  client.on('error', () => undefined);
  onTestFinished(() => {
    client.disconnect();
  });
  return (...[name = '', ...words]: string[]) => client.call(name, ...words);
}

/** For a process that starts while Redis is unavailable. */
function starting(url: string): Store {
  const client = createClient({ url, socket: { reconnectStrategy: 50 } });
  const store = redisStore(client);
  void client.connect().catch(() => undefined);
  onTestFinished(() => {
    client.destroy();
  });
  return store;
}

const ask = (origin: string, cookie: string, path: string, method = 'GET') =>
  send(origin + path, { method, headers: { ...FETCH, cookie } });
const sessionLines = ({ setCookies }: Reply) => setCookies.filter((line) => line.startsWith('wos-session'));

interface Person {
  cookie: string;
  sessionId: string;
}

async function person(at: TestApp): Promise<Person> {
  const browser = new Browser();
  const { sessionId } = JSON.parse((await at.signIn(ADA, '/account', browser)).body) as Person;
  return { cookie: await browser.jar.getCookieString(at.origin), sessionId };
}

const MOMENTS = ['mid-flight', 'at start-up'] as const;
const CASES = Object.keys(TROUBLES).flatMap((name) => MOMENTS.map((moment) => [name, moment] as const));

test.runIf(hasRedis).each(CASES)(
  'S01 with sessions in a Redis that %s, %s, guarded pages get 503 and keep the cookie, public pages work, and no sign-in is half done',
  async (name, moment) => {
    const server = await redisServer();
    const client = await connected(server.url);
    const told: string[] = [];
    const one = await createTestApp('express5', {
      authkit: {
        store: redisStore(client),
        session: 'store',
        timeout: LONG,
        onError: ({ error }) => void told.push(error.code),
      },
    });
    const ada = await person(one);
    const canRead = READABLE.includes(name);
    const timeout = canRead ? LONG : SHORT;
    const running = await one.sibling({ timeout });
    await ask(running.origin, ada.cookie, '/account');
    await TROUBLES[name]!(server, admin(server));
    await wait(SEEN);
    const at =
      moment === 'mid-flight' ? running : await one.sibling({ timeout, store: starting(server.url) });
    await expectPages(at, ada, canRead);
    // A refreshed session that cannot be written is not lost, and the request still succeeds.
    one.workos.clock.advance(LATER);
    await expectPages(at, ada, canRead);
    expect(await signInAt(at, one)).toBe(503);
    expect(told.at(-1)).toBe('upstream_unavailable');

    const out = await ask(at.origin, ada.cookie, '/logout', 'POST');
    expect(out.status).toBe(200);
    expect(sessionLines(out)).toEqual([expect.stringMatching(/^wos-session=; Max-Age=0;/)]);
    const { logoutUrl } = JSON.parse(out.body) as { logoutUrl: string };
    expect(new URL(logoutUrl).searchParams.get('session_id')).toBe(ada.sessionId);
    const after = await ask(at.origin, ada.cookie, '/account');
    expect([401, 503]).toContain(after.status);
  },
);

async function expectPages(at: Application, { cookie }: Person, canRead: boolean): Promise<void> {
  const served = at.served();
  const guarded = await ask(at.origin, cookie, '/account');
  expect(guarded.status).toBe(canRead ? 200 : 503);
  expect(at.served() - served).toBe(canRead ? 1 : 0);
  if (!canRead) expect(guarded.headers['retry-after']).toMatch(/^\d+$/);
  expect(sessionLines(guarded).filter((line) => line.includes('Max-Age=0'))).toEqual([]);
  const open = await ask(at.origin, cookie, '/open');
  expect(open.status).toBe(200);
  expect(JSON.parse(open.body)).toMatchObject(
    canRead ? { email: ADA } : { email: null, reason: 'unavailable' },
  );
  expect(sessionLines(open).filter((line) => line.includes('Max-Age=0'))).toEqual([]);
}

/** Signs a user in, expects that no session cookie is set, and returns the status of the callback. */
async function signInAt({ origin }: Application, { workos }: TestApp): Promise<number> {
  const browser = new Browser();
  const away = await browser.go(`${origin}/login`);
  const back = await browser.go(await workos.authorize(away.location!, { user: ADA }));
  expect(sessionLines(back)).toEqual([]);
  expect(await browser.cookieNames(origin)).toEqual([]);
  return back.status;
}

test.each(['get', 'set', 'add', 'replace', 'delete'] as const)(
  'S01 with a store whose %s never answers, every request ends and no user is signed out',
  async (method) => {
    const good = mapStore();
    const one = await createTestApp('express5', {
      authkit: { store: good, session: 'store', timeout: SHORT },
    });
    const { cookie, sessionId } = await person(one);
    const at = await one.sibling({ store: { ...good, [method]: () => new Promise(() => undefined) } });
    one.workos.clock.advance(LATER);
    const guarded = await ask(at.origin, cookie, '/account');
    expect(guarded.status).toBe(method === 'get' ? 503 : 200);
    expect(sessionLines(guarded).filter((line) => line.includes('Max-Age=0'))).toEqual([]);
    const out = await ask(at.origin, cookie, '/logout', 'POST');
    expect(sessionLines(out)).toEqual([expect.stringMatching(/^wos-session=; Max-Age=0;/)]);
    expect(out.body).toContain(sessionId);
  },
);
