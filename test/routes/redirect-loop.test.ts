import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, test } from 'vitest';
import { FRAMEWORKS, type App } from '../support/frameworks.js';
import { Browser, NAVIGATION, send, type Ask, type Reply } from '../support/browser.js';
import { ADA, createFrozenTestApp, type TestApp } from '../support/app.js';

const SESSION = /^wos-session(?:\.\d+)?$/;
const ARRIVAL = 'wos-signed-in';

/** A browser that stores every cookie except the session cookie. */
class Forgetful extends Browser {
  override async go(url: string, ask?: Ask): Promise<Reply> {
    const reply = await super.go(url, ask);
    for (const { key, domain, path } of await this.jar.getCookies(url))
      if (SESSION.test(key)) await this.jar.store.removeCookie(domain, path, key);
    return reply;
  }
}

/** Follows every redirect as a browser does. WorkOS signs the user in at once. */
async function circle({ workos, origin }: TestApp, browser: Browser, path = '/account') {
  const toGuarded: string[] = [];
  let url = origin + path;
  for (let hops = 0; hops < 20; hops += 1) {
    const reply = await browser.go(url);
    const next = reply.location ?? /http-equiv="refresh" content="0; url=([^"]+)"/.exec(reply.body)?.[1];
    if (next === undefined) return { ...reply, toGuarded };
    url = new URL(next, url).href;
    if (url === origin + path) toGuarded.push(url);
    if (!url.startsWith(origin)) url = await workos.authorize(url, { user: ADA });
  }
  throw new Error('twenty redirects, and no end');
}

describe.each(FRAMEWORKS)('%s', (framework) => {
  test.each([['lax'], ['strict']] as const)(
    'B09 if the session cookie is not sent back (%s), the second sign-in ends in an error page',
    async (sameSite) => {
      const at = await createFrozenTestApp(framework, { authkit: { cookie: { sameSite } } });
      const browser = new Forgetful();
      const failed: unknown[] = [];
      const listen = (message: unknown) => failed.push((message as { code: string }).code);
      subscribe('authkit:sign-in-failed', listen);
      const end = await circle(at, browser);
      unsubscribe('authkit:sign-in-failed', listen);
      expect(end.status).toBe(400);
      expect(end.body).toContain('Your sign-in was not kept');
      expect(end.toGuarded).toHaveLength(1);
      expect(failed).toEqual(['session_lost']);
      expect(at.workos.callsTo('code'), 'the second code is not even exchanged').toHaveLength(1);
      // The cookies are cleared, so the next sign-in counts as a first one, instead of ending on this page for ten
      // seconds.
      expect(await browser.cookieNames(at.origin)).toEqual([]);
      expect((await circle(at, browser)).toGuarded).toHaveLength(1);
      expect((await circle(at, new Browser())).status).toBe(200);
    },
  );
});

test('B09 with Secure cookies on http, the first callback already fails', async () => {
  const at = await createFrozenTestApp('express5', {
    authkit: { redirectUri: 'https://app.example.com/callback' },
  });
  const { location, setCookies } = await send(`${at.origin}/login`, { headers: NAVIGATION });
  expect(setCookies[0]).toContain('; Secure;');
  const { pathname, search } = new URL(await at.workos.authorize(location!, { user: ADA }));
  // The browser has dropped the cookie.
  const reply = await send(at.origin + pathname + search, { headers: NAVIGATION });
  expect([reply.status, reply.location]).toEqual([400, undefined]);
});

test('B09 if another process cannot decrypt the session, the redirect loop ends with an error that says so', async () => {
  const errors: { code: string; message: string }[] = [];
  const at = await createFrozenTestApp('express5', {
    authkit: { onError: ({ error }) => void errors.push(error) },
    mount: (app, auth) => {
      garble(app);
      app.use(auth);
    },
  });
  const end = await circle(at, at.browser);
  expect([end.status, end.toGuarded.length]).toEqual([400, 1]);
  expect(errors[0]).toMatchObject({ code: 'session_lost', status: 400, retryable: false });
  expect(errors[0]!.message).toMatch(/wos-session, of 127\.0\.0\.1:\d+ alone, .* cookiePassword/);
});

/** Sets a session cookie sealed by a process with a different password. */
function garble(app: App): void {
  app.use((req, _res, next) => {
    const { cookie } = req.headers;
    if (cookie !== undefined) req.headers.cookie = cookie.replace(/(wos-session=Fe26\.2\*1\*)\w/, '$1x');
    next();
  });
}

