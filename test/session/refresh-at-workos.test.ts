import { createServer } from 'node:http';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Browser, FETCH, NAVIGATION, send, type Reply } from '../support/browser.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { ADA, whoami, createTestApp } from '../support/app.js';

/** Longer than the lifetime of any access token in the tests, in milliseconds. */
const LATER = 600_000;

function sessionOf(reply: Reply): string | undefined {
  return reply.setCookies.find((line) => line.startsWith('wos-session='))?.split(';', 1)[0];
}

describe.each(FRAMEWORKS)('refresh on %s', (framework) => {
  test('an expired session is refreshed before the handler runs, also for POST', async () => {
    const { origin, cookie, workos, served } = await createTestApp(framework);
    const old = await cookie({ user: ADA });
    workos.clock.advance(LATER);
    const reply = await send(`${origin}/account`, { method: 'POST', headers: { ...FETCH, cookie: old } });
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.body)).toMatchObject({ email: ADA });
    expect(reply.headers['cache-control']).toBe('private, no-store');
    const renewed = sessionOf(reply);
    const again = await send(`${origin}/account`, { headers: { ...FETCH, cookie: renewed! } });
    expect(again.status).toBe(200);
    expect(again.setCookies).toEqual([]);
    expect(workos.callsTo('refresh')).toHaveLength(1);
    expect(served()).toBe(2);
  });

  test('a process that stands still past every deadline sends nobody to sign in over a slow WorkOS', async () => {
    const { origin, cookie, workos } = await createTestApp(framework, { authkit: { timeout: 300 } });
    const old = await cookie({ user: ADA });
    workos.clock.advance(LATER);
    workos.fail({ on: 'refresh', delay: 5000, times: 1 });
    const pending = send(`${origin}/account`, { headers: { ...NAVIGATION, cookie: old } });
    while (workos.callsTo('refresh').length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    // At this point the guard is waiting. The process is then blocked until both its deadline and the first attempt's
    // have passed.
    await new Promise((resolve) => setTimeout(resolve, 120));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 900);
    const reply = await pending;
    expect({ status: reply.status, cookies: reply.setCookies }).toEqual({ status: 503, cookies: [] });
    // Only a connection that was lost before the response justifies an immediate second call.
    expect(workos.callsTo('refresh')).toHaveLength(1);
    const next = await send(`${origin}/account`, { headers: { ...NAVIGATION, cookie: old } });
    expect(next.status).toBe(200);
    expect(sessionOf(next)).toBeDefined();
  });

  test('T13 F01 100 simultaneous requests with one expired session cause one refresh and all get status 200', async () => {
    const { origin, cookie, workos } = await createTestApp(framework, { workos: { replayWindow: 0 } });
    const old = await cookie({ user: ADA });
    workos.clock.advance(LATER);
    const headers = { ...FETCH, cookie: old };
    const replies = await Promise.all(
      Array.from({ length: 100 }, () => send(`${origin}/account`, { headers })),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => 200));
    expect(sessionOf(replies[0]!)).toBeDefined();
    expect(new Set(replies.map(sessionOf)).size).toBe(1);
    expect(workos.callsTo('refresh')).toHaveLength(1);
  });

  test('100 requests with the old cookie over a second cause one refresh and all get status 200', async () => {
    const { origin, cookie, workos } = await createTestApp(framework, { workos: { replayWindow: 0 } });
    const old = await cookie({ user: ADA });
    workos.clock.advance(LATER);
    for (let request = 0; request < 100; request += 1) {
      const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: old } });
      expect(reply.status).toBe(200);
      expect(sessionOf(reply)).toBeDefined();
      workos.clock.advance(10);
    }
    expect(workos.callsTo('refresh')).toHaveLength(1);
  });

  test('R07 if WorkOS has ended the session, the cookie is cleared, sign-in is offered and the refresh token is not sent again', async () => {
    const { origin, cookie, workos, served } = await createTestApp(framework);
    const old = await cookie({ user: ADA });
    workos.endSession(
      (
        JSON.parse((await send(`${origin}/account`, { headers: { ...FETCH, cookie: old } })).body) as {
          sessionId: string;
        }
      ).sessionId,
    );
    workos.clock.advance(LATER);
    const page = await send(`${origin}/account`, { headers: { ...NAVIGATION, cookie: old } });
    expect({ status: page.status, location: page.location }).toEqual({
      status: 302,
      location: `${origin}/login?returnTo=%2Faccount`,
    });
    expect(page.setCookies[0]).toMatch(/^wos-session=; Max-Age=0;/);
    const call = await send(`${origin}/account`, { headers: { ...FETCH, cookie: old } });
    expect(call.status).toBe(401);
    expect(workos.callsTo('refresh')).toHaveLength(1);
    expect(served()).toBe(1);
  });

  test.each([
    ['500', { status: 500 }],
    ['502 HTML', { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>502</html>' }],
    ['429', { status: 429, headers: { 'retry-after': '7' }, body: '{}' }],
    ['401 wrong API key', { status: 401, body: '{"message":"Unauthorized"}' }],
    ['invalid_client', { status: 400, body: '{"error":"invalid_client"}' }],
    ['404', { status: 404, body: '{}' }],
    ['a reset connection', { reset: true }],
    ['an endless wait', { hang: true }],
    ['200 with nothing in it', { status: 200, body: '{}' }],
    [
      '200 that is a page',
      { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>login</html>' },
    ],
  ])('an outage signs no user out: %s', async (_, fault) => {
    // Short only if there is no response at all, because on a busy machine a short deadline can cause an outage by
    // itself.
    const timeout = 'hang' in fault ? 300 : 5000;
    const { origin, cookie, workos, served } = await createTestApp(framework, { authkit: { timeout } });
    const old = await cookie({ user: ADA });
    workos.clock.advance(LATER);
    workos.fail({ on: 'refresh', ...fault });
    for (const headers of [NAVIGATION, FETCH]) {
      const reply = await send(`${origin}/account`, { headers: { ...headers, cookie: old } });
      expect(reply.status).toBe(503);
      expect(reply.setCookies).toEqual([]);
      expect(reply.headers['retry-after']).toMatch(/^([1-9]|[1-5]\d|60)$/);
      expect(reply.headers['cache-control']).toBe('private, no-store');
    }
    const open = await send(`${origin}/open`, { headers: { ...FETCH, cookie: old } });
    expect(JSON.parse(open.body)).toMatchObject({ email: null, reason: 'unavailable' });
    workos.recover();
    // As long as the longest Retry-After of these responses.
    workos.clock.advance(7000);
    // Requests wait for a call that is still hanging. The first request after it succeeds.
    await vi.waitFor(async () => {
      expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: old } })).status).toBe(200);
    }, 30_000);
    expect(served()).toBe(1);
  });

  test('F07 a refresh whose response is lost is sent again, and the request succeeds', async () => {
    const { origin, cookie, workos } = await createTestApp(framework);
    const old = await cookie({ user: ADA });
    workos.clock.advance(LATER);
    workos.fail({ on: 'refresh', reset: true, after: true, times: 1 });
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: old } })).status).toBe(200);
    expect(workos.callsTo('refresh')).toHaveLength(2);
  });

  test('before expiry the old token is used if the refresh fails, and the refresh is not repeated at every request', async () => {
    const { origin, cookie, workos } = await createTestApp(framework);
    const old = await cookie({ user: ADA });
    const headers = { ...FETCH, cookie: old };
    expect((await send(`${origin}/account`, { headers })).setCookies).toEqual([]);
    workos.clock.advance((300 - 30) * 1000);
    const fault = workos.fail({ on: 'refresh', status: 429, body: '{}', headers: { 'retry-after': '1' } });
    for (let request = 0; request < 5; request += 1) {
      expect((await send(`${origin}/account`, { headers })).status).toBe(200);
    }
    expect(workos.callsTo('refresh')).toHaveLength(1);
    fault.restore();
    workos.clock.advance(10_000);
    const renewed = await send(`${origin}/account`, { headers });
    expect(renewed.status).toBe(200);
    expect(sessionOf(renewed)).toBeDefined();
  });

  test('while keys are unavailable requests get 503 and keep their cookie', async () => {
    const { origin, cookie, workos, served } = await createTestApp(framework);
    const session = await cookie({ user: ADA });
    for (const fault of [
      { status: 500 },
      { reset: true },
      { status: 200, body: '{"keys":[]}' },
      { status: 302 },
    ]) {
      const down = workos.fail({ on: 'jwks', ...fault });
      const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } });
      expect(reply.status).toBe(503);
      expect(reply.setCookies).toEqual([]);
      down.restore();
    }
    expect(served()).toBe(0);
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status).toBe(200);
  });
});

