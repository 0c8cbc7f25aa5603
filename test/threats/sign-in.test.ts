import { createHash } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { authkit } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { fingerprint } from '../../src/http/cookies.js';
import { newTransaction, sealTransaction } from '../../src/routes/transaction.js';
import { Browser, FETCH, NAVIGATION, send, type Reply } from '../support/browser.js';
import { place } from '../support/place.js';
import { ADA, world } from '../support/world.js';

const isSession = (line: string) => /^wos-session(?:\.\d)?=[^;]/.test(line);

test("T01 another browser's state: 400, nothing exchanged", async () => {
  const { origin, workos, browser } = await world('express5');
  const attackers = await new Browser().go(`${origin}/login`);
  const callback = await workos.authorize(attackers.location!, { user: 'grace@example.com' });
  const own = await browser.go(`${origin}/login`);
  const reply = await browser.go(callback);
  expect(reply.status).toBe(400);
  expect(reply.setCookies.filter(isSession)).toEqual([]);
  // Nor with a cookie of the right name and a genuine transaction of this browser: what counts is the value.
  const state = new URL(callback).searchParams.get('state')!;
  const [, value = ''] = own.setCookies[0]!.split(/[=;]/);
  const cookie = `wos-auth-verifier-${fingerprint(state)}=${value}`;
  const collided = await send(callback, { headers: { ...NAVIGATION, cookie } });
  expect(collided.status).toBe(400);
  expect(collided.setCookies.filter(isSession)).toEqual([]);
  expect(workos.callsTo('code')).toEqual([]);
});

test('T02 the verifier belongs to the challenge, shows nowhere, and a second callback exchanges nothing', async () => {
  const { origin, workos, browser } = await world('express5');
  const { location } = await browser.go(`${origin}/login`);
  const callback = await workos.authorize(location!, { user: ADA });
  const jar = await browser.jar.getCookieString(callback);
  expect((await browser.go(callback)).status).toBe(302);
  const verifier = String(workos.callsTo('code')[0]!.body!['code_verifier']);
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  expect(new URL(location!).searchParams.get('code_challenge')).toBe(challenge);
  expect(location! + callback + jar).not.toContain(verifier);
  workos.clock.advance(11_000);
  const again = await send(callback, { headers: { ...NAVIGATION, cookie: jar } });
  expect(again.status).toBe(400);
  expect(workos.callsTo('code')).toHaveLength(1);
});

test('T03 no configuration removes the challenge', async () => {
  const off = { pkce: false, usePkce: false, codeChallenge: null };
  const workos = await createTestWorkOS();
  expect(() => authkit({ ...workos.options, ...off })).toThrow(/unknown option "pkce"/);
  await workos.close();
  const { origin, browser } = await world('express5');
  const query = 'code_challenge=x&code_challenge_method=plain&codeChallenge=&pkce=false';
  const { searchParams } = new URL((await browser.go(`${origin}/login?${query}`)).location!);
  expect(searchParams.getAll('code_challenge_method')).toEqual(['S256']);
  expect(searchParams.get('code_challenge')).toMatch(/^[\w-]{43}$/);
});

test("T04 another instance's state is refused, with the same password, and so is another issuer's answer", async () => {
  const { origin, workos, browser } = await world('express5');
  const { clientId, cookiePassword } = workos.options;
  const own = { clientId, redirectUri: `${origin}/callback` };
  for (const binding of [
    { ...own, clientId: 'client_other' },
    { ...own, redirectUri: `${origin}/other/callback` },
  ]) {
    const { transaction, secret } = newTransaction({ returnTo: '/' }, workos.clock.now());
    const state = await sealTransaction(transaction, { ...binding, cookiePasswords: [cookiePassword] });
    const cookie = `wos-auth-verifier-${fingerprint(state)}=${secret}`;
    const url = `${origin}/callback?code=x&state=${encodeURIComponent(state)}`;
    expect((await send(url, { headers: { ...NAVIGATION, cookie } })).status).toBe(400);
  }
  const away = await browser.go(`${origin}/login`);
  const callback = await workos.authorize(away.location!, { user: ADA });
  expect((await browser.go(`${callback}&iss=https://evil.example`)).status).toBe(400);
  expect(workos.callsTo('code')).toEqual([]);
});

