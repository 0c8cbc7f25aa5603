import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WorkOS } from '@workos-inc/node';
import { authkit } from 'authkit-express';
import { resolveConfig } from '../../src/config/index.js';
import { createWorkOSClient } from '../../src/workos/api-client.js';
import { serve } from '../support/frameworks.js';
import { Browser, FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, whoami, createFrozenTestApp, type TestApp } from '../support/app.js';
import { messagesOn } from '../support/events.js';
import { advanceMonotonicClock } from '../support/monotonic-clock.js';

const LATER = 600_000;
const account = ({ origin }: TestApp, cookie: string, headers: Record<string, string> = FETCH) =>
  send(`${origin}/account`, { headers: { ...headers, cookie } });

/** Sessions of this many users, whose access tokens have expired. */
async function expiredSessions(at: TestApp, count: number): Promise<string[]> {
  const cookies = [];
  for (let index = 0; index < count; index += 1)
    cookies.push(await at.cookie({ user: { email: `user${index}@example.com` } }));
  at.workos.clock.advance(LATER);
  return cookies;
}

describe('19A WorkOS in trouble is left alone', () => {
  test('200 expired users and a WorkOS that answers 503: few calls, 503 at once, and one call each afterwards', async () => {
    // A busy machine may need longer than the default timeout for 200 refreshes at a time.
    const at = await createFrozenTestApp('express5', { authkit: { timeout: 60_000 } });
    const cookies = await expiredSessions(at, 200);
    const down = at.workos.fail({ on: 'refresh', status: 503 });
    for (let round = 0; round < 3; round += 1) {
      const replies = await Promise.all(cookies.map((cookie) => account(at, cookie)));
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([503]));
      expect(replies.flatMap(({ setCookies }) => setCookies)).toEqual([]);
    }
    expect(at.workos.callsTo('refresh').length).toBeLessThanOrEqual(50);
    down.restore();
    at.workos.clock.advance(5000);
    const before = at.workos.callsTo('refresh').length;
    // A single probe finds out that WorkOS works again.
    expect((await account(at, cookies[0]!)).status).toBe(200);
    const replies = await Promise.all(cookies.slice(1).map((cookie) => account(at, cookie)));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(at.workos.callsTo('refresh').length - before).toBe(200);
  });

  test('429 with Retry-After: 30 is one call in thirty seconds, whoever asks and for whatever', async () => {
    const at = await createFrozenTestApp('express5');
    const cookies = await expiredSessions(at, 20);
    at.workos.fail({ on: 'refresh', status: 429, headers: { 'retry-after': '30' } });
    expect((await account(at, cookies[0]!)).headers['retry-after']).toBe('30');
    at.workos.recover();
    at.workos.clock.advance(12_000);
    const before = at.workos.calls.length;
    for (const cookie of cookies) {
      const reply = await account(at, cookie);
      expect(reply.status).toBe(503);
      expect(Number(reply.headers['retry-after'])).toBeGreaterThan(10);
      expect(Number(reply.headers['retry-after'])).toBeLessThanOrEqual(18);
    }
    const { location } = await at.browser.go(`${at.origin}/login`);
    const callback = await at.workos.authorize(location!, { user: ADA });
    expect((await at.browser.go(callback)).status).toBe(503);
    expect(at.workos.callsTo('code')).toEqual([]);
    const operations = ['authenticate', 'code', 'refresh', 'jwks', 'user', 'apiKey', 'other'];
    const byTheApp = at.workos.calls.slice(before).filter(({ operation }) => operations.includes(operation));
    expect(byTheApp).toEqual([]);
    at.workos.clock.advance(18_000);
    expect((await account(at, cookies[1]!)).status).toBe(200);
  });

  test('a hanging WorkOS gets at most 50 sockets, and then none', async () => {
    const at = await createFrozenTestApp('express5', { proxied: true, authkit: { timeout: 300 } });
    const cookies = await expiredSessions(at, 150);
    at.proxy!.set('hang');
    const before = at.proxy!.connections();
    for (let round = 0; round < 2; round += 1) {
      const replies = await Promise.all(cookies.map((cookie) => account(at, cookie)));
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([503]));
    }
    expect(at.proxy!.connections() - before).toBeLessThanOrEqual(50);
  });

  test('keys that cannot be fetched are not asked for by every request', async () => {
    const at = await createFrozenTestApp('express5');
    const cookie = await at.cookie();
    at.workos.fail({ on: 'jwks', status: 500 });
    for (let count = 0; count < 100; count += 1) expect((await account(at, cookie)).status).toBe(503);
    expect(at.workos.callsTo('jwks').length).toBeLessThanOrEqual(15);
    at.workos.recover();
    at.workos.clock.advance(5000);
    expect((await account(at, cookie)).status).toBe(200);
  });

  test('an answer is never asked for again at once, a lost connection once', async () => {
    const at = await createFrozenTestApp('express5');
    const [cookie] = await expiredSessions(at, 1);
    const faults = [
      [{ status: 500 }, 1],
      [{ status: 502, body: '<html>' }, 1],
      [{ status: 408 }, 1],
      [{ status: 429 }, 1],
      [{ body: '{' }, 1],
      [{ reset: true }, 2],
    ] as const;
    for (const [fault, calls] of faults) {
      const before = at.workos.callsTo('refresh').length;
      at.workos.fail({ on: 'refresh', ...fault });
      expect((await account(at, cookie!)).status, JSON.stringify(fault)).toBe(503);
      expect(at.workos.callsTo('refresh').length - before, JSON.stringify(fault)).toBe(calls);
      at.workos.recover();
      at.workos.clock.advance(5000);
    }
    at.workos.fail({ on: 'refresh', reset: true, after: true, times: 1 });
    expect((await account(at, cookie!)).status).toBe(200);
  });

  test('an open circuit is an event, and so is its end', async () => {
    const events = messagesOn('authkit:breaker');
    const at = await createFrozenTestApp('express5');
    const cookies = await expiredSessions(at, 30);
    at.workos.fail({ on: 'refresh', status: 500 });
    for (const cookie of cookies) await account(at, cookie);
    at.workos.recover();
    at.workos.clock.advance(5000);
    await account(at, cookies[0]!);
    expect(events.map(({ state }) => state)).toEqual(['open', 'half-open', 'closed']);
  });
});

