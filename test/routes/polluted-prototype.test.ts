import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { authkit, expressStore, requireAuth } from 'authkit-express';
import { postgresStore } from 'authkit-express/postgres';
import { redisStore } from 'authkit-express/redis';
import { resolveConfig } from '../../src/config/index.js';
import { GOOD } from '../config/problem-of.js';
import { createSSOWorkOS, startSSO } from '../sso/support.js';
import { Browser, FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, createTestApp, whoami } from '../support/app.js';

/** Adds properties to `Object.prototype` during `run`, as a vulnerable dependency might. */
async function polluted<T>(properties: Record<string, unknown>, run: () => Promise<T>): Promise<T> {
  const prototype = Object.prototype as unknown as Record<string, unknown>;
  const clean = () => {
    for (const name of Object.keys(properties)) Reflect.deleteProperty(prototype, name);
  };
  onTestFinished(clean);
  Object.assign(prototype, properties);
  try {
    return await run();
  } finally {
    clean();
  }
}

test('T47 a polluted Object.prototype supplies no option of a sign-in and no attribute of its cookie', async () => {
  const { origin } = await createTestApp('express5');
  const names = async () => {
    const { location, setCookies } = await send(`${origin}/login`, { headers: NAVIGATION });
    const [line = ''] = setCookies;
    const query = new URL(location!).searchParams;
    return [[...query.keys()], query.get('redirect_uri'), line.replace(/[^-=]*=[^;]*/, '')];
  };
  const clean = await names();
  const found = await polluted(
    {
      prompt: 'login',
      maxAge: 0,
      organizationId: 'org_evil',
      loginHint: 'x',
      screenHint: 'sign-up',
      redirectUri: 'https://evil.example/callback',
      callback: 'https://evil.example/callback',
      codeChallenge: 'c'.repeat(43),
      clientChallenge: 'c'.repeat(43),
      domain: 'evil.example',
      partitioned: true,
    },
    names,
  );
  expect(found).toEqual(clean);
});

test('T47 a polluted Object.prototype supplies no field of a transaction or a session', async () => {
  const { origin, workos } = await createTestApp('express5', {
    authkit: { cookie: { sameSite: 'strict' } },
    routes: (app) => {
      app.route('/recent', requireAuth({ maxAge: 60 }), whoami);
      app.route('/data', requireAuth({ check: (auth) => auth.data !== undefined }), whoami);
    },
  });
  const browser = new Browser();
  const login = await browser.go(`${origin}/login?returnTo=/open`, {
    headers: { 'sec-fetch-site': 'cross-site' },
  });
  const callback = await workos.authorize(login.location!, { user: ADA });
  const landed = await polluted(
    { beganHere: true, isRepeat: true, clientChallenge: 'c'.repeat(43), maxAge: 0 },
    async () => browser.go(callback, { headers: { 'sec-fetch-site': 'cross-site' } }),
  );
  expect(landed.status).toBe(200);
  expect(landed.body).not.toContain('http-equiv="refresh"');

  // Without `auth_time`, only the polluted prototype says when the user authenticated.
  const cookie = await workos.signIn({ user: ADA, claims: { auth_time: undefined } });
  const headers = { ...FETCH, cookie };
  const statuses = await polluted({ authenticatedAt: 9_999_999_999, data: { isAdmin: true } }, async () => [
    (await send(`${origin}/recent`, { headers })).status,
    (await send(`${origin}/data`, { headers })).status,
  ]);
  expect(statuses).toEqual([401, 403]);
});

test('T47 a polluted Object.prototype supplies nothing that onSuccess did not return', async () => {
  const site = await createTestApp('express5', {
    authkit: { onSuccess: () => ({}) },
    routes: (app) => {
      app.route('/data', requireAuth({ check: (auth) => auth.data !== undefined }), whoami);
    },
  });
  const inherited = { reject: 'x', returnTo: '/missing', data: { isAdmin: true } };
  const landed = await polluted(inherited, () => site.signIn(ADA, '/login?returnTo=/account'));
  expect(JSON.parse(landed.body)).toMatchObject({ email: ADA });
  expect((await site.browser.fetch(`${site.origin}/data`)).status).toBe(403);
});

