import { describe, expect, test } from 'vitest';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { FRAMEWORKS } from '../support/apps.js';
import { ADA, world } from '../support/world.js';

const FORM = {
  ...NAVIGATION,
  'sec-fetch-site': 'same-origin',
  'content-type': 'application/x-www-form-urlencoded',
};
const CLICK = { ...NAVIGATION, 'sec-fetch-site': 'same-origin' };
const CLEARED = /^wos-session=; Max-Age=0; Path=\/; HttpOnly; SameSite=Lax$/;

describe.each(FRAMEWORKS)('sign-out on %s', (framework) => {
  test('from sign-in to sign-out: the guarded page asks to sign in again', async () => {
    const { origin, browser, signIn, workos } = await world(framework);
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

  test('a script gets the address, a plain client a redirect', async () => {
    const { origin, cookie, workos } = await world(framework);
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

  test('no other site signs anybody out, nor does a prefetch, an image or a HEAD', async () => {
    const { origin, cookie } = await world(framework);
    const session = await cookie();
    const requests: [method: string, headers: Record<string, string>, status: number][] = [
      ['POST', { ...FORM, 'sec-fetch-site': 'cross-site' }, 403],
      ['POST', { ...FORM, 'sec-fetch-site': 'same-site' }, 403],
      ['POST', { origin: 'https://evil.example' }, 403],
      ['POST', { origin: 'null', 'sec-fetch-site': 'cross-site' }, 403],
      ['GET', { ...NAVIGATION, 'sec-fetch-site': 'cross-site' }, 200],
      ['GET', { ...NAVIGATION, 'sec-fetch-site': 'none' }, 200],
      ['GET', { ...CLICK, 'sec-purpose': 'prefetch;prerender' }, 200],
      ['GET', { ...CLICK, 'sec-fetch-dest': 'iframe' }, 200],
      ['GET', { ...CLICK, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }, 403],
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
  });

  test("a link on the application's own page does", async () => {
    const { origin, cookie, workos } = await world(framework);
    const reply = await send(`${origin}/logout`, { headers: { ...CLICK, cookie: await cookie() } });
    expect(reply.status).toBe(200);
    expect(reply.body).toContain(`content="0; url=${workos.url}/user_management/sessions/logout?session_id=`);
    expect(reply.setCookies[0]).toMatch(CLEARED);
  });

  test('its page has the browser forget the pages of who was signed in, and nothing else has', async () => {
    const { origin, cookie } = await world(framework);
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

  test('works with an expired token and while WorkOS is down, and goes home for who is signed out already', async () => {
    const { origin, cookie, workos } = await world(framework);
    const session = await cookie();
    workos.clock.advance(3_600_000);
    workos.fail({ on: 'authenticate', reset: true });
    workos.fail({ on: 'jwks', reset: true });
    const expired = await send(`${origin}/logout`, { method: 'POST', headers: { cookie: session } });
    expect(expired.status).toBe(303);
    expect(expired.location).toContain('session_id=');
    expect(expired.setCookies[0]).toMatch(CLEARED);
    for (const header of [{}, { cookie: 'wos-session=junk' }]) {
      const nobody = await send(`${origin}/logout?returnTo=/open`, { method: 'POST', headers: header });
      expect(nobody.location).toBe(`${origin}/open`);
    }
    const elsewhere = await send(`${origin}/logout?returnTo=https://evil.example`, { method: 'POST' });
    expect(elsewhere.location).toBe(`${origin}/`);
  });

  test('a refresh under way cannot bring the session back, and the old cookie is nobody here', async () => {
    const { origin, cookie, workos } = await world(framework);
    const session = await cookie();
    workos.clock.advance(600_000);
    workos.fail({ on: 'refresh', delay: 150, times: 1 });
    const late = send(`${origin}/account`, { headers: { ...FETCH, cookie: session } });
    while (workos.callsTo('refresh').length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await send(`${origin}/logout`, { method: 'POST', headers: { cookie: session } });
    const reply = await late;
    expect(reply.status).toBe(401);
    expect(reply.setCookies.filter((line) => /^wos-session=[^;]/.test(line))).toEqual([]);
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status).toBe(401);
  });
});

test('signOut from code does the same', async () => {
  const { origin, cookie, workos } = await world('express5', {
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