test.each([
  ['7', '7'],
  ['1', '1'],
  ['0', '1'],
  ['60', '60'],
  ['61', '60'],
  ['86400', '60'],
  ['99999999999999', '5'],
  ['-1', '5'],
  ['1.5', '5'],
  ['soon', '5'],
  ['0x10', '5'],
  ['', '5'],
  [undefined, '5'],
])('R05 Retry-After %j of a 429 becomes %s', async (value, expected) => {
  const at = await createFrozenTestApp('express5');
  const [cookie] = await expiredSessions(at, 1);
  const headers = value === undefined ? {} : { 'retry-after': value };
  at.workos.fail({ on: 'refresh', status: 429, headers, body: '<html>slow down</html>' });
  expect((await account(at, cookie!)).headers['retry-after']).toBe(expected);
});

test.each([
  ['in the past', -3_600_000, '1'],
  ['in a year', 31_536_000_000, '60'],
])('R05 Retry-After as a date %s', async (_, offset, expected) => {
  const at = await createFrozenTestApp('express5');
  const [cookie] = await expiredSessions(at, 1);
  const date = new Date(Date.now() + offset).toUTCString();
  at.workos.fail({ on: 'refresh', status: 429, headers: { 'retry-after': date } });
  expect((await account(at, cookie!)).headers['retry-after']).toBe(expected);
});

test('R05 Retry-After as a date counts from now', async () => {
  const at = await createFrozenTestApp('express5');
  const [cookie] = await expiredSessions(at, 1);
  const date = new Date(Date.now() + 20_000).toUTCString();
  at.workos.fail({ on: 'refresh', status: 503, headers: { 'retry-after': date } });
  const seconds = Number((await account(at, cookie!)).headers['retry-after']);
  expect(seconds).toBeGreaterThanOrEqual(15);
  expect(seconds).toBeLessThanOrEqual(20);
});

test("R06 an operator's mistake is warned about once a minute, and again in the next one", async () => {
  const warnings: string[] = [];
  const listen = (warning: Error & { code?: string }) => {
    if (warning.code === 'AUTHKIT_UPSTREAM') warnings.push(warning.message);
  };
  process.on('warning', listen);
  onTestFinished(() => void process.off('warning', listen));
  const at = await createFrozenTestApp('express5');
  const cookie = await at.cookie();
  at.workos.clock.advance(10 * 86_400_000);
  at.workos.fail({ on: 'refresh', status: 401, body: { message: 'Unauthorized' } });
  const seen: number[] = [];
  for (const pause of [0, 100, 29_900, 29_000, 2000, 30_000, 32_000]) {
    advanceMonotonicClock(pause);
    expect((await account(at, cookie)).status).toBe(503);
    await new Promise(setImmediate);
    seen.push(warnings.length);
  }
  expect(seen).toEqual([1, 1, 1, 1, 2, 2, 3]);
});

