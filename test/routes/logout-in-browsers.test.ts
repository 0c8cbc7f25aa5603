import { describe, expect, test } from 'vitest';
import { authkit } from 'authkit-express';
import { FRAMEWORKS } from '../support/frameworks.js';
import { Browser, FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, createTestApp, type TestAppOptions } from '../support/app.js';

const CLICK = { ...NAVIGATION, 'sec-fetch-site': 'same-origin' };
/** A browser that does not send Fetch Metadata. */
const OLD = { accept: 'text/html,application/xhtml+xml' };
const FORM = { ...CLICK, 'content-type': 'application/x-www-form-urlencoded' };

const actionOf = (body: string) => /<form method="post" action="([^"]*)">/.exec(body)?.[1];

/** The URL that a page redirects to. */
const refreshOf = (body: string) => {
  const [, url] = /http-equiv="refresh" content="0; url=([^"]+)"/.exec(body)!;
  return new URL(url!.replaceAll('&#38;', '&'));
};

/** An application with its own sign-out route. Its `/bye-trusted` does its own check. */
const ownRoutes: TestAppOptions['routes'] = (app, auth) => {
  app.route('/bye', (req, res) => void auth.signOut(req, res, { returnTo: '/open' }));
  app.route('/bye-trusted', (req, res) => void auth.signOut(req, res, { trusted: true }));
};

describe.each(FRAMEWORKS)('the logout route on %s', (framework) => {
  test('a link that was prefetched signs out on click', async () => {
    const { origin, browser, signIn } = await createTestApp(framework);
    await signIn();
    for (const hint of [{ 'sec-purpose': 'prefetch' }, { purpose: 'prefetch' }, { 'x-moz': 'prefetch' }]) {
      const prefetched = await browser.go(`${origin}/logout`, { headers: { ...CLICK, ...hint } });
      // A browser does not show this response in place of the click.
      expect(prefetched).toMatchObject({ status: 503, body: '', setCookies: [] });
      expect(prefetched.headers['cache-control']).toBe('private, no-store');
    }
    expect((await browser.fetch(`${origin}/account`)).status).toBe(200);
    expect((await browser.go(`${origin}/logout`, { headers: CLICK })).status).toBe(200);
    expect((await browser.fetch(`${origin}/account`)).status).toBe(401);
  });

  test('its confirmation page keeps returnTo, and its form works in a browser without Fetch Metadata', async () => {
    const { origin, browser, signIn } = await createTestApp(framework);
    await signIn();
    const page = await browser.go(`${origin}/logout?returnTo=${encodeURIComponent('/open?a=1&b=2')}`);
    expect(page.status).toBe(200);
    expect(page.headers['referrer-policy']).toBe('same-origin');
    const action = actionOf(page.body)!;
    expect(action).toBe('/logout?returnTo=%2Fopen%3Fa%3D1%26b%3D2');
    const out = await browser.go(origin + action, { method: 'POST', headers: { ...OLD, origin } });
    expect(refreshOf(out.body).searchParams.get('return_to')).toBe(`${origin}/open?a=1&b=2`);
  });

  test('a script that asks for JSON gets it, also without Fetch Metadata', async () => {
    const { origin, cookie, workos } = await createTestApp(framework);
    for (const accept of ['application/json', 'application/json, text/plain, */*']) {
      const reply = await send(`${origin}/logout`, {
        method: 'POST',
        headers: { accept, origin, cookie: await cookie() },
      });
      expect(reply.status).toBe(200);
      expect((JSON.parse(reply.body) as { logoutUrl: string }).logoutUrl).toContain(workos.url);
    }
  });

  test('pending sign-ins end with the session', async () => {
    const { origin, browser, signIn, workos } = await createTestApp(framework);
    await signIn();
    const away = await browser.go(`${origin}/login`);
    const pending = (await browser.cookieNames(origin)).filter((name) => name.includes('verifier'));
    expect(pending).toHaveLength(1);
    await browser.go(`${origin}/logout`, { method: 'POST', headers: FORM });
    expect(await browser.cookieNames(origin)).toEqual([]);
    const callback = await workos.authorize(away.location!, { user: ADA });
    expect((await browser.go(callback)).status).toBe(400);
    expect(await browser.cookieNames(origin)).toEqual([]);
  });

  test('a POST with an access token ends the session of this token, here and at WorkOS', async () => {
    const { origin, workos } = await createTestApp(framework, {
      rule: { accepts: ['bearer', 'session'] as never },
    });
    const bearer = async () => `Bearer ${await workos.accessToken({ user: ADA })}`;
    const [mine, other] = [await bearer(), await bearer()];
    const ask = async (authorization: string) =>
      (await send(`${origin}/account`, { headers: { accept: 'application/json', authorization } })).status;
    expect([await ask(mine), await ask(other)]).toEqual([200, 200]);
    const reply = await send(`${origin}/logout`, { method: 'POST', headers: { authorization: mine } });
    expect(reply.status).toBe(200);
    expect((JSON.parse(reply.body) as { logoutUrl: string }).logoutUrl).toContain('session_id=session_');
    expect([await ask(mine), await ask(other)]).toEqual([401, 200]);
    expect(workos.callsTo('revokeSession')).toHaveLength(1);
  });
});