test('T47 a polluted Object.prototype signs no user out for another site', async () => {
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app, auth) => {
      app.route('/sign-out', (req, res, next) => void auth.signOut(req, res).catch(next));
      app.route(
        '/sign-out-to',
        (req, res, next) => void auth.signOut(req, res, { returnTo: '/' }).catch(next),
      );
    },
  });
  const headers = {
    ...FETCH,
    cookie: await cookie(),
    origin: 'https://evil.example',
    'sec-fetch-site': 'cross-site',
  };
  for (const path of ['/sign-out', '/sign-out-to']) {
    const reply = await polluted({ trusted: true }, () => send(origin + path, { method: 'POST', headers }));
    expect({ status: reply.status, setCookies: reply.setCookies }).toEqual({ status: 403, setCookies: [] });
  }
});

test('T47 a polluted Object.prototype does not change where a sign-in ends', async () => {
  const { origin, workos, browser } = await createTestApp('express5');
  const login = await browser.go(`${origin}/login?returnTo=/open`);
  const callback = await workos.authorize(login.location!, { user: ADA });
  const headers = { ...NAVIGATION, cookie: await browser.jar.getCookieString(origin) };
  const { statusCode, location, cookies } = await polluted(
    { location: 'https://evil.example/' },
    async () => {
      const response = await rawGet(callback, headers);
      const lines = response.split('\r\n');
      return {
        statusCode: lines[0],
        location: lines.find((line) => line.startsWith('Location: ')),
        cookies: lines.filter((line) => line.startsWith('Set-Cookie: wos-session=')).length,
      };
    },
  );
  expect({ statusCode, location, cookies }).toEqual({
    statusCode: 'HTTP/1.1 302 Found',
    location: 'Location: /open',
    cookies: 1,
  });
});

/** The head of a response as it was sent: the HTTP client of Node reads fields of a polluted prototype. */
function rawGet(url: string, headers: Record<string, string>): Promise<string> {
  const { hostname, port, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    socket.on('error', reject).on('close', () => {
      resolve(text);
    });
    const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(
      `GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: close\r\n${fields.join('')}\r\n`,
    );
  });
}

test('T47 a polluted Object.prototype supplies no secret of webhooks', async () => {
  const { auth } = await createTestApp('express5');
  await polluted({ secret: 'a-secret-that-an-attacker-knows' }, async () => {
    expect(() => auth.webhooks()).toThrow(/WORKOS_WEBHOOK_SECRET/);
    expect(() => auth.webhooks({})).toThrow(/WORKOS_WEBHOOK_SECRET/);
  });
});

test('T47 a polluted Object.prototype supplies no attribute of a sign-up', async () => {
  const GRACE = 'grace@example.com';
  const received: unknown[] = [];
  const { origin, workos, browser } = await createTestApp('express5', {
    authkit: {
      signUp: { roles: ['admin', 'member'], save: true },
      onSuccess: ({ attributes }) => void received.push({ ...attributes }),
    },
    workos: { organizations: [{ name: 'Acme' }], users: [{ email: GRACE }] },
  });
  const token = workos.invite({ email: GRACE, organizationId: 'Acme' });
  const away = await browser.go(`${origin}/login?locale=en&invitationToken=${token}`);
  const callback = await workos.authorize(away.location!, { user: GRACE });
  // WorkOS reports that this is the user's first sign-in.
  const alter = (body: Record<string, unknown>) => ({
    ...body,
    user: { ...(body['user'] as object), last_sign_in_at: null },
  });
  workos.fail({ on: 'authenticate', times: 1, alter });
  await polluted({ role: 'admin', displayName: 'Mallory', metadata: { isAdmin: 'true' } }, () =>
    browser.go(callback),
  );
  expect(received).toEqual([{ locale: 'en' }]);
  expect(workos.callsTo('updateUser').map(({ body }) => body)).toEqual([{ locale: 'en' }]);
  expect(workos.callsTo('memberships').filter(({ method }) => method === 'PUT')).toEqual([]);
});

