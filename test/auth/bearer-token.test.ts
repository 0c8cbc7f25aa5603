import { describe, expect, test } from 'vitest';
import { requireAuth, signedIn, type Auth } from 'authkit-express';
import { FRAMEWORKS } from '../support/frameworks.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, json, whoami, createTestApp, type TestApp } from '../support/app.js';

const GRACE = 'grace@example.com';
const bearer = (token: string) => ({ ...FETCH, authorization: `Bearer ${token}` });

/** A guard for every kind of principal, and one for each combination that a test needs. */
async function api(framework: (typeof FRAMEWORKS)[number] = 'express5') {
  const served: string[] = [];
  const there = await createTestApp(framework, {
    routes: (app) => {
      const routes = {
        '/any': requireAuth({ accepts: ['session', 'bearer', 'apiKey'] }),
        '/bearer': requireAuth({ accepts: ['bearer'] }),
        '/key': requireAuth({ accepts: ['apiKey'] }),
        '/billing': requireAuth({ accepts: ['bearer', 'apiKey'], permission: 'billing:read' }),
        '/recent': requireAuth({ accepts: ['bearer', 'apiKey'], maxAge: 60 }),
      };
      for (const [path, guard] of Object.entries(routes)) {
        app.route(path, guard, (req, res, next) => {
          served.push(path);
          whoami(req, res, next);
        });
      }
    },
  });
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    send(there.origin + path, { headers, method });
  return { ...there, ask, served } satisfies TestApp | object;
}

describe.each(FRAMEWORKS)('API clients on %s', (framework) => {
  test('an access token authenticates its user, and WorkOS is asked for the user once', async () => {
    const { workos, ask, served } = await api(framework);
    const token = await workos.accessToken({ user: GRACE });
    for (let i = 0; i < 3; i += 1) {
      const reply = await ask('/any', bearer(token));
      expect(reply.status).toBe(200);
      expect(JSON.parse(reply.body)).toMatchObject({ type: 'bearer', email: GRACE });
      expect(reply.headers['cache-control']).toBe('private, no-cache');
      expect(reply.setCookies).toEqual([]);
    }
    expect(workos.callsTo('user')).toHaveLength(1);
    expect(served).toEqual(['/any', '/any', '/any']);
  });

  test('an API key has permissions of its own, and WorkOS is asked about it once', async () => {
    const { workos, ask, served } = await api(framework);
    const may = workos.createApiKey({ permissions: ['billing:read'] });
    const mayNot = workos.createApiKey({ permissions: ['billing:readonly', 'billing'] });
    expect(JSON.parse((await ask('/key', bearer(may))).body)).toEqual({ email: null, type: 'apiKey' });
    expect((await ask('/billing', bearer(may))).status).toBe(200);
    const refused = await ask('/billing', bearer(mayNot));
    expect(refused.status).toBe(403);
    expect(refused.headers['www-authenticate']).toBe('Bearer error="insufficient_scope"');
    expect(workos.callsTo('apiKey')).toHaveLength(2);
    expect(served).toEqual(['/key', '/billing']);
  });

  test('a forged, foreign, expired or malformed token gets 401 invalid_token and does not reach the handler', async () => {
    const { workos, ask, served } = await api(framework);
    const valid = await workos.accessToken();
    const expired = await workos.accessToken({ expiresIn: -1 });
    const foreign = await workos.accessToken({ claims: { iss: 'https://evil.example' } });
    const [head, body] = valid.split('.') as [string, string];
    for (const token of [
      expired,
      foreign,
      `${head}.${body}.AAAA`,
      `${head}.${body}.`,
      `${head}.${body}`,
      'a.b.c',
      'sk_unknown_to_everybody',
      '%E0%A4%A',
      'é',
      '',
      `${valid} ${valid}`,
      'x'.repeat(16_000),
    ]) {
      const reply = await ask('/any', { authorization: Buffer.from(`Bearer ${token}`).toString('latin1') });
      expect(reply.status, token).toBe(401);
      expect(reply.headers['www-authenticate']).toMatch(/^Bearer error="invalid_token"/);
      expect(JSON.parse(reply.body)).toMatchObject({ error: 'unauthenticated' });
    }
    expect(served).toEqual([]);
  });
});