describe('16I the fetch of an app', () => {
  /** An application that calls WorkOS in its own way, with `fetch` or a WorkOS client. */
  async function withFetch(own: 'fetch' | 'workos') {
    const at = await createFrozenTestApp('express5');
    const seen: string[] = [];
    const fetchFn: typeof fetch = (input, init) => {
      seen.push(new URL(input instanceof Request ? input.url : input).pathname);
      return fetch(input, init);
    };
    const { apiKey, clientId, apiHostname, apiPort, apiHttps, ...rest } = at.workos.options;
    const client = new WorkOS({ apiKey, clientId, apiHostname, port: apiPort, https: apiHttps, fetchFn });
    const given = own === 'fetch' ? { ...at.workos.options, fetch: fetchFn } : { ...rest, workos: client };
    const site = await serve('express5', (app, origin) => {
      app.use(authkit({ ...given, redirectUri: `${origin}/callback` }));
      app.route('/open', whoami);
    });
    onTestFinished(() => site.close());
    return { at, seen, site };
  }

  test.each(['fetch', 'workos'] as const)(
    'option %s: the keys, the exchange and the refresh use it',
    async (own) => {
      const { at, seen, site } = await withFetch(own);
      const browser = new Browser();
      const { location } = await browser.go(`${site.origin}/login`);
      expect((await browser.go(await at.workos.authorize(location!, { user: ADA }))).status).toBe(302);
      at.workos.clock.advance(LATER);
      expect(JSON.parse((await browser.go(`${site.origin}/open`)).body)).toMatchObject({ email: ADA });
      const keys = `/sso/jwks/${at.workos.options.clientId}`;
      expect(new Set(seen)).toEqual(new Set([keys, '/user_management/authenticate']));
      expect(seen.filter((path) => path === '/user_management/authenticate')).toHaveLength(2);
    },
  );

  test.each<[string, typeof fetch]>([
    [
      'throws',
      () => {
        throw new Error('a bug');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no proxy'))],
    ['answers junk', () => Promise.resolve('junk' as unknown as Response)],
    ['answers nothing', () => Promise.resolve(undefined as unknown as Response)],
    ['never answers and ignores its signal', () => new Promise(() => undefined)],
  ])('one that %s is an outage', async (_, own) => {
    const at = await createFrozenTestApp('express5', { authkit: { fetch: own, timeout: 200 } });
    const cookie = await at.cookie();
    const reply = await account(at, cookie, NAVIGATION);
    expect({ status: reply.status, cookies: reply.setCookies }).toEqual({ status: 503, cookies: [] });
  });

  test('what is not a function is a problem at start-up', () => {
    const options = { clientId: 'client_1', apiKey: 'sk_1', redirectUri: 'http://localhost/callback' };
    const cookiePassword = 'a-password-for-tests-and-for-nothing-else';
    expect(() => authkit({ ...options, cookiePassword, fetch: 'x' as never })).toThrow(
      'fetch must be a function',
    );
  });
});

/** A server in place of WorkOS. */
async function upstream(answer: RequestListener): Promise<number> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test('WorkOS’s answers are limited in size, whatever their length says', async () => {
  let sent = 0;
  const port = await upstream((req, res) => {
    res.writeHead(200, { 'content-type': 'application/json' });
    const write = () => {
      while (!res.destroyed && sent < 50_000_000) {
        sent += 65_536;
        if (!res.write(Buffer.alloc(65_536, 32))) return void res.once('drain', write);
      }
      res.end();
    };
    write();
  });
  const config = resolveConfig(
    {
      clientId: 'client_1',
      apiKey: 'sk_1',
      redirectUri: 'http://localhost:1/callback',
      cookiePassword: 'a-password-for-tests-and-for-nothing-else',
      apiHostname: '127.0.0.1',
      apiHttps: false,
      apiPort: port,
    },
    {},
  );
  await expect(createWorkOSClient(config).fetchKeysResponse()).rejects.toMatchObject({ reason: 'network' });
  expect(sent).toBeLessThan(20_000_000);
});