const organizations = [{ id: 'org_1', name: 'One' }];
const users = [{ email: ADA, memberships: [{ organizationId: 'org_1' }] }];

describe('a user who signs in twice within seconds and has a session', () => {
  async function signedIn() {
    const at = await createFrozenTestApp('express5', { workos: { organizations, users } });
    await circle(at, at.browser);
    return at;
  }

  test.each([
    ['another account', '/login?prompt=select_account&returnTo=/open'],
    ['a fresh sign-in', '/login?maxAge=0&returnTo=/open'],
    ['an organization', '/login?organizationId=org_1&returnTo=/open'],
  ])('B09 %s: no error', async (_, path) => {
    const at = await signedIn();
    expect((await circle(at, at.browser, path)).status).toBe(200);
  });

  test('B09 two tabs: no error', async () => {
    const { browser, origin, workos } = await createFrozenTestApp('express5');
    const away = [await browser.go(`${origin}/login`), await browser.go(`${origin}/login`)];
    for (const { location } of away)
      expect((await browser.go(await workos.authorize(location!, { user: ADA }))).status).toBe(302);
  });

  test('B09 two tabs with SameSite=Strict: no error', async () => {
    const { browser, origin, workos } = await createFrozenTestApp('express5', {
      authkit: { cookie: { sameSite: 'strict' } },
    });
    const away = [await browser.go(`${origin}/login`), await browser.go(`${origin}/login`)];
    for (const { location } of away) {
      for (const { key, domain, path, sameSite } of await browser.jar.getCookies(origin))
        if (sameSite === 'strict') await browser.jar.store.removeCookie(domain, path, key);
      expect((await browser.go(await workos.authorize(location!, { user: ADA }))).status).toBe(200);
    }
    expect(workos.callsTo('code')).toHaveLength(2);
  });

  test('B09 signing out and in again at once: no error', async () => {
    const at = await signedIn();
    const headers = { 'sec-fetch-site': 'same-origin' };
    await at.browser.go(`${at.origin}/logout`, { method: 'POST', headers });
    expect(await at.browser.cookieNames(at.origin)).toEqual([]);
    expect((await circle(at, at.browser)).status).toBe(200);
  });

  test('B09 signing in again right after WorkOS has ended the session: no error', async () => {
    const at = await signedIn();
    at.workos.endSession((await whoIs(at)).sessionId);
    at.workos.clock.advance(600_000);
    expect((await circle(at, at.browser)).status).toBe(200);
  });

  test('B09 a second sign-in eleven seconds later is not a redirect loop', async () => {
    const at = await createFrozenTestApp('express5');
    const browser = new Forgetful();
    const first = await browser.go(`${at.origin}/login`);
    await browser.go(await at.workos.authorize(first.location!, { user: ADA }));
    at.workos.clock.advance(11_000);
    const second = await browser.go(`${at.origin}/login`);
    expect((await browser.go(await at.workos.authorize(second.location!, { user: ADA }))).status).toBe(302);
  });

  async function whoIs({ browser, origin }: TestApp) {
    return JSON.parse((await browser.go(`${origin}/account`)).body) as { sessionId: string };
  }
});

test('B09 a planted sign-in marker blocks a sign-in for at most ten seconds', async () => {
  const at = await createFrozenTestApp('express5');
  const { browser, origin, workos } = at;
  await circle(at, browser);
  const planted = `${ARRIVAL}=${(await browser.cookie(origin, ARRIVAL))!}`;
  const other = await createFrozenTestApp('express5');
  const complete = async (site: TestApp, cookie: string) => {
    const headers = { ...NAVIGATION, cookie };
    const { location, setCookies } = await send(`${site.origin}/login`, { headers });
    const [flow = ''] = setCookies[0]!.split(';');
    const callback = await site.workos.authorize(location!, { user: ADA });
    return (await send(callback, { headers: { ...headers, cookie: `${cookie}; ${flow}` } })).status;
  };
  expect(await complete(at, planted)).toBe(400);
  expect(await complete(at, `${planted}x`), 'altered').toBe(302);
  expect(await complete(other, planted), 'of another instance').toBe(302);
  workos.clock.advance(10_000);
  expect(await complete(at, planted), 'kept').toBe(302);
});
