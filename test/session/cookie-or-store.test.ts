import { MemoryStore } from 'express-session';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { authkit, expressStore, type Store } from 'authkit-express';
import { redisStore } from 'authkit-express/redis';
import { FRAMEWORKS } from '../support/frameworks.js';
import { Browser, FETCH, NAVIGATION, send, type Reply } from '../support/browser.js';
import { connected, hasRedis, startRedis, stop, type RedisServer } from '../support/redis.js';
import { ADA, whoami, createTestApp, type Options, type TestAppOptions } from '../support/app.js';

/** Longer than any access token of the tests lives, in milliseconds. */
const LATER = 600_000;

let server: RedisServer;
let client: Awaited<ReturnType<typeof connected>>;

beforeAll(async () => {
  if (hasRedis) server = await startRedis();
});
afterAll(() => (hasRedis ? stop(server) : undefined));

const sessionOf = (reply: Reply) =>
  reply.setCookies.find((line) => /^wos-session=[^;]/.test(line))?.split(';', 1)[0];

/** Everything in Redis. */
async function contents(): Promise<[key: string, value: string][]> {
  const keys = await client.keys('*');
  return Promise.all(
    keys.map(async (key): Promise<[string, string]> => [key, (await client.get(key)) ?? '']),
  );
}

const sessionsInStore = async () => (await client.keys('authkit:session:*')).length;

