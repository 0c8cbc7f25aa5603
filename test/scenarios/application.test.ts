import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import helmet from 'helmet';
import cookieParser from 'cookie-parser';
import { expect, onTestFinished, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { serve } from '../support/apps.js';
import { Browser, FETCH, NAVIGATION, send } from '../support/browser.js';
import { corpus, type Row } from '../support/corpora.js';
import { place } from '../support/place.js';
import { ADA, world } from '../support/world.js';

const LATER = 600_000;
const isSession = (line: string) => /^wos-session(?:\.\d+)?=[^;]/.test(line);
const FORM = { ...NAVIGATION, 'sec-fetch-site': 'same-origin' };

test('P01 a restart between sign-in and callback, or another node: the state is in the cookie', async () => {
  const { origin, workos, browser, sibling } = await world('express5');
  const { location } = await browser.go(`${origin}/login?returnTo=/open`);
  const callback = new URL(await workos.authorize(location!, { user: ADA }));
  const other = await sibling({ redirectUri: `${origin}/callback` });
  const reply = await browser.go(other.origin + callback.pathname + callback.search);
  expect({ status: reply.status, location: reply.headers.location }).toEqual({
    status: 302,
    location: '/open',
  });
  expect(reply.setCookies.filter(isSession)).toHaveLength(1);
});

test('P02 two instances in one process, with one password: neither takes what is the other’s', async () => {
  const { workos } = await world('express5');
  const site = await serve('express5', (app, origin) => {
    const two = { clientId: 'client_two', cookie: { name: 'two' } };
    app.use('/one', authkit({ ...workos.options, redirectUri: `${origin}/one/callback` }));
    app.use('/two', authkit({ ...workos.options, ...two, redirectUri: `${origin}/two/callback` }));
  });
  onTestFinished(() => site.close());
  const browser = new Browser();
  const { location } = await browser.go(`${site.origin}/one/login`);
  const callback = await workos.authorize(location!, { user: ADA });
  expect((await browser.go(callback.replace('/one/', '/two/'))).status).toBe(400);
  expect(workos.callsTo('code')).toEqual([]);
});

test('P03 the same instance twice: one refresh, one cookie', async () => {
  const { origin, cookie, workos } = await world('express5', {
    mount: (app, auth) => {
      app.use(auth);
      app.use(auth);
      app.use(auth.session);
    },
  });
  const old = await cookie();
  workos.clock.advance(LATER);
  const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: old } });
  expect(reply.setCookies.filter(isSession)).toHaveLength(1);
  expect(workos.callsTo('refresh')).toHaveLength(1);
});

test('P04 two hundred sign-ins and a thousand guarded requests leave no listener behind', async () => {
  const { origin, browser, cookie, signIn } = await world('express5');
  const before = process.listenerCount('warning');
  await Promise.all(Array.from({ length: 200 }, () => signIn(ADA, '/account', new Browser())));
  const headers = { ...FETCH, cookie: await cookie() };
  for (let round = 0; round < 20; round += 1)
    await Promise.all(Array.from({ length: 50 }, () => send(`${origin}/account`, { headers })));
  expect(process.listenerCount('warning')).toBe(before);
  expect(await browser.cookieNames(origin)).toEqual([]);
}, 60_000);

test('P05 hooks that throw, reject or throw nothing: one answer each, and the process lives', async () => {
  const throws: (() => unknown)[] = [
    () => {
      throw new Error('thrown');
    },
    () => Promise.reject(new Error('rejected')),
    () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- an application may
      throw undefined;
    },
  ];
  for (const hook of throws) {
    const { origin, signIn, browser } = await world('express4', {
      authkit: { onSuccess: hook as never, onError: hook },
    });
    expect((await signIn()).status).toBeGreaterThanOrEqual(400);
    expect((await browser.cookieNames(origin)).filter((name) => name.startsWith('wos-session'))).toEqual([]);
  }
});

test('X01 behind TLS without trust proxy: Secure follows from the redirect URI', async () => {
  const { origin } = await world('express5', {
    authkit: { redirectUri: 'https://app.example.com/callback' },
  });
  const { location, setCookies } = await send(`${origin}/login`, { headers: NAVIGATION });
  expect(setCookies[0]).toContain('; Secure');
  expect(new URL(location!).searchParams.get('redirect_uri')).toBe('https://app.example.com/callback');
});

