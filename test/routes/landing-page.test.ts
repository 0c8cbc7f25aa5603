import type { TestWorkOS } from 'authkit-express/testing';
import { expect, onTestFinished, test, vi } from 'vitest';
import { open } from '../../src/session/iron-seal.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { Browser, FETCH, NAVIGATION, type Reply, send } from '../support/browser.js';
import { withClaims } from '../support/claims.js';
import { messagesOn } from '../support/events.js';
import { mapStore } from '../support/map-store.js';
import { ADA, createTestApp } from '../support/app.js';

const goesOnByItself = ({ body }: Reply) => body.includes('http-equiv="refresh"');
const linksTo = ({ body }: Reply) => /<a href="([^"]+)"/.exec(body)?.[1];

test.each(FRAMEWORKS)(
  'with strict cookies on %s, the landing page goes on by itself only if the sign-in began here',
  async (framework) => {
    const { origin, workos } = await createTestApp(framework, {
      authkit: { cookie: { sameSite: 'strict' } },
      routes: (app, auth) => {
        app.route('/start', (req, res, next) => {
          auth.getSignInUrl(req, res, { returnTo: '/open' }).then((url) => {
            res.writeHead(302, { Location: url }).end();
          }, next);
        });
      },
    });
    for (const [path, site, isHere] of [
      ['/login?returnTo=/open', 'same-origin', true],
      ['/login?returnTo=/open', 'same-site', true],
      ['/login?returnTo=/open', 'none', true],
      ['/login?returnTo=/open', 'cross-site', false],
      ['/login?returnTo=/open', 'anything', false],
      ['/login?returnTo=/open', '', false],
      ['/start', 'cross-site', true],
    ] as const) {
      const browser = new Browser();
      const login = await browser.go(origin + path, { headers: { 'sec-fetch-site': site } });
      const callback = await workos.authorize(login.location!, { user: ADA });
      // The callback request always comes from WorkOS, which is a different site.
      const landed = await browser.go(callback, { headers: { 'sec-fetch-site': 'cross-site' } });
      expect([path, site, landed.status, goesOnByItself(landed)]).toEqual([path, site, 200, isHere]);
      expect(linksTo(landed)).toBe('/open');
    }
  },
);

test('with lax cookies there is no landing page, wherever the sign-in began', async () => {
  const { origin, workos, browser } = await createTestApp('express5');
  const login = await browser.go(`${origin}/login?returnTo=/open`, {
    headers: { 'sec-fetch-site': 'cross-site' },
  });
  const landed = await browser.go(await workos.authorize(login.location!, { user: ADA }));
  expect([landed.status, landed.location]).toEqual([302, `${origin}/open`]);
});

test('T12 with strict cookies, a sign-in replaces the previous session, although the callback does not receive its cookie', async () => {
  const { origin, workos, browser, signIn } = await createTestApp('express5', {
    authkit: { cookie: { sameSite: 'strict' } },
  });
  await signIn(ADA, '/account');
  const old = await browser.jar.getCookieString(origin);
  const { location } = await browser.go(`${origin}/login?prompt=login`);
  // The session of the new user needs several cookies, and that of the previous user needs one.
  workos.fail({ on: 'code', alter: (body) => withClaims(workos, body, { plan: 'x'.repeat(4000) }) });
  const callback = await workos.authorize(location!, { user: 'grace@example.com' });
  const landed = await send(callback, {
    headers: { ...NAVIGATION, cookie: await withoutSession(browser, origin) },
  });
  expect(landed.status).toBe(200);
  for (const line of landed.setCookies) await browser.jar.setCookie(line, origin);
  const reply = await browser.fetch(`${origin}/account`);
  expect(JSON.parse(reply.body)).toMatchObject({ email: 'grace@example.com' });
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: old } })).status).toBe(401);
});

