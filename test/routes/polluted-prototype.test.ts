import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { requireAuth } from 'authkit-express';
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