test('X02 trust proxy and forwarded headers: no influence', async () => {
  const { origin } = await world('express5', {
    mount: (app, auth) => {
      app.set?.('trust proxy', true);
      app.use(auth);
    },
  });
  const headers = {
    ...NAVIGATION,
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
    'x-forwarded-prefix': '/evil',
  };
  const login = await send(`${origin}/login`, { headers });
  expect(new URL(login.location!).searchParams.get('redirect_uri')).toBe(`${origin}/callback`);
  expect(login.setCookies[0]).not.toMatch(/Domain|Secure/);
});

test('X03 a proxy that splits the Cookie header: both halves count', async () => {
  const at = await place('express5');
  onTestFinished(() => at.close());
  const session = await at.workos.signIn();
  expect(await at.raw('/protected', ['Cookie: a=b', `Cookie: ${session}`])).toMatch(/^HTTP\/1\.1 200/);
});

test('X04 no cache keeps the redirect of a guard', async () => {
  const { origin } = await world('express5');
  const { headers } = await send(`${origin}/account`, { headers: NAVIGATION });
  expect(headers).toMatchObject({ 'cache-control': 'private, no-store', vary: 'Cookie' });
});

test.each(['/callback', '/auth/callback', '/a/b/callback'])(
  'N01 mounted so that %s is the callback: sign-in comes back',
  async (callback) => {
    const prefix = callback.slice(0, -'/callback'.length);
    const { origin, signIn } = await world('express5', {
      callback,
      mount: (app, auth) => {
        if (prefix !== '') app.use(prefix, auth);
        app.use(prefix === '' ? auth : auth.session);
      },
    });
    const landed = await signIn(ADA, '/account?x=1');
    expect({ url: landed.url, status: landed.status }).toEqual({ url: `${origin}/account?x=1`, status: 200 });
  },
);

test('N02 request targets in absolute and doubled form lead to this origin', async () => {
  const at = await place('express5');
  onTestFinished(() => at.close());
  for (const target of [
    'http://evil.example/protected',
    '//evil.example/x',
    '/\\evil.example',
    'HTTP://evil.example',
    '*',
  ]) {
    const location = /^location: (.*)\r$/im.exec(await at.raw(target, ['Accept: text/html']))?.[1];
    if (location !== undefined) expect(location).toMatch(/^\/auth\/login(?:\?returnTo=%2F(?!%2F|%5C)|$)/);
  }
});

test.each(['simple', 'extended', false] as const)(
  'N03 query parser %s: the callback reads its own query, and repeated is 400',
  async (parser) => {
    const { origin, signIn, browser, workos } = await world('express4', {
      mount: (app, auth) => {
        app.set?.('query parser', parser);
        app.use(auth);
      },
    });
    expect((await signIn()).status).toBe(200);
    const { location } = await browser.go(`${origin}/login`);
    const callback = await workos.authorize(location!, { user: ADA });
    expect((await browser.go(`${callback}&code=another`)).status).toBe(400);
  },
);

test('N04 helmet and cookie-parser before or after', async () => {
  for (const isBefore of [true, false]) {
    const { signIn } = await world('express5', {
      mount: (app, auth) => {
        if (!isBefore) app.use(auth);
        app.use(helmet());
        app.use(cookieParser('secret') as never);
        if (isBefore) app.use(auth);
      },
    });
    expect((await signIn()).status).toBe(200);
  }
});

test('L01 an own form signs out; another site, an image, a frame and a prefetch do not', async () => {
  const { origin, cookie } = await world('express5');
  const session = await cookie();
  for (const headers of [
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
    { ...FORM, 'sec-fetch-dest': 'iframe' },
    { ...FORM, 'sec-purpose': 'prefetch' },
  ])
    expect((await send(`${origin}/logout`, { headers: { ...headers, cookie: session } })).setCookies).toEqual(
      [],
    );
  const form = await send(`${origin}/logout`, { method: 'POST', headers: { ...FORM, cookie: session } });
  expect(form.setCookies[0]).toMatch(/^wos-session=; Max-Age=0/);
});