test('keys are kept while their server is unavailable, and a new key is fetched at once', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', {
    workos: { accessTokenLifetime: 7200 },
  });
  const ask = async (session: string) =>
    (await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status;
  const first = await cookie({ user: ADA });
  expect(await ask(first)).toBe(200);
  workos.clock.advance(3_600_000);
  const down = workos.fail({ on: 'jwks', status: 503 });
  expect(await ask(first)).toBe(200);
  down.restore();
  workos.clock.advance(60_000);
  await workos.rotateKeys({ keepOld: true });
  const before = workos.callsTo('jwks').length;
  expect(await ask(await cookie({ user: ADA }))).toBe(200);
  expect(workos.callsTo('jwks').length - before).toBe(1);
});

test('100 users with 20 simultaneous requests each get their own sessions', async () => {
  const users = Array.from({ length: 100 }, (_, index) => ({ email: `person${index}@example.com` }));
  const { origin, cookie, workos } = await createTestApp('express5', { workos: { users, replayWindow: 0 } });
  const cookies = await Promise.all(users.map(({ email }) => cookie({ user: email })));
  workos.clock.advance(LATER);
  const asked = users.flatMap(({ email }, index) =>
    Array.from({ length: 20 }, () => ({ email, cookie: cookies[index]! })),
  );
  const shuffled = asked
    .map((value, index) => ({ value, order: (index * 7919) % asked.length }))
    .sort((a, b) => a.order - b.order);
  const got = await Promise.all(
    shuffled.map(async ({ value }) => {
      const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: value.cookie } });
      return { email: value.email, reply: JSON.parse(reply.body) as { email: string } };
    }),
  );
  for (const { email, reply } of got) expect(reply.email).toBe(email);
  expect(workos.callsTo('refresh')).toHaveLength(100);
}, 60_000);