test('T47 a polluted Object.prototype supplies no field of a saved session', async () => {
  const received: unknown[] = [];
  const { origin, workos, browser } = await createTestApp('express5', {
    authkit: {
      signUp: { roles: ['admin'] },
      onSuccess: ({ attributes, state, stateFrom }) => void received.push({ attributes, state, stateFrom }),
    },
    routes: (app, auth) => {
      app.route('/save', (req, res, next) => {
        auth.workos.userManagement
          .authenticateWithPassword({ clientId: workos.options.clientId, email: ADA, password: 'analytical' })
          .then((response) =>
            polluted(
              {
                state: 'evil',
                attributes: { role: 'admin' },
                role: 'admin',
                maxAge: 0,
                callback: 'https://evil.example/x',
              },
              () => auth.saveSession(req, res, response),
            ),
          )
          .then(() => res.end(), next);
      });
    },
    workos: { users: [{ email: ADA, password: 'analytical' }] },
  });
  expect((await browser.go(`${origin}/save`)).status).toBe(200);
  expect(received).toEqual([{ attributes: {}, state: undefined, stateFrom: undefined }]);
});

test('T47 a polluted Object.prototype supplies no option at start-up', async () => {
  const calls: unknown[][] = [];
  const record = (...args: unknown[]) => Promise.resolve(void calls.push(args));
  const client = { get: record, set: record, del: record, eval: record };
  const sessions: Record<string, unknown> = {};
  const done = (key: string) => (callback: () => void) => {
    sessions[key] = true;
    callback();
  };
  const memory = {
    get: (key: string, callback: () => void) => {
      done(key)(callback);
    },
    set: (key: string, _value: unknown, callback: () => void) => {
      done(key)(callback);
    },
    destroy: (key: string, callback: () => void) => {
      done(key)(callback);
    },
  };
  const queries: string[] = [];
  const pool = {
    query: (text: string) => {
      queries.push(text);
      return Promise.resolve({ rows: [], rowCount: 0 });
    },
  };
  const inherited = {
    prefix: 'evil:',
    table: 'evil',
    NX: true,
    domain: 'evil.example',
    sameSite: 'none',
    name: 'evil',
    maxAge: 1,
  };
  await polluted(inherited, async () => {
    const redis = redisStore(client);
    await redis.set('key', 'value', 1000);
    await redis.get('key');
    await postgresStore(pool).get('key');
    await expressStore(memory).get('key');
    authkit(GOOD);
    const { cookie } = resolveConfig(GOOD, {});
    expect([cookie.domain, cookie.sameSite, cookie.name]).toEqual([undefined, 'lax', 'wos-session']);
  });
  expect(calls.map(([key]) => key)).toEqual(['authkit:key', 'authkit:key']);
  expect('NX' in (calls[0]![2] as object)).toBe(false);
  expect(Object.keys(sessions)).toEqual(['authkit:key']);
  expect(queries.join()).not.toContain('evil');
});

test('T47 a polluted Object.prototype selects no organization of sso()', async () => {
  const workos = await createSSOWorkOS();
  const { origin } = await startSSO(workos, 'express5', { options: { signIn: {} } });
  const reply = await polluted({ organization: 'org_evil', connection: 'conn_evil' }, () =>
    send(`${origin}/sso/login`, { headers: NAVIGATION }),
  );
  expect([reply.status, reply.location]).toEqual([400, undefined]);
});

test.each([{ ttl: 1 }, { start: 1 }, { size: 1e12 }, { sizeCalculation: () => 1e12 }])(
  'T47 a polluted Object.prototype does not make a process forget that a session has ended: %o',
  async (properties) => {
    const { origin, cookie } = await createTestApp('express5');
    const headers = { ...FETCH, cookie: await cookie({ user: ADA }) };
    expect((await send(`${origin}/account`, { headers })).status).toBe(200);
    await polluted(properties, () => send(`${origin}/logout`, { method: 'POST', headers }));
    // Longer than the polluted lifetime of one millisecond.
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await send(`${origin}/account`, { headers })).status).toBe(401);
  },
);

test('T47 a polluted Object.prototype chooses neither the salt nor the initialization vector of a seal', async () => {
  const { origin } = await createTestApp('express5');
  const salt = '0'.repeat(64);
  const { location } = await polluted({ salt, iv: Buffer.alloc(16) }, () =>
    send(`${origin}/login`, { headers: NAVIGATION }),
  );
  const state = new URL(location!).searchParams.get('state')!;
  expect(state).toMatch(/^Fe26\.2\*/);
  expect(state).not.toContain(salt);
  expect(state).not.toContain('*AAAAAAAAAAAAAAAAAAAAAA*');
});