test('L02 signing out with an expired, junk or no session, and with WorkOS down: cleared, never an error', async () => {
  const { origin, cookie, workos } = await world('express5');
  const session = await cookie();
  workos.clock.advance(LATER);
  workos.fail({ on: 'jwks', reset: true });
  workos.fail({ on: 'authenticate', reset: true });
  for (const header of [session, 'wos-session=junk', 'wos-session.0=x; wos-session.1=y', '']) {
    const headers = { ...FORM, ...(header === '' ? {} : { cookie: header }) };
    const reply = await send(`${origin}/logout`, { method: 'POST', headers });
    expect(reply.status).toBe(200);
    expect(reply.setCookies[0]).toMatch(/^wos-session=; Max-Age=0/);
  }
  expect(workos.callsTo('refresh')).toEqual([]);
});

test('L03 where a sign-out leads: this application, or a listed origin', async () => {
  const { origin, cookie } = await world('express5', {
    authkit: { returnToOrigins: ['https://www.example.com'] },
  });
  for (const [returnTo, expected] of [
    ['/open', `${origin}/open`],
    ['https://www.example.com/bye', 'https://www.example.com/bye'],
    ['https://evil.example/', null],
    ['//evil.example', null],
  ] as const) {
    const headers = { ...FETCH, cookie: await cookie() };
    const reply = await send(`${origin}/logout?returnTo=${encodeURIComponent(returnTo)}`, {
      method: 'POST',
      headers,
    });
    const { logoutUrl } = JSON.parse(reply.body) as { logoutUrl: string };
    expect(new URL(logoutUrl).searchParams.get('return_to')).toBe(expected);
  }
});

test('L04 a copied cookie after sign-out is nobody here', async () => {
  const { origin, cookie } = await world('express5');
  const session = await cookie();
  await send(`${origin}/logout`, { method: 'POST', headers: { cookie: session } });
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status).toBe(401);
});

test('E01 a hook that answers, passes on twice, or does nothing: exactly one answer', async () => {
  const hooks = [
    ({ res }: { res: { end: (body: string) => void } }) => {
      res.end('mine');
    },
    ({ error, next }: { error: unknown; next: (error?: unknown) => void }) => {
      next(error);
      next(error);
    },
    () => undefined,
  ];
  for (const onError of hooks) {
    const { origin } = await world('express5', { authkit: { onError: onError } });
    const reply = await send(`${origin}/callback?error=access_denied`, { headers: FETCH });
    expect(reply.status).toBeGreaterThanOrEqual(200);
    expect(reply.body.length).toBeGreaterThan(0);
  }
});

