import debug from 'debug';
import { format, inspect } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { FETCH, NAVIGATION, send } from './support/browser.js';
import { ADA, createTestApp } from './support/app.js';
import { requireAuth, signedIn } from 'authkit-express';

const LATER = 600_000;

/** All that the package logs from now on. */
function logged(): string[] {
  const lines: string[] = [];
  const { log } = debug;
  debug.enable('authkit:*');
  onTestFinished(() => void (debug.log = log));
  debug.log = (...args: unknown[]) => void lines.push(format(...args));
  return lines;
}

test('nothing secret is printed, answered or inspectable, with every log on', async () => {
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

// E02 is also what the leak checks look for after every test of this suite.
test('E02 with every log on, nothing secret is in it', async () => {
  const debug = (await import('debug')).default;
  const lines: string[] = [];
  const { log } = debug;
  debug.enable('authkit:*');
  onTestFinished(() => void (debug.log = log));
  debug.log = (...args: unknown[]) => void lines.push(inspect(args));
  const { signIn, workos, browser, origin } = await createTestApp('express5');
  await signIn();
  workos.clock.advance(LATER);
  await browser.go(`${origin}/account`);
  const session = (await browser.cookie(origin, 'wos-session'))!;
  const { refresh_token: token } = workos.callsTo('refresh')[0]!.body as { refresh_token: string };
  expect(lines.length).toBeGreaterThan(0);
  for (const secret of [session, token, workos.options.apiKey]) expect(lines.join()).not.toContain(secret);
});

test('E03 what is printed of req.auth and req.user has no token', async () => {
  const printed: string[] = [];
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/print', requireAuth(), (req, res) => {
        const { auth, user } = req as unknown as { auth: object; user: object };
        printed.push(
          JSON.stringify(auth),
          JSON.stringify(user),
          inspect(auth, { depth: 9 }),
          inspect(user, { depth: 9 }),
        );
        res.end();
      });
    },
  });
  await send(`${origin}/print`, { headers: { ...FETCH, cookie: await cookie() } });
  expect(printed).toHaveLength(4);
  for (const text of printed) expect(text).not.toMatch(/eyJ|Fe26|rt_/);
});

test('T16 a sign-in, a refresh and a sign-out leave no secret in the log', async () => {
  const lines = logged();
  const { origin, browser, signIn, workos } = await createTestApp('express5');
  await signIn();
  const session = (await browser.cookie(origin, 'wos-session'))!;
  workos.clock.advance(600_000);
  await browser.go(`${origin}/account`);
  await browser.go(`${origin}/logout`, { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } });
  const sent = workos.calls.flatMap(({ body }) => Object.values(body ?? {}).map(String));
  const secrets = sent.filter(
    (value) => value.length > 20 && !/^client_|^org_|grant|authorization/.test(value),
  );
  expect(lines.length).toBeGreaterThan(3);
  expect(secrets.length).toBeGreaterThan(2);
  for (const secret of [...secrets, session, workos.options.cookiePassword, workos.options.apiKey])
    expect(lines.join('\n')).not.toContain(secret);
});

test('T15 what is printed of req.auth and req.user holds no token', async () => {
  const printed: string[] = [];
  let token = '';
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/print', requireAuth(), (req, res) => {
        const auth = signedIn(req);
        const { user } = req as { user?: object };
        for (const value of [auth, user, { ...auth }])
          printed.push(JSON.stringify(value), inspect(value, { depth: 9 }));
        token = auth.accessToken;
        res.end();
      });
    },
  });
  await send(`${origin}/print`, { headers: { ...FETCH, cookie: await cookie() } });
  expect(token.split('.')).toHaveLength(3);
  expect(printed).toHaveLength(6);
  expect(printed.join('')).toContain(ADA);
  for (const text of printed) expect(text).not.toContain(token.slice(-20));
});
