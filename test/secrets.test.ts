import debug from 'debug';
import { format, inspect } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { open } from '../src/session/iron-seal.js';
import { FETCH, NAVIGATION, send } from './support/browser.js';
import { ADA, createTestApp } from './support/app.js';
import { requireAuth, signedIn } from 'authkit-express';

test('T16 E02 no secret is logged or returned, with every log on', async () => {
  const output: string[] = [];
  const { log } = debug;
  onTestFinished(() => void (debug.log = log));
  debug.log = (...args: unknown[]) => void output.push(format(...args));
  const { origin, browser, workos, signIn } = await createTestApp('express5', {
    authkit: {
      onError: ({ error }) => void output.push(inspect(error, { depth: 9 }), JSON.stringify(error)),
    },
  });
  const landed = await signIn(ADA);
  expect(landed.status, landed.body).toBe(200);
  const old = (await browser.cookie(origin, 'wos-session'))!;
  workos.clock.advance(600_000);
  await browser.go(`${origin}/account`);
  const session = (await browser.cookie(origin, 'wos-session'))!;
  expect(session).not.toBe(old);
  const bodies = [];
  for (const fault of [
    { status: 500 },
    { status: 401, body: '{"message":"Unauthorized"}' },
    { reset: true },
    { status: 200, body: '{}' },
  ]) {
    workos.clock.advance(600_000);
    const down = workos.fail({ on: 'refresh', ...fault });
    for (const headers of [FETCH, NAVIGATION]) {
      bodies.push(
        (await send(`${origin}/account`, { headers: { ...headers, cookie: `wos-session=${session}` } })).body,
      );
    }
    down.restore();
  }
  const login = await browser.go(`${origin}/login`);
  workos.fail({ on: 'code', status: 400, body: '{"error":"invalid_grant","error_description":"no"}' });
  const callback = await workos.authorize(login.location!, { user: ADA });
  bodies.push((await browser.go(callback)).body);
  await browser.go(`${origin}/logout`, { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } });

  const sent = workos.calls.flatMap(({ body }) => Object.values((body ?? {}) as Record<string, string>));
  const secrets = [
    ...sent.filter(
      (value) =>
        typeof value === 'string' && value.length >= 20 && !/^client_|^org_|grant|authorization/.test(value),
    ),
    workos.options.cookiePassword,
    workos.options.apiKey,
    session,
    old,
    new URL(callback).searchParams.get('code')!,
    new URL(callback).searchParams.get('state')!,
  ];
  expect(secrets.length).toBeGreaterThan(10);
  expect(output.join('')).toContain('authkit:refresh');
  for (const secret of secrets) {
    expect(output.join('\n').includes(secret), `printed: ${secret.slice(0, 12)}…`).toBe(false);
    expect(bodies.join('\n').includes(secret), `answered: ${secret.slice(0, 12)}…`).toBe(false);
  }
});

test('T15 E03 req.auth and req.user print without any token', async () => {
  const printed: string[] = [];
  let token = '';
  let request = '';
  const { origin, cookie, workos } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/print', requireAuth(), (req, res) => {
        const auth = signedIn(req);
        const { user } = req as { user?: object };
        for (const value of [auth, user, { ...auth }])
          printed.push(JSON.stringify(value), inspect(value, { depth: 9 }));
        request = inspect(req, { depth: 3 });
        token = auth.type === 'session' ? auth.accessToken : '';
        res.end();
      });
    },
  });
  const session = await cookie();
  const { cookiePassword, apiKey } = workos.options;
  const { refreshToken } = open(session.slice('wos-session='.length), [cookiePassword], Date.now()) as {
    refreshToken: string;
  };
  await send(`${origin}/print`, { headers: { ...FETCH, cookie: session } });
  expect(token.split('.')).toHaveLength(3);
  expect(printed).toHaveLength(6);
  expect(printed.join('')).toContain(ADA);
  expect(JSON.parse(printed[0]!)).toMatchObject({ type: 'session', user: { email: ADA } });
  expect(refreshToken.length).toBeGreaterThan(10);
  for (const text of printed) {
    for (const secret of [token.slice(-20), refreshToken, session, apiKey])
      expect(text).not.toContain(secret);
  }
  expect(request).toContain('/print');
  expect(request).not.toContain(apiKey);
});
