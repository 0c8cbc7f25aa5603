import { describe, expect, onTestFinished, test } from 'vitest';
import { authkit } from 'authkit-express';
import { serve } from '../support/frameworks.js';
import { Browser, NAVIGATION, send, FETCH } from '../support/browser.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { ADA, createTestApp } from '../support/app.js';
import { createHash } from 'node:crypto';
import { fingerprint } from '../../src/http/cookies.js';
import { newTransaction, sealTransaction } from '../../src/routes/sign-in-transaction.js';

const isSession = (line: string) => /^wos-session(?:\.\d+)?=[^;]/.test(line);

test('P01 another process can handle the callback, because the transaction is in the cookie', async () => {
  const { origin, workos, browser, sibling } = await createTestApp('express5');
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

test('P02 an instance rejects the callback of another instance with the same password', async () => {
  const { workos } = await createTestApp('express5');
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

test('B02 a used callback leads to the home page if signed in, else to a page with a sign-in link', async () => {
  const { origin, browser, workos } = await createTestApp('express5');
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

test('B07 an app opened as localhost redirects to the host name of its redirect URI before a sign-in begins', async () => {
  const { origin, browser, workos } = await createTestApp('express5');
  const elsewhere = origin.replace('127.0.0.1', 'localhost');
  const path = '/login?returnTo=/open';
  const redirected = await send(origin + path, {
    headers: { ...NAVIGATION, host: new URL(elsewhere).host },
  });
  expect([redirected.status, redirected.location, redirected.setCookies]).toEqual([302, origin + path, []]);
  const { location } = await browser.go(redirected.location!);
  const reply = await browser.go(await workos.authorize(location!, { user: ADA }));
  expect([reply.status, reply.location]).toEqual([302, `${origin}/open`]);
});

test('T01 a state from another browser is rejected with 400, and no code is exchanged', async () => {
  const { origin, workos, browser } = await createTestApp('express5');
  const attackers = await new Browser().go(`${origin}/login`);
  const callback = await workos.authorize(attackers.location!, { user: 'grace@example.com' });
  const own = await browser.go(`${origin}/login`);
  const reply = await browser.go(callback);
  expect(reply.status).toBe(400);
  expect(reply.setCookies.filter(isSession)).toEqual([]);
  // A cookie of the right name with another transaction of this browser is rejected too, since the value counts.
  const state = new URL(callback).searchParams.get('state')!;
  const [, value = ''] = own.setCookies[0]!.split(/[=;]/);
  const cookie = `wos-auth-verifier-${fingerprint(state)}=${value}`;
  const collided = await send(callback, { headers: { ...NAVIGATION, cookie } });
  expect(collided.status).toBe(400);
  expect(collided.setCookies.filter(isSession)).toEqual([]);
  expect(workos.callsTo('code')).toEqual([]);
});

test('T02 the code verifier matches the challenge and is never exposed, and a second callback exchanges no code', async () => {
  const { origin, workos, browser } = await createTestApp('express5');
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

test('T04 a state of another instance with the same password is rejected, and so is a response with another iss', async () => {
  const { origin, workos, browser } = await createTestApp('express5');
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

test('T12 a session cookie from before sign-in is overwritten and rejected', async () => {
  const { origin, browser, signIn, cookie } = await createTestApp('express5');
  const planted = 'Fe26.2*1*planted~2';
  await browser.jar.setCookie(`wos-session=${planted}; Path=/`, origin);
  await signIn();
  const fresh = await browser.cookie(origin, 'wos-session');
  expect(fresh).not.toBe(planted);
  const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: `wos-session=${planted}` } });
  expect(reply.status).toBe(401);
  // Signing in replaces the session of another user completely.
  const other = (await cookie({ user: 'grace@example.com' })).split('=')[1]!;
  await browser.jar.setCookie(`wos-session=${other}; Path=/`, origin);
  const landed = await signIn(ADA, '/login?returnTo=/account');
  expect(JSON.parse(landed.body)).toMatchObject({ email: ADA });
  expect(await browser.cookie(origin, 'wos-session')).not.toBe(other);
});

describe.each(FRAMEWORKS)('the callback on %s', (framework) => {
  test('B05 with SameSite=Strict the transaction cookie is Lax, and a page of this site follows that has the session', async () => {
    const { origin, browser, workos } = await createTestApp(framework, {
      authkit: { cookie: { sameSite: 'strict' } },
    });
    const login = await browser.go(`${origin}/login?returnTo=/account`);
    expect(login.setCookies[0]).toContain('SameSite=Lax');
    const landed = await browser.go(await workos.authorize(login.location!, { user: ADA }));
    expect(landed.status).toBe(200);
    expect(landed.body).toContain('http-equiv="refresh" content="0; url=/account"');
    expect(landed.setCookies.find((line) => line.startsWith('wos-session='))).toContain('SameSite=Strict');
  });
});