test('T05 a returnTo never leaves the origin: in the query, in the state, as the request target', async () => {
  const at = await place('express5');
  onTestFinished(() => at.close());
  const hostile = [
    '//evil.example',
    '/\\evil.example',
    '/%09/evil.example',
    'https://evil.example',
    '/.//evil.example',
  ];
  for (const returnTo of hostile) {
    for (const begun of [await at.begin(returnTo), await at.sealed({ returnTo })]) {
      const reply = await at.finish(begun);
      expect({ status: reply.status, location: reply.location }).toEqual({
        status: 302,
        location: `${at.origin}/`,
      });
    }
    const remembered = await at.raw(returnTo, ['Accept: text/html']);
    expect(remembered).not.toMatch(/^location: .*evil/im);
  }
});

test('T06 coming back to login, logout or callback is no way to loop or to sign somebody out', async () => {
  const { origin, browser, signIn } = await world('express5');
  for (const own of ['/logout', '/LOGOUT/', '/%6cogin', '/callback?code=x', '/login/GoogleOAuth']) {
    const landed = await signIn(ADA, `/login?returnTo=${encodeURIComponent(own)}`);
    expect(landed.url, own).toBe(`${origin}/`);
    expect(await browser.cookie(origin, 'wos-session')).toBeDefined();
  }
  // Mounted at the root with a prefix in the redirect URI, the routes answer at both.
  const at = await place('express5');
  onTestFinished(() => at.close());
  for (const own of ['/login', '/Login/google', '/logout', '/callback', '/auth/login', '/auth/logout'])
    expect((await at.finish(await at.begin(own))).location, own).toBe(`${at.origin}/`);
});

test('T07 a query changes neither redirect_uri nor client_id, and what is pinned stays', async () => {
  const { origin, workos } = await world('express5', { authkit: { signIn: { organizationId: 'org_own' } } });
  const query =
    'redirect_uri=https://evil.example&client_id=evil&response_type=token&organizationId=org_evil&scope=x&nonce=y';
  const { location } = await send(`${origin}/login?${query}`, { headers: NAVIGATION });
  const params = new URL(location!).searchParams;
  expect(params.getAll('redirect_uri')).toEqual([`${origin}/callback`]);
  expect(params.getAll('client_id')).toEqual([workos.options.clientId]);
  expect(params.getAll('response_type')).toEqual(['code']);
  expect(params.getAll('organization_id')).toEqual(['org_own']);
  expect([params.get('scope'), params.get('nonce')]).toEqual([null, null]);
});

test('T12 what a browser held before it signed in is worth nothing afterwards', async () => {
  const { origin, browser, signIn, cookie } = await world('express5');
  const planted = 'Fe26.2*1*planted~2';
  await browser.jar.setCookie(`wos-session=${planted}; Path=/`, origin);
  await signIn();
  const fresh = await browser.cookie(origin, 'wos-session');
  expect(fresh).not.toBe(planted);
  const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: `wos-session=${planted}` } });
  expect(reply.status).toBe(401);
  // Signing in over somebody else's session leaves nothing of it.
  const other = (await cookie({ user: 'grace@example.com' })).split('=')[1]!;
  await browser.jar.setCookie(`wos-session=${other}; Path=/`, origin);
  const landed = await signIn(ADA, '/login?returnTo=/account');
  expect(JSON.parse(landed.body)).toMatchObject({ email: ADA });
  expect(await browser.cookie(origin, 'wos-session')).not.toBe(other);
});