test('a request sees one session: readers after a refresh see the new one', async () => {
  const seen: (string | null)[] = [];
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app, auth) => {
      app.route('/switch', (req, res, next) => {
        const read = () =>
          (req as unknown as { auth: { organizationId: string | null } }).auth.organizationId;
        seen.push(read());
        auth.switchToOrganization(req, res, 'org_two').then((now) => {
          seen.push(read(), now?.organizationId ?? null);
          whoami(req, res, next);
        }, next);
      });
    },
    workos: {
      organizations: [
        { id: 'org_one', name: 'One' },
        { id: 'org_two', name: 'Two' },
      ],
      users: [{ email: ADA, memberships: [{ organizationId: 'org_one' }, { organizationId: 'org_two' }] }],
    },
  });
  const session = await cookie({ user: ADA, organizationId: 'org_one' });
  const reply = await send(`${origin}/switch`, { headers: { ...FETCH, cookie: session } });
  expect(reply.status).toBe(200);
  expect(seen).toEqual(['org_one', 'org_two', 'org_two']);
  expect(sessionOf(reply)).toBeDefined();
});

test('a refresh sends the organization of the session, so that it never changes', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', {
    workos: {
      organizations: [{ id: 'org_one', name: 'One' }],
      users: [{ email: ADA, memberships: [{ organizationId: 'org_one' }] }],
    },
  });
  const session = await cookie({ user: ADA, organizationId: 'org_one' });
  workos.clock.advance(LATER);
  await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } });
  expect(workos.callsTo('refresh')[0]!.body).toMatchObject({ organization_id: 'org_one' });
});

test('F08 a refresh completes even if the client that caused it disconnects', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', { workos: { replayWindow: 0 } });
  const old = await cookie({ user: ADA });
  workos.clock.advance(LATER);
  workos.fail({ on: 'refresh', delay: 200, times: 1 });
  const gone = new AbortController();
  const left = fetch(`${origin}/account`, { headers: { cookie: old }, signal: gone.signal }).catch(
    () => 'left',
  );
  while (workos.callsTo('refresh').length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  gone.abort();
  expect(await left).toBe('left');
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: old } })).status).toBe(200);
  expect(workos.callsTo('refresh')).toHaveLength(1);
});

test('a hanging refresh of one user does not delay other users', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', { authkit: { timeout: 1500 } });
  const waiting = await cookie({ user: ADA });
  workos.clock.advance(LATER);
  const fine = await cookie({ user: 'grace@example.com' });
  workos.fail({ on: 'refresh', hang: true });
  const slow = send(`${origin}/account`, { headers: { ...FETCH, cookie: waiting } });
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: fine } })).status).toBe(200);
  expect((await slow).status).toBe(503);
});

test('if WorkOS cannot be reached, sign-in shows an error and no user is signed out', async () => {
  const { origin, browser, signIn, workos } = await createTestApp('express5');
  await signIn();
  const port = workos.options.apiPort;
  await workos.close();
  workos.clock.advance(LATER);
  const reply = await browser.go(`${origin}/account`);
  expect(reply.status).toBe(503);
  expect(await browser.cookie(origin, 'wos-session')).toBeDefined();
  const squatter = createServer((_req, res) => res.end('not WorkOS')).listen(port, '127.0.0.1');
  onTestFinished(() => void squatter.close());
  expect((await new Browser().go(`${origin}/account`)).status).toBe(302);
});