// E02 is also what the tripwires look for after every test of this suite.
test('E02 with every log on, nothing secret is in it', async () => {
  const debug = (await import('debug')).default;
  const lines: string[] = [];
  const { log } = debug;
  debug.enable('authkit:*');
  onTestFinished(() => void (debug.log = log));
  debug.log = (...args: unknown[]) => void lines.push(inspect(args));
  const { signIn, workos, browser, origin } = await world('express5');
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
  const { origin, cookie } = await world('express5', {
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

test('D01 hostile cookies, fifty at a time, through a live server: each answered', async () => {
  const at = await place('express5');
  onTestFinished(() => at.close());
  const seals = corpus<Row & { value: string }>('seals');
  const answers = await Promise.all(
    seals.slice(0, 50).map(({ value }) => at.raw('/protected', [`Cookie: wos-session=${value}`])),
  );
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 4/);
});

test('D02 five hundred sign-ins that nobody finishes: no call to WorkOS, nothing kept', async () => {
  const { origin, workos } = await world('express5');
  for (let round = 0; round < 10; round += 1)
    await Promise.all(Array.from({ length: 50 }, () => send(`${origin}/login`, { headers: NAVIGATION })));
  expect(workos.calls).toEqual([]);
});

test('B01 twenty tabs at once: the newest finish, the header stays small', async () => {
  const { origin, browser, workos } = await world('express5');
  const away: string[] = [];
  for (let tab = 0; tab < 20; tab += 1)
    away.push((await browser.go(`${origin}/login?returnTo=/open`)).location!);
  expect((await browser.jar.getCookieString(origin)).length).toBeLessThan(8192);
  const newest = await browser.go(await workos.authorize(away.at(-1)!, { user: ADA }));
  expect(newest.headers.location).toBe('/open');
  const oldest = await browser.go(await workos.authorize(away[0]!, { user: ADA }));
  expect(oldest.headers.location).toBe('/');
});

test('B02 the back button to a callback that is spent: home when signed in, else a page with a way to sign in', async () => {
  const { origin, browser, workos } = await world('express5');
  const { location } = await browser.go(`${origin}/login?returnTo=/open`);
  const callback = await workos.authorize(location!, { user: ADA });
  await browser.go(callback);
  workos.clock.advance(11_000);
  expect((await browser.go(callback)).headers.location).toBe('/');
  const stranger = await new Browser().go(callback);
  expect(stranger.status).toBe(400);
  expect(stranger.body).toContain(`href="${origin}/login`);
  expect(workos.callsTo('code')).toHaveLength(1);
});

test('B04 a double click on the callback: one exchange, one session', async () => {
  const { origin, browser, workos } = await world('express5');
  const { location } = await browser.go(`${origin}/login`);
  const callback = await workos.authorize(location!, { user: ADA });
  const cookie = await browser.jar.getCookieString(callback);
  const replies = await Promise.all([1, 2].map(() => send(callback, { headers: { ...NAVIGATION, cookie } })));
  for (const reply of replies) expect(reply.status).toBe(302);
  expect(workos.callsTo('code')).toHaveLength(1);
});

test('B05 a strict session: the flow’s cookie is lax, and the landing is a page of this site', async () => {
  const { origin, browser, workos } = await world('express5', {
    authkit: { cookie: { sameSite: 'strict' } },
  });
  const login = await browser.go(`${origin}/login?returnTo=/open`);
  expect(login.setCookies[0]).toContain('SameSite=Lax');
  const landing = await browser.go(await workos.authorize(login.location!, { user: ADA }));
  expect(landing.status).toBe(200);
  expect(landing.body).toContain('http-equiv="refresh"');
  expect(landing.setCookies.find(isSession)).toContain('SameSite=Strict');
});

test('B06 plain http on this machine: no Secure, no prefix', async () => {
  const { origin } = await world('express5');
  expect((await send(`${origin}/login`, { headers: NAVIGATION })).setCookies[0]).not.toMatch(/Secure|^__/);
});

test('B07 opened as localhost, redirected to 127.0.0.1: led to the right name before a sign-in begins', async () => {
  const { origin, browser, workos } = await world('express5');
  const elsewhere = origin.replace('127.0.0.1', 'localhost');
  const path = '/login?returnTo=/open';
  const led = await send(origin + path, { headers: { ...NAVIGATION, host: new URL(elsewhere).host } });
  expect([led.status, led.location, led.setCookies]).toEqual([302, origin + path, []]);
  const { location } = await browser.go(led.location!);
  const reply = await browser.go(await workos.authorize(location!, { user: ADA }));
  expect([reply.status, reply.location]).toEqual([302, `${origin}/open`]);
});

test('B08 in a frame, SameSite=None: Secure, and a sign-out of another site is refused all the same', async () => {
  const { origin, cookie } = await world('express5', {
    authkit: { cookie: { sameSite: 'none' }, redirectUri: 'https://app.example.com/callback' },
  });
  expect((await send(`${origin}/login`, { headers: NAVIGATION })).setCookies[0]).toContain(
    'Secure; SameSite=None',
  );
  const headers = { ...NAVIGATION, 'sec-fetch-site': 'cross-site', cookie: await cookie() };
  expect((await send(`${origin}/logout`, { method: 'POST', headers })).status).toBe(403);
});

test('each scenario of the list is a test of its name', () => {
  const folders = ['.', '../browser/'].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const text = folders
    .flatMap((folder) => readdirSync(folder).map((file) => folder + file))
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
  // A name stands on a line of its own, or right after the call; a table of them has the name later.
  // The first argument of `test(…)`, `test.each(…)(…)` or `describe(…)`.
  const names = text.matchAll(/\(\s*['"`]([A-Z]\d\d) /g);
  const shown = new Set([...names].map((match) => match[1]));
  const ids = corpus('reliability-scenarios').map(({ id }) => id);
  expect(ids.filter((id) => !shown.has(id))).toEqual([]);
  console.log(`scenarios: all ${ids.length} by their own test`);
});