test('T25 sub-resource requests start no sign-in, and thirty tabs leave five cookies', async () => {
  const { origin, browser } = await world('express5');
  for (const dest of ['image', 'iframe', 'script', 'style', 'empty', 'video'])
    for (let request = 0; request < 10; request += 1) {
      const headers = { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': dest, 'sec-fetch-site': 'cross-site' };
      expect((await send(`${origin}/login`, { headers })).setCookies).toEqual([]);
    }
  for (let tab = 0; tab < 30; tab += 1) {
    const reply = await browser.go(`${origin}/login?returnTo=/${'x'.repeat(900)}`);
    expect(reply.status, 'a page load does start one').toBe(302);
    expect(reply.setCookies.filter((line) => /^wos-auth-verifier-[^=]+=[^;]/.test(line))).toHaveLength(1);
  }
  const names = await browser.cookieNames(origin);
  expect(names.filter((name) => name.startsWith('wos-auth-verifier-'))).toHaveLength(5);
  expect((await browser.jar.getCookieString(origin)).length).toBeLessThan(512);
});

test('T35 code and state leak by no Referer: a redirect, or a page that says no-referrer', async () => {
  const { origin } = await world('express5');
  for (const query of ['code=x&state=y', 'error=access_denied', 'code=x', '']) {
    const reply = await send(`${origin}/callback?${query}`, { headers: NAVIGATION });
    if (reply.status !== 302) expect(reply.headers['referrer-policy']).toBe('no-referrer');
    expect(reply.headers['cache-control']).toBe('private, no-store');
  }
});

test('T36 what redirects is a 302 or a 303', async () => {
  const { origin, workos, cookie } = await world('express5');
  const session = await cookie();
  for (const [method, path] of [
    ['GET', '/login'],
    ['GET', '/account'],
    ['GET', '/callback?code=x'],
    ['POST', '/logout'],
  ] as const) {
    const headers = path === '/logout' ? { cookie: session } : NAVIGATION;
    expect([302, 303], path).toContain((await send(origin + path, { method, headers })).status);
  }
  expect(workos.callsTo('code')).toEqual([]);
});

test('T37 a code that nobody asked for goes to sign-in and makes no session', async () => {
  const { origin, workos } = await world('express5');
  const reply = await send(`${origin}/callback?code=unasked`, { headers: NAVIGATION });
  expect({ status: reply.status, location: reply.location }).toEqual({
    status: 302,
    location: `${origin}/login`,
  });
  expect(reply.setCookies).toEqual([]);
  expect(workos.callsTo('code')).toEqual([]);
});

/** The Cookie header that a response leaves in an empty browser. */
const cookiesOf = ({ setCookies }: Reply) => setCookies.map((line) => line.split(';', 1)[0]).join('; ');

test('T41 a planted transaction gives its beginner nothing when the victim finishes it', async () => {
  const { origin, workos } = await world('express5', {
    authkit: { redirectUri: 'https://app.example.com/callback' },
  });
  const begun = await send(`${origin}/login`, { headers: NAVIGATION });
  const { pathname, search, searchParams } = new URL(await workos.authorize(begun.location!, { user: ADA }));
  const ask = (path: string, cookie: string) => send(origin + path, { headers: { ...NAVIGATION, cookie } });
  // What another host of the domain can set has no __Host- name.
  const victim = await ask(pathname + search, cookiesOf(begun).replace('__Host-', ''));
  expect([victim.status, victim.setCookies.filter(isSession)]).toEqual([400, []]);
  // And if it could: the victim's code is not the attacker's.
  expect((await ask(pathname + search, cookiesOf(begun))).setCookies.filter(isSession)).toHaveLength(1);
  const state = encodeURIComponent(searchParams.get('state')!);
  const collected = await ask(`${pathname}?code=anything&state=${state}`, cookiesOf(begun));
  expect([collected.status, collected.setCookies.filter(isSession)]).toEqual([400, []]);
});

test('T42 a callback URL signs nobody in without the cookie, used or not', async () => {
  const { origin, workos } = await world('express5');
  const begun = await send(`${origin}/login`, { headers: NAVIGATION });
  const callback = await workos.authorize(begun.location!, { user: ADA });
  const state = new URL(callback).searchParams.get('state')!;
  const cookie = `wos-auth-verifier-${fingerprint(state)}=${state}`;
  const steal = async () => {
    const reply = await send(callback, { headers: { ...NAVIGATION, cookie } });
    expect([reply.status, reply.setCookies.filter(isSession)]).toEqual([400, []]);
  };
  await steal();
  const own = await send(callback, { headers: { ...NAVIGATION, cookie: cookiesOf(begun) } });
  expect(own.setCookies.filter(isSession)).toHaveLength(1);
  await steal();
});

test('T53 after a cross-site link, the landing page of a strict session waits for a click', async () => {
  const { origin, workos } = await world('express5', { authkit: { cookie: { sameSite: 'strict' } } });
  for (const [site, goesOn] of [
    ['cross-site', false],
    ['same-origin', true],
  ] as const) {
    const headers = { ...NAVIGATION, 'sec-fetch-site': site };
    const begun = await send(`${origin}/login?returnTo=/open`, { headers });
    const callback = await workos.authorize(begun.location!, { user: ADA });
    const landed = await send(callback, { headers: { ...NAVIGATION, cookie: cookiesOf(begun) } });
    expect([landed.status, landed.body.includes('http-equiv="refresh"')]).toEqual([200, goesOn]);
    expect(landed.body).toContain('href="/open"');
  }
});

test('T58 a second callback is answered although onSuccess answered the first itself', async () => {
  const { origin, workos } = await world('express5', {
    authkit: { onSuccess: ({ res }) => void res.end('mine') },
  });
  const begun = await send(`${origin}/login`, { headers: NAVIGATION });
  const callback = await workos.authorize(begun.location!, { user: ADA });
  const ask = () => send(callback, { headers: { ...NAVIGATION, cookie: cookiesOf(begun) } });
  const statuses = (await Promise.all([ask(), ask()])).map(({ status }) => status);
  expect(statuses.sort()).toEqual([200, 400]);
  expect((await ask()).status).toBe(400);
});
