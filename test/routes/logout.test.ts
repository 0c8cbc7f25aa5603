import { describe, expect, test } from 'vitest';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { ADA, createTestApp } from '../support/app.js';

const FORM = {
  ...NAVIGATION,
  'sec-fetch-site': 'same-origin',
  'content-type': 'application/x-www-form-urlencoded',
};

const CLICK = { ...NAVIGATION, 'sec-fetch-site': 'same-origin' };

const CLEARED =
  /^wos-session=; Max-Age=0; Path=\/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax$/;

const LATER = 600_000;

describe.each(FRAMEWORKS)('sign-out on %s', (framework) => {
  test('after signing out, the guarded page asks to sign in again', async () => {
    const { origin, browser, signIn, workos } = await createTestApp(framework);
    await signIn();
    const page = await browser.go(`${origin}/logout?returnTo=/open`, { method: 'POST', headers: FORM });
    expect(page.status).toBe(200);
    const [, address] = /http-equiv="refresh" content="0; url=([^"]+)"/.exec(page.body)!;
    const logout = new URL(address!.replaceAll('&#38;', '&'));
    expect(logout.href).toContain(`${workos.url}/user_management/sessions/logout?session_id=session_`);
    expect(logout.searchParams.get('return_to')).toBe(`${origin}/open`);
    expect(await browser.cookieNames(origin)).toEqual([]);
    expect((await browser.go(logout.href)).location).toBe(`${origin}/open`);
    expect((await browser.go(`${origin}/account`)).location).toBe(`${origin}/login?returnTo=%2Faccount`);
  });

  test('a script gets the logout URL as JSON, another client a redirect', async () => {
    const { origin, cookie, workos } = await createTestApp(framework);
    const scripted = await send(`${origin}/logout`, {
      method: 'POST',
      headers: { ...FETCH, cookie: await cookie() },
    });
    expect(scripted.status).toBe(200);
    expect((JSON.parse(scripted.body) as { logoutUrl: string }).logoutUrl).toContain(workos.url);
    const plain = await send(`${origin}/logout`, { method: 'POST', headers: { cookie: await cookie() } });
    expect(plain.status).toBe(303);
    expect(plain.location).toContain(`${workos.url}/user_management/sessions/logout?session_id=`);
    for (const { setCookies } of [scripted, plain]) expect(setCookies[0]).toMatch(CLEARED);
  });

  test('T24 L01 only a form or a link of this site signs out: no other site, image, frame, prefetch or HEAD request does', async () => {
    const { origin, cookie } = await createTestApp(framework);
    const session = await cookie();
    const requests: [method: string, headers: Record<string, string>, status: number][] = [
      ['POST', { ...FORM, 'sec-fetch-site': 'cross-site' }, 403],
      ['POST', { ...FORM, 'sec-fetch-site': 'same-site' }, 403],
      ['POST', { origin: 'https://evil.example' }, 403],
      ['POST', { origin: 'null', 'sec-fetch-site': 'cross-site' }, 403],
      ['GET', { ...NAVIGATION, 'sec-fetch-site': 'cross-site' }, 200],
      ['GET', { ...NAVIGATION, 'sec-fetch-site': 'none' }, 200],
      ['GET', { ...CLICK, 'sec-purpose': 'prefetch;prerender' }, 503],
      ['GET', { ...CLICK, 'sec-fetch-dest': 'iframe' }, 200],
      ['GET', { ...CLICK, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }, 403],
      ['GET', { ...CLICK, 'sec-purpose': 'prefetch' }, 503],
      [
        'GET',
        { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
        403,
      ],
      ['GET', {}, 403],
      ['HEAD', CLICK, 200],
    ];
    for (const [method, headers, status] of requests) {
      const reply = await send(`${origin}/logout`, { method, headers: { ...headers, cookie: session } });
      expect({ method, headers, status: reply.status }).toEqual({ method, headers, status });
      expect(reply.setCookies).toEqual([]);
      if (method === 'GET' && status === 200)
        expect(reply.body).toContain('<form method="post" action="/logout">');
    }
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status).toBe(200);
    const form = await send(`${origin}/logout`, { method: 'POST', headers: { ...FORM, cookie: session } });
    expect(form.setCookies[0]).toMatch(CLEARED);
  });

  test('T24 a form of unknown origin that brings no session cookie may be on another site, so it clears no cookie', async () => {
    const { origin, cookie } = await createTestApp(framework, {
      routes: (app, auth) => {
        app.route('/leave', (req, res) => void auth.signOut(req, res));
      },
    });
    const form = { accept: 'text/html', 'content-type': 'application/x-www-form-urlencoded', origin: 'null' };
    const post = (path: string, headers: Record<string, string>) =>
      send(origin + path, { method: 'POST', headers });
    for (const path of ['/logout', '/leave']) {
      const page = await post(path, form);
      expect([page.status, page.setCookies]).toEqual([200, []]);
      expect(page.body).toContain('<form method="post" action="/logout">');
      const script = await post(path, { ...form, accept: '*/*' });
      expect([script.status, script.setCookies]).toEqual([403, []]);
      const own = await post(path, { ...form, cookie: await cookie() });
      expect(own.setCookies[0]).toMatch(CLEARED);
    }
  });

  test('a link on a page of this site signs out', async () => {
    const { origin, cookie, workos } = await createTestApp(framework);
    const reply = await send(`${origin}/logout`, { headers: { ...CLICK, cookie: await cookie() } });
    expect(reply.status).toBe(200);
    expect(reply.body).toContain(`content="0; url=${workos.url}/user_management/sessions/logout?session_id=`);
    expect(reply.setCookies[0]).toMatch(CLEARED);
  });

  test("signing out clears the browser's cache, and nothing else can", async () => {
    const { origin, cookie } = await createTestApp(framework);
    const session = await cookie();
    const page = await send(`${origin}/logout`, { method: 'POST', headers: { ...FORM, cookie: session } });
    expect(page.headers['content-security-policy']).toMatch(/default-src 'none'.*; img-src 'self'$/);
    const [, image] = /<img src="([^"]+)" alt="" hidden>/.exec(page.body)!;
    const fetched = { ...FETCH, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' };
    const forget = async (headers: Record<string, string>) => {
      const reply = await send(origin + image!, { headers });
      return [reply.status, reply.headers['clear-site-data'], reply.setCookies.length];
    };
    expect(await forget(fetched)).toEqual([204, '"cache"', 0]);
    const other = await cookie();
    for (const headers of [
      { ...fetched, cookie: other },
      { ...fetched, 'sec-fetch-site': 'cross-site' },
      { ...fetched, 'sec-fetch-dest': 'script' },
      {},
    ])
      expect(await forget(headers)).toEqual([403, undefined, 0]);
    const scripted = await send(`${origin}/logout`, { method: 'POST', headers: { ...FETCH, cookie: other } });
    expect(scripted.headers['clear-site-data']).toBe('"cache"');
  });

  test('works with an expired token and while WorkOS is unavailable, and redirects a signed-out user home', async () => {
    const { origin, cookie, workos } = await createTestApp(framework);
    const session = await cookie();
    workos.clock.advance(3_600_000);
    workos.fail({ on: 'authenticate', reset: true });
    workos.fail({ on: 'jwks', reset: true });
    const expired = await send(`${origin}/logout`, { method: 'POST', headers: { cookie: session } });
    expect(expired.status).toBe(303);
    expect(expired.location).toContain('session_id=');
    expect(expired.setCookies[0]).toMatch(CLEARED);
    for (const header of [{}, { cookie: 'wos-session=junk' }]) {
      const anonymous = await send(`${origin}/logout?returnTo=/open`, { method: 'POST', headers: header });
      expect(anonymous.location).toBe(`${origin}/open`);
    }
    const elsewhere = await send(`${origin}/logout?returnTo=https://evil.example`, { method: 'POST' });
    expect(elsewhere.location).toBe(`${origin}/`);
  });

  test('T26 F10 a refresh that finishes after sign-out does not restore the session, and the old cookie is rejected', async () => {
    const { origin, cookie, workos } = await createTestApp(framework);
    const session = await cookie();
    workos.clock.advance(600_000);
    workos.fail({ on: 'refresh', delay: 150, times: 1 });
    const late = send(`${origin}/account`, { headers: { ...FETCH, cookie: session } });
    while (workos.callsTo('refresh').length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const out = await send(`${origin}/logout`, { method: 'POST', headers: { cookie: session } });
    expect(out.status).toBe(303);
    const reply = await late;
    expect(reply.status).toBe(401);
    expect(reply.setCookies.filter((line) => /^wos-session=[^;]/.test(line))).toEqual([]);
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status).toBe(401);
  });
});