describe.runIf(hasRedis)('with Redis', () => {
  beforeEach(async () => {
    client = await connected(server.url);
    await client.flushAll();
  });

  const MODES = ['cookie', 'store'] as const;
  const over = (mode: (typeof MODES)[number], options: Options = {}): Options => ({
    store: redisStore(client),
    session: mode,
    ...options,
  });

  describe.each(FRAMEWORKS)('on %s', (framework) => {
    test.each(MODES)('sign-in, guard, refresh and sign-out work with the session in the %s', async (mode) => {
      const site = await createTestApp(framework, { authkit: over(mode) });
      const { origin, browser, workos } = site;
      expect((await site.signIn()).status).toBe(200);
      workos.clock.advance(LATER);
      expect((await browser.go(`${origin}/account`)).status).toBe(200);
      expect(workos.callsTo('refresh')).toHaveLength(1);
      expect(await sessionsInStore()).toBe(mode === 'store' ? 1 : 0);
      const cookie = await browser.jar.getCookieString(origin);
      await browser.go(`${origin}/logout`, { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } });
      expect(await sessionsInStore()).toBe(0);
      const served = site.served();
      expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(401);
      expect(site.served()).toBe(served);
    });
  });

  test.each(MODES)(
    '100 requests over two processes cause one refresh and one organization switch, with the session in the %s',
    async (mode) => {
      const organizations = ['org_one', 'org_two'].map((id) => ({ id, name: id }));
      const memberships = organizations.map(({ id }) => ({ organizationId: id }));
      const options: TestAppOptions = {
        workos: { replayWindow: 0, organizations, users: [{ email: ADA, memberships }] },
        authkit: over(mode, { timeout: 20_000 }),
        routes: (app, auth) => {
          app.route('/switch', (req, res, next) => {
            auth.switchToOrganization(req, res, 'org_two').then(() => {
              whoami(req, res, next);
            }, next);
          });
        },
      };
      const one = await createTestApp('express5', options);
      const two = await one.sibling();
      await one.signIn();
      const cookie = await one.browser.jar.getCookieString(one.origin);
      one.workos.clock.advance(LATER);
      const ask = (index: number, path = '/account') =>
        send(`${index % 2 === 0 ? one.origin : two.origin}${path}`, { headers: { ...FETCH, cookie } });
      const replies = await Promise.all(Array.from({ length: 100 }, (_, index) => ask(index)));
      expect(replies.filter(({ status }) => status !== 200)).toEqual([]);
      // If the newer tokens are already in the store, no new cookie is needed.
      expect(new Set(replies.flatMap((reply) => sessionOf(reply) ?? [])).size).toBe(1);
      expect(one.workos.callsTo('refresh')).toHaveLength(1);

      const mixed = await Promise.all(
        Array.from({ length: 40 }, (_, index) => ask(index, index % 4 < 2 ? '/switch' : '/account')),
      );
      expect(mixed.filter(({ status }) => status !== 200)).toEqual([]);
      // Each token was used once: without a replay window, WorkOS would have ended the session at the second use.
      expect(one.workos.callsTo('refresh').every(({ status }) => status === 200)).toBe(true);
      const tokens = one.workos.callsTo('refresh').map(({ body }) => body!['refresh_token']);
      expect(new Set(tokens).size).toBe(tokens.length);
    },
  );

  test('the store contains no readable token, email address or user id', async () => {
    const site = await createTestApp('express5', { authkit: over('store') });
    await site.signIn();
    site.workos.clock.advance(LATER);
    const reply = await site.browser.go(`${site.origin}/account`);
    const { sessionId } = JSON.parse(reply.body) as { sessionId: string };
    const told = JSON.stringify(await contents());
    for (const secret of ['ada@', 'Lovelace', 'eyJhbGci', sessionId, 'user_'])
      expect(told).not.toContain(secret);
    for (const [key] of await contents()) expect(await client.pTTL(key)).toBeGreaterThan(0);
    const cookie = await site.browser.cookie(site.origin, 'wos-session');
    expect(cookie).toMatch(/^s1\.[\w-]{43}\.[\w-]{13,20}\.[\w-]+\.[\w-]{43}$/);
  });

  test('a session of any size fits, because the cookie contains an id', async () => {
    const data = { text: 'x'.repeat(100_000) };
    const site = await createTestApp('express5', { authkit: over('store', { onSuccess: () => ({ data }) }) });
    expect((await site.signIn()).status).toBe(200);
    expect(await site.browser.cookieNames(site.origin)).toEqual(['wos-session', 'wos-signed-in']);
  });

  test.each(MODES)('switching to sessions in the %s signs no user out', async (mode) => {
    const one = await createTestApp('express5', { authkit: over(mode === 'store' ? 'cookie' : 'store') });
    const two = await one.sibling({ session: mode });
    await one.signIn();
    const before = await one.browser.jar.getCookieString(one.origin);
    const headers = { ...FETCH, cookie: before };
    const moved = await Promise.all(
      Array.from({ length: 5 }, () => send(`${two.origin}/account`, { headers })),
    );
    expect(moved.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const [after] = moved.flatMap((reply) => sessionOf(reply) ?? []);
    expect(after).toMatch(mode === 'store' ? /^wos-session=s1\./ : /^wos-session=Fe26\.2\*/);
    expect(await sessionsInStore()).toBe(1);
    one.workos.clock.advance(LATER);
    // Old and new cookies at old and new processes at the same time cause one refresh.
    const asks = [before, after!].flatMap((cookie) =>
      [one.origin, two.origin].map((origin) => ({ origin, cookie })),
    );
    const replies = await Promise.all(
      asks.map(({ origin, cookie }) => send(`${origin}/account`, { headers: { ...FETCH, cookie } })),
    );
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(one.workos.callsTo('refresh')).toHaveLength(1);
  });

  test.each(MODES)('sign-out is effective in every process, with the session in the %s', async (mode) => {
    const one = await createTestApp('express5', { authkit: over(mode) });
    const two = await one.sibling();
    await one.signIn();
    const cookie = await one.browser.jar.getCookieString(one.origin);
    const ask = (origin: string) => send(`${origin}/account`, { headers: { ...FETCH, cookie } });
    expect((await ask(two.origin)).status).toBe(200);
    await one.browser.fetch(`${one.origin}/logout`, { method: 'POST' });
    expect((await ask(one.origin)).status).toBe(401);
    await wait(600);
    const served = two.served();
    expect((await ask(two.origin)).status).toBe(401);
    one.workos.clock.advance(LATER);
    expect((await ask(two.origin)).status).toBe(401);
    expect(two.served()).toBe(served);
    expect(one.workos.callsTo('refresh')).toEqual([]);
  });

  test('the password can be rotated with sessions in the store', async () => {
    const [old, fresh] = ['an-older-password-of-this-application', 'the-newer-password-of-this-application'];
    const one = await createTestApp('express5', { authkit: over('store', { cookiePassword: old }) });
    await one.signIn();
    const cookie = await one.browser.jar.getCookieString(one.origin);
    const both = await one.sibling({ cookiePassword: [old, fresh] });
    const rotated = await one.sibling({ cookiePassword: [fresh, old] });
    for (const { origin } of [both, rotated]) {
      one.workos.clock.advance(LATER);
      expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(200);
    }
    // The process before it can read what the newest one wrote.
    await wait(600);
    expect((await send(`${both.origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(200);
  });

  describe('an invalid session entry in the store', () => {
    test.each([
      ['rubbish', 'rubbish'],
      ['an array', '[1,2]'],
      ['of another version', (good: string) => good.replace(/^1\./, '2.')],
      ['cut short', (good: string) => good.slice(0, -1)],
      ['somebody else’s', undefined],
    ])('%s is 503, and the cookie is kept', async (_name, wrong) => {
      const site = await createTestApp('express5', { authkit: over('store') });
      await site.signIn();
      const cookie = await site.browser.jar.getCookieString(site.origin);
      const [[key, good]] = (await contents()).filter(([name]) => name.includes(':session:')) as [
        [string, string],
      ];
      const grace = new Browser();
      await site.signIn('grace@example.com', '/account', grace);
      const [theirs] = (await contents()).filter(([name]) => name.includes(':session:') && name !== key);
      const text = typeof wrong === 'function' ? wrong(good) : (wrong ?? theirs![1]);
      await client.set(key, text);
      const two = await site.sibling();
      const reply = await send(`${two.origin}/account`, { headers: { ...FETCH, cookie } });
      expect(reply.status).toBe(503);
      expect(reply.headers['retry-after']).toBeDefined();
      expect(reply.setCookies).toEqual([]);
      expect(two.served()).toBe(0);
      await client.set(key, good);
      expect((await send(`${two.origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(200);
      await client.del(key);
      const page = await send(`${(await site.sibling()).origin}/account`, {
        headers: { ...NAVIGATION, cookie },
      });
      expect(page.status).toBe(302);
    });

    test('a stored result of a refresh that is junk, or was moved from another key, is not used', async () => {
      const site = await createTestApp('express5', { authkit: over('cookie') });
      const cookies = await Promise.all([ADA, 'grace@example.com'].map((user) => site.cookie({ user })));
      site.workos.clock.advance(LATER);
      const ask = (origin: string, cookie: string) =>
        send(`${origin}/account`, { headers: { ...FETCH, cookie } });
      for (const cookie of cookies) expect((await ask(site.origin, cookie)).status).toBe(200);
      const records = (await contents()).filter(([name]) => name.includes(':refresh:'));
      expect(records).toHaveLength(2);
      const [one, two] = records as [[string, string], [string, string]];
      await client.set(one[0], two[1]);
      await client.set(two[0], '{"kind":"renewed"}');
      // The replay window of WorkOS covers results that the store has lost.
      const sibling = await site.sibling();
      for (const [index, cookie] of cookies.entries()) {
        const reply = await ask(sibling.origin, cookie);
        expect(JSON.parse(reply.body)).toMatchObject({ email: [ADA, 'grace@example.com'][index] });
      }
    });
  });
});

test('a store of express-session works for refreshes, sign-out and sessions in the store', async () => {
  const store = expressStore(new MemoryStore());
  const one = await createTestApp('express5', {
    workos: { replayWindow: 0 },
    authkit: { store, session: 'store', timeout: 20_000 },
  });
  const two = await one.sibling();
  await one.signIn();
  const cookie = await one.browser.jar.getCookieString(one.origin);
  one.workos.clock.advance(LATER);
  const ask = (origin: string) => send(`${origin}/account`, { headers: { ...FETCH, cookie } });
  const replies = await Promise.all(
    Array.from({ length: 40 }, (_, index) => ask(index % 2 === 0 ? one.origin : two.origin)),
  );
  expect(replies.filter(({ status }) => status !== 200)).toEqual([]);
  expect(one.workos.callsTo('refresh')).toHaveLength(1);
  await one.browser.fetch(`${one.origin}/logout`, { method: 'POST' });
  await wait(600);
  expect((await ask(two.origin)).status).toBe(401);
});

test('an object that is not a store is a start-up error that says how to fix it', () => {
  const start = (options: Options) => () =>
    authkit({
      clientId: 'client_1',
      apiKey: 'sk_test_1',
      redirectUri: 'https://app.example.com/callback',
      cookiePassword: 'a-password-for-tests-and-for-nothing-else',
      ...options,
    });
  expect(start({ store: {} as Store })).toThrow(/it has no get, set.*redisStore\(\)/);
  expect(start({ store: 'redis://localhost' as never })).toThrow(/redisStore\(\)/);
  expect(start({ session: 'store' })).toThrow(/needs a store/);
  expect(start({ session: 'redis' as never })).toThrow(/"cookie" or "store"/);
});