describe.each(FRAMEWORKS)('auth.signOut() in a handler on %s', (framework) => {
  test('does not obey the form, the link, the image or the prefetch of another site', async () => {
    const { origin, cookie } = await createTestApp(framework, { routes: ownRoutes });
    const session = await cookie();
    const requests: [method: string, headers: Record<string, string>, status: number][] = [
      ['POST', { ...FORM, 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }, 403],
      ['POST', { ...FORM, 'sec-fetch-site': 'same-site' }, 403],
      ['POST', { ...OLD, origin: 'https://evil.example' }, 403],
      ['GET', { ...NAVIGATION, 'sec-fetch-site': 'cross-site' }, 200],
      ['GET', { ...CLICK, 'sec-purpose': 'prefetch' }, 503],
      [
        'GET',
        { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image', 'sec-fetch-site': 'cross-site' },
        403,
      ],
      ['HEAD', CLICK, 200],
    ];
    for (const [method, headers, status] of requests) {
      const reply = await send(`${origin}/bye`, { method, headers: { ...headers, cookie: session } });
      expect({ method, headers, status: reply.status }).toEqual({ method, headers, status });
      expect(reply.setCookies).toEqual([]);
    }
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status).toBe(200);
  });

  test('signs out for a form, a click and a script of the application, and returns to where it says', async () => {
    const { origin, cookie } = await createTestApp(framework, { routes: ownRoutes });
    const ask = async (method: string, headers: Record<string, string>) =>
      send(`${origin}/bye`, { method, headers: { ...headers, cookie: await cookie() } });
    for (const reply of [await ask('POST', FORM), await ask('GET', CLICK)]) {
      expect(refreshOf(reply.body).searchParams.get('return_to')).toBe(`${origin}/open`);
      expect(reply.setCookies[0]).toContain('wos-session=; Max-Age=0');
    }
    expect(JSON.parse((await ask('POST', FETCH)).body)).toHaveProperty('logoutUrl');
    expect((await ask('POST', {})).status).toBe(303);
    const page = await ask('GET', NAVIGATION);
    expect(actionOf(page.body)).toBe('/logout?returnTo=%2Fopen');
  });

  test('with `trusted`, signs out without these checks', async () => {
    const { origin, cookie } = await createTestApp(framework, { routes: ownRoutes });
    const headers = { ...FORM, 'sec-fetch-site': 'cross-site', cookie: await cookie() };
    const reply = await send(`${origin}/bye-trusted`, { method: 'POST', headers });
    expect(reply.status).toBe(200);
    expect(reply.setCookies[0]).toContain('wos-session=; Max-Age=0');
  });

  test('responds even if onError passes the error on', async () => {
    const { origin, site } = await createTestApp(framework, {
      authkit: {
        onError: ({ error, next }) => {
          next(error);
        },
      },
      routes: ownRoutes,
    });
    const reply = await send(`${origin}/bye`, {
      method: 'POST',
      headers: { origin: 'https://evil.example' },
    });
    expect(reply.status).toBe(403);
    expect(site.errors).toEqual([]);
  });
});

test('postLogoutReturnTo is where a sign-out returns to that names nothing, or nothing safe', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', {
    authkit: { postLogoutReturnTo: '/goodbye' },
  });
  const ask = async (query: string, headers: Record<string, string> = {}) =>
    (await send(`${origin}/logout${query}`, { method: 'POST', headers })).location!;
  const returnTo = async (query: string) =>
    new URL(await ask(query, { cookie: await cookie() })).searchParams.get('return_to');
  expect(await returnTo('')).toBe(`${origin}/goodbye`);
  expect(await returnTo('?returnTo=https://evil.example')).toBe(`${origin}/goodbye`);
  expect(await returnTo('?returnTo=/open')).toBe(`${origin}/open`);
  // Without a session, there is nothing to end at WorkOS.
  expect(await ask('')).toBe(`${origin}/goodbye`);
  expect(() =>
    authkit({ ...workos.options, redirectUri: `${origin}/callback`, postLogoutReturnTo: '//evil.example' }),
  ).toThrow(/postLogoutReturnTo must be a path of this application or a URL of a listed origin/);
});

test('a POST with an access token: what is not a token of a session is 401, an outage 503, a cookie comes first', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', {
    rule: { accepts: ['bearer', 'session'] as never },
  });
  const out = (headers: Record<string, string>) => send(`${origin}/logout`, { method: 'POST', headers });
  for (const authorization of ['Bearer', 'Bearer junk', 'Bearer a.b.c', 'Bearer sk_test_1']) {
    const reply = await out({ authorization });
    expect({ authorization, status: reply.status }).toEqual({ authorization, status: 401 });
    expect(reply.headers['www-authenticate']).toContain('error="invalid_token"');
  }
  const session = await cookie();
  // A gateway has added its own token.
  const reply = await out({ authorization: 'Bearer gateway', cookie: session, ...FETCH });
  expect(reply.status).toBe(200);
  expect(reply.setCookies[0]).toContain('wos-session=; Max-Age=0');
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status).toBe(401);
  const browser = new Browser();
  expect((await browser.go(`${origin}/logout`, { headers: { authorization: 'Bearer junk' } })).status).toBe(
    200,
  );
  expect(workos.callsTo('revokeSession')).toEqual([]);
  workos.fail({ on: 'revokeSession', status: 500 });
  const authorization = `Bearer ${await workos.accessToken({ user: ADA })}`;
  expect((await out({ authorization })).status).toBe(503);
});