test('signOut works from code', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', {
    routes: (app, auth) => {
      app.route('/bye', (req, res) => void auth.signOut(req, res, { returnTo: '/open' }));
    },
  });
  const reply = await send(`${origin}/bye`, {
    method: 'POST',
    headers: { cookie: await cookie({ user: ADA }) },
  });
  expect(reply.status).toBe(303);
  expect(new URL(reply.location!).searchParams.get('return_to')).toBe(`${origin}/open`);
  expect(reply.location).toContain(workos.url);
});

test('L02 signing out with an expired, malformed or missing session, and while WorkOS is unavailable, clears the cookie', async () => {
  const { origin, cookie, workos } = await createTestApp('express5');
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

test('L03 sign-out returns to this application or to a listed origin', async () => {
  const { origin, cookie } = await createTestApp('express5', {
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

test('L04 a copy of the session cookie is rejected after sign-out', async () => {
  const { origin, cookie } = await createTestApp('express5');
  const session = await cookie();
  await send(`${origin}/logout`, { method: 'POST', headers: { cookie: session } });
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status).toBe(401);
});

test('B08 with SameSite=None cookies are Secure, and another site still cannot sign the user out', async () => {
  const { origin, cookie } = await createTestApp('express5', {
    authkit: { cookie: { sameSite: 'none' }, redirectUri: 'https://app.example.com/callback' },
  });
  expect((await send(`${origin}/login`, { headers: NAVIGATION })).setCookies[0]).toContain(
    'Secure; SameSite=None',
  );
  const headers = { ...NAVIGATION, 'sec-fetch-site': 'cross-site', cookie: await cookie() };
  expect((await send(`${origin}/logout`, { method: 'POST', headers })).status).toBe(403);
});