test.each([
  ['no session cookie', 'session_1', () => ''],
  ['the cookie of another entry', 'session_1', (other: string) => `; ${other}`],
  // The cookie does not contain a session ID of more than 64 characters.
  ['a cookie that is not a session', 's'.repeat(65), () => '; wos-session=junk'],
] as const)(
  'T12 with strict cookies, a sign-in in the same WorkOS session deletes the previous session from the store if the callback receives %s',
  async (_, sid, sentBeside) => {
    const { origin, workos, browser, signIn } = await createTestApp('express5', {
      authkit: { cookie: { sameSite: 'strict' }, session: 'store', store: mapStore() },
    });
    workos.fail({ on: 'code', alter: (body) => withClaims(workos, body, { sid }) });
    await signIn(ADA, '/account');
    const old = await browser.jar.getCookieString(origin);
    const another = new Browser();
    await signIn(ADA, '/account', another);
    const other = `wos-session=${(await another.cookie(origin, 'wos-session'))!}`;
    const { location } = await browser.go(`${origin}/login?prompt=login`);
    const callback = await workos.authorize(location!, { user: ADA });
    const cookie = (await withoutSession(browser, origin)) + sentBeside(other);
    const landed = await send(callback, { headers: { ...NAVIGATION, cookie } });
    expect(landed.status).toBe(200);
    // The session is read from the store again after half a second.
    const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 1000);
    onTestFinished(() => {
      clock.mockRestore();
    });
    const status = async (one: string) =>
      (await send(`${origin}/account`, { headers: { ...FETCH, cookie: one } })).status;
    const [next] = landed.setCookies.filter((line) => /^wos-session=(?!;)/.test(line));
    const isSent = cookie.includes(other);
    expect([await status(old), await status(other), await status(next!.split(';', 1)[0]!)]).toEqual([
      401,
      isSent ? 401 : 200,
      200,
    ]);
  },
);

test('with strict cookies, the cookie password and a state do not reveal the ID of a session in the store', async () => {
  const { origin, workos, browser, signIn } = await createTestApp('express5', {
    authkit: { cookie: { sameSite: 'strict' }, session: 'store', store: mapStore() },
  });
  await signIn(ADA, '/account');
  const [, id = ''] = (await browser.cookie(origin, 'wos-session'))!.split('.');
  const transaction = transactionOf(await browser.go(`${origin}/login`), workos);
  expect(transaction).toHaveProperty('earlierSessions');
  expect(id).toHaveLength(43);
  expect(JSON.stringify(transaction)).not.toContain(id);
});

test('with strict cookies, the sign-in of a native client does not end the session of the browser', async () => {
  const redirectTo = 'com.example.app://signed-in';
  const { origin, workos, browser, signIn } = await createTestApp('express5', {
    authkit: {
      cookie: { sameSite: 'strict' },
      routes: { token: '/token' },
      clientRedirectUris: [redirectTo],
    },
  });
  await signIn(ADA, '/account');
  const query = new URLSearchParams({ codeChallenge: 'c'.repeat(43), redirectTo }).toString();
  const login = await browser.go(`${origin}/login?${query}`);
  expect(transactionOf(login, workos)).not.toHaveProperty('earlierSessions');
});

/** The content of the state in a redirect to AuthKit. */
function transactionOf({ location }: Reply, { options }: Pick<TestWorkOS, 'options'>): unknown {
  const state = new URL(location!).searchParams.get('state')!;
  return open(state, [options.cookiePassword], Date.now());
}

test('with strict cookies that the callback receives, the previous session is ended only once', async () => {
  const { browser, origin, signIn } = await createTestApp('express5', {
    authkit: { cookie: { sameSite: 'strict' } },
  });
  await signIn(ADA, '/account');
  const account = await browser.fetch(`${origin}/account`);
  const { sessionId } = JSON.parse(account.body) as { sessionId: string };
  const ended = messagesOn('authkit:revoked');
  await signIn('grace@example.com', '/login?prompt=login');
  expect(ended.map((one) => one.sessionId)).toEqual([sessionId]);
});

/** The browser's cookies without its session, as the browser sends them to a callback with strict cookies. */
async function withoutSession(browser: Browser, origin: string): Promise<string> {
  const cookies = (await browser.jar.getCookieString(origin)).split('; ');
  return cookies.filter((one) => !one.startsWith('wos-session')).join('; ');
}

test('with strict cookies, a request to /login neither refreshes the previous session nor waits for WorkOS', async () => {
  const { origin, workos, browser, signIn } = await createTestApp('express5', {
    authkit: { cookie: { sameSite: 'strict' } },
  });
  await signIn(ADA, '/account');
  workos.clock.advance(301_000);
  expect((await browser.go(`${origin}/login?prompt=login`)).status).toBe(302);
  expect(workos.callsTo('refresh')).toEqual([]);
});