test('a cookie does not authorize a request with a bearer token, nor a token a request that needs a session', async () => {
  const { workos, ask, served, cookie } = await api();
  const session = await cookie({ user: ADA });
  const token = await workos.accessToken({ user: GRACE });
  const key = workos.createApiKey();
  const both = (value: string) => ({ ...bearer(value), cookie: session });
  expect(JSON.parse((await ask('/any', both(token))).body)).toMatchObject({ type: 'bearer', email: GRACE });
  expect(JSON.parse((await ask('/any', { ...FETCH, cookie: session })).body)).toMatchObject({
    type: 'session',
    email: ADA,
  });
  served.length = 0;
  for (const [path, headers] of [
    ['/any', both('a.b.c')],
    ['/any', both('sk_unknown_to_everybody')],
    ['/any', both('')],
    ['/account', bearer(token)],
    ['/account', bearer(key)],
    ['/bearer', { ...FETCH, cookie: session }],
    ['/bearer', { ...NAVIGATION, cookie: session }],
    ['/bearer', bearer(key)],
    ['/key', { ...FETCH, cookie: session }],
    ['/key', bearer(token)],
    ['/bearer', {}],
  ] as const) {
    expect((await ask(path, headers)).status, `${path} ${JSON.stringify(headers)}`).toBe(401);
  }
  expect(served).toEqual([]);
  // A guard that accepts only sessions ignores the tokens of gateways.
  expect(JSON.parse((await ask('/account', both(token))).body)).toMatchObject({
    type: 'session',
    email: ADA,
  });
  const basic = await ask('/any', { ...FETCH, cookie: session, authorization: 'Basic c3RhZ2luZzpzaXRl' });
  expect(JSON.parse(basic.body)).toMatchObject({ type: 'session' });
});

test('an outage is 503, not 401, and users that are already known are still served', async () => {
  const { workos, ask, served } = await api();
  const known = await workos.accessToken({ user: ADA });
  const unknown = await workos.accessToken({ user: GRACE });
  const key = workos.createApiKey();
  expect((await ask('/any', bearer(known))).status).toBe(200);
  expect((await ask('/any', bearer(key))).status).toBe(200);
  for (const on of ['user', 'apiKey'] as const) workos.fail({ on, status: 503 });
  const reply = await ask('/any', bearer(unknown));
  expect(reply.status).toBe(503);
  expect(reply.headers['retry-after']).toBe('5');
  expect((await ask('/any', bearer('sk_never_seen'))).status).toBe(503);
  expect((await ask('/any', bearer(key))).status).toBe(200);
  workos.clock.advance(31_000);
  // A key that was valid within the last five minutes stays valid.
  expect((await ask('/any', bearer(key))).status).toBe(200);
  workos.clock.advance(270_000);
  const later = await workos.accessToken({ user: ADA });
  expect((await ask('/any', bearer(later))).status).toBe(200);
  expect(served).toHaveLength(5);
  workos.recover();
  expect((await ask('/any', bearer(key))).status).toBe(200);
});

test("a wrong WORKOS_API_KEY is 503 and does not reject the caller's key", async () => {
  const { workos, ask, served } = await api();
  workos.fail({ on: 'apiKey', status: 401 });
  expect((await ask('/key', bearer(workos.createApiKey()))).status).toBe(503);
  workos.recover();
  workos.fail({ on: 'apiKey', body: { api_key: { object: 'api_key', owner: {} } } });
  expect((await ask('/key', bearer(workos.createApiKey()))).status).toBe(503);
  expect(served).toEqual([]);
});

test('a revoked key, a deleted user and a signed-out session stop working soon', async () => {
  const { workos, ask, origin } = await api();
  const key = workos.createApiKey();
  expect((await ask('/key', bearer(key))).status).toBe(200);
  workos.revokeApiKey(key);
  workos.clock.advance(31_000);
  expect((await ask('/key', bearer(key))).status).toBe(401);

  const cookie = await workos.signIn({ user: ADA, claims: { sid: 'session_both' } });
  const same = await workos.accessToken({ user: ADA, claims: { sid: 'session_both' } });
  expect((await ask('/bearer', bearer(same))).status).toBe(200);
  await send(`${origin}/logout`, { method: 'POST', headers: { ...FETCH, cookie } });
  expect((await ask('/bearer', bearer(same))).status).toBe(401);

  const gone = await workos.accessToken({ user: GRACE });
  workos.deleteUser(GRACE);
  expect((await ask('/bearer', bearer(gone))).status).toBe(401);
});

test('requests with one token share req.auth, until its user has changed at WorkOS', async () => {
  const seen: Auth[] = [];
  const { workos, origin } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/', requireAuth({ accepts: ['bearer', 'apiKey'] }), (req, res) => {
        seen.push((req as unknown as { auth: Auth }).auth);
        res.end();
      });
    },
  });
  const [token, other] = [
    await workos.accessToken({ user: GRACE, expiresIn: 3600 }),
    await workos.accessToken({ user: GRACE, expiresIn: 3600 }),
  ];
  const key = workos.createApiKey();
  for (const value of [token, token, other, key, key]) await send(`${origin}/`, { headers: bearer(value) });
  const [first, second, third, fourth, fifth] = seen;
  expect(second).toBe(first);
  expect(third).not.toBe(first);
  expect(fifth).toBe(fourth);
  const { id } = workos.users().find(({ email }) => email === GRACE)!;
  workos.putUser({ id, email: 'grace.hopper@example.com' });
  workos.clock.advance(301_000);
  await send(`${origin}/`, { headers: bearer(token) });
  expect(seen.at(-1)!.user?.email).toBe('grace.hopper@example.com');
});

test('a hundred requests with one new key cause one call to WorkOS, and an unknown key is not looked up again', async () => {
  const { workos, ask } = await api();
  const key = workos.createApiKey();
  const replies = await Promise.all(Array.from({ length: 100 }, () => ask('/key', bearer(key))));
  expect(replies.every(({ status }) => status === 200)).toBe(true);
  expect(workos.callsTo('apiKey')).toHaveLength(1);
  for (let i = 0; i < 3; i += 1) expect((await ask('/key', bearer('sk_nobody'))).status).toBe(401);
  expect(workos.callsTo('apiKey')).toHaveLength(2);
});

test("maxAge uses the token's auth_time as RFC 9470 describes, and an API key never satisfies it", async () => {
  const { workos, ask, served } = await api();
  const now = Math.floor(workos.clock.now() / 1000);
  const recent = await workos.accessToken({ claims: { auth_time: now - 50 } });
  const stale = await workos.accessToken({ claims: { auth_time: now - 70 } });
  expect((await ask('/recent', bearer(recent))).status).toBe(200);
  const unknown = await workos.accessToken({ claims: { auth_time: undefined } });
  for (const token of [stale, unknown]) {
    const reply = await ask('/recent', { ...NAVIGATION, authorization: `Bearer ${token}` });
    expect(reply.status).toBe(401);
    expect(reply.headers['www-authenticate']).toBe(
      'Bearer error="insufficient_user_authentication", max_age="60"',
    );
  }
  expect((await ask('/recent', bearer(workos.createApiKey()))).status).toBe(403);
  expect(served).toEqual(['/recent']);
});

test('signedIn returns the user of a token, and throws for an API key', async () => {
  const told: unknown[] = [];
  const { origin, workos } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/who', requireAuth({ accepts: ['bearer', 'apiKey'] }), (req, res) => {
        try {
          const { type, user, organizationId } = signedIn(req);
          told.push([type, user.email, organizationId !== undefined]);
        } catch (error) {
          const { auth } = req as unknown as { auth: Auth };
          told.push([(error as { code: string }).code, auth.type === 'apiKey' && auth.apiKey.owner.type]);
        }
        json(res, {});
      });
    },
  });
  await send(`${origin}/who`, { headers: bearer(await workos.accessToken({ user: ADA })) });
  await send(`${origin}/who`, { headers: bearer(workos.createApiKey({ user: ADA })) });
  expect(told).toEqual([
    ['bearer', ADA, true],
    ['unauthenticated', 'user'],
  ]);
});

test('the API key does not appear in logs, errors or enumerable properties', async () => {
  const printed: string[] = [];
  const { origin, workos } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/print', requireAuth({ accepts: ['bearer', 'apiKey'] }), (req, res) => {
        const { auth } = req as unknown as { auth: Auth };
        printed.push(JSON.stringify(auth), JSON.stringify({ ...auth }));
        json(res, {});
      });
    },
  });
  const key = workos.createApiKey();
  const token = await workos.accessToken();
  await send(`${origin}/print`, { headers: bearer(key) });
  await send(`${origin}/print`, { headers: bearer(token) });
  expect(printed).toHaveLength(4);
  for (const text of printed) for (const secret of [key, token]) expect(text).not.toContain(secret);
});
