import { createHash } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { requireAuth, sso, type SSOOptions } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { fingerprint } from '../../src/http/cookies.js';
import { FRAMEWORKS, serve, type Framework } from '../support/frameworks.js';
import { Browser, NAVIGATION, send, type Reply } from '../support/browser.js';
import { ADA, whoami, createTestApp } from '../support/app.js';

const isSession = (line: string) => /^(?:__Host-)?[\w-]*session(?:\.\d)?=[^;]/.test(line);
const sessions = (reply: Reply) => reply.setCookies.filter(isSession);
const stateOf = (url: string) => new URL(url).searchParams.get('state')!;
/** The Cookie header of a browser that has only these cookies. */
const cookiesOf = ({ setCookies }: Reply) => setCookies.map((line) => line.split(';', 1)[0]).join('; ');
const secretOf = (cookie: string) => cookie.slice(cookie.indexOf('=') + 1);

describe.each(FRAMEWORKS)('the browser that began a sign-in on %s', (framework) => {
  test('is the only one that can finish it: a callback URL contains nothing that helps another', async () => {
    const { origin, workos } = await createTestApp(framework);
    const login = await send(`${origin}/login`, { headers: NAVIGATION });
    const callback = await workos.authorize(login.location!, { user: ADA });
    const state = stateOf(callback);
    for (const value of ['', state, 'x'.repeat(43), createHash('sha256').update(state).digest('base64url')]) {
      const cookie = `wos-auth-verifier-${fingerprint(state)}=${value}`;
      const reply = await send(callback, { headers: { ...NAVIGATION, cookie } });
      expect([reply.status, sessions(reply)]).toEqual([400, []]);
    }
    expect(workos.callsTo('code')).toEqual([]);
    const own = await send(callback, { headers: { ...NAVIGATION, cookie: cookiesOf(login) } });
    expect([own.status, sessions(own)]).toEqual([302, [expect.any(String)]]);
  });

  test('has 32 random bytes in its cookie, and no URL holds them or the verifier', async () => {
    const { origin, workos } = await createTestApp(framework);
    const login = await send(`${origin}/login`, { headers: NAVIGATION });
    const callback = await workos.authorize(login.location!, { user: ADA });
    const secret = secretOf(cookiesOf(login));
    expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
    await send(callback, { headers: { ...NAVIGATION, cookie: cookiesOf(login) } });
    const verifier = String(workos.callsTo('code')[0]!.body!['code_verifier']);
    expect(verifier).toMatch(/^[\w-]{43}$/);
    expect(verifier).not.toBe(secret);
    for (const hidden of [secret, verifier]) expect(login.location! + callback).not.toContain(hidden);
  });

  test('T02 uses its state up with an error, and the same error may be repeated for ten seconds', async () => {
    const { origin, workos } = await createTestApp(framework);
    const login = await send(`${origin}/login`, { headers: NAVIGATION });
    const code = await workos.authorize(login.location!, { user: ADA });
    const denied = new URL(await workos.authorize(login.location!, { deny: true })).href;
    const ask = (url: string) => send(url, { headers: { ...NAVIGATION, cookie: cookiesOf(login) } });
    const both = await Promise.all([ask(denied), ask(denied)]);
    expect(both.map(({ status, body }) => [status, body.includes('already been used')])).toEqual(
      Array(2).fill([403, false]),
    );
    for (const url of [code, `${denied}&more=1`]) {
      const late = await ask(url);
      expect([late.status, sessions(late), late.body.includes('already been used')]).toEqual([400, [], true]);
    }
    workos.clock.advance(10_000);
    expect((await ask(denied)).body).toContain('already been used');
    expect(workos.callsTo('code')).toEqual([]);
  });

  test('T02 uses its state up with a code for a native client', async () => {
    const clientRedirectUris = ['com.example.app:/cb'];
    const { origin, workos } = await createTestApp(framework, {
      authkit: { routes: { token: '/token' }, clientRedirectUris },
    });
    const query = `codeChallenge=${'a'.repeat(43)}&redirectTo=com.example.app:/cb`;
    const login = await send(`${origin}/login?${query}`, { headers: NAVIGATION });
    const ask = (url: string) => send(url, { headers: { ...NAVIGATION, cookie: cookiesOf(login) } });
    const first = await workos.authorize(login.location!, { user: ADA });
    const second = await workos.authorize(login.location!, { user: ADA });
    const both = await Promise.all([ask(first), ask(first)]);
    for (const { location } of both) expect(location).toMatch(/^com\.example\.app:\/cb\?code=/);
    const other = await ask(second);
    expect([other.status, other.location]).toEqual([400, undefined]);
  });

  test('shares a finished exchange with its own reload only, never with another code or secret', async () => {
    const { origin, workos } = await createTestApp(framework);
    const login = await send(`${origin}/login`, { headers: NAVIGATION });
    const callback = await workos.authorize(login.location!, { user: ADA });
    const ask = (url: string, cookie: string) => send(url, { headers: { ...NAVIGATION, cookie } });
    const cookie = cookiesOf(login);
    const both = await Promise.all([ask(callback, cookie), ask(callback, cookie)]);
    expect(both.map(({ status }) => status)).toEqual([302, 302]);
    expect(sessions(both[0])).toEqual(sessions(both[1]));
    const otherCode = new URL(callback);
    otherCode.searchParams.set('code', 'anything');
    expect(sessions(await ask(otherCode.href, cookie))).toEqual([]);
    const other = await send(`${origin}/login`, { headers: NAVIGATION });
    const name = cookie.slice(0, cookie.indexOf('='));
    const otherSecret = await ask(callback, `${name}=${secretOf(cookiesOf(other))}`);
    expect([otherSecret.status, sessions(otherSecret)]).toEqual([400, []]);
    expect(workos.callsTo('code')).toHaveLength(1);
  });

  test('finds its secret among any number of planted ones', async () => {
    const { origin, workos } = await createTestApp(framework);
    const login = await send(`${origin}/login`, { headers: NAVIGATION });
    const callback = await workos.authorize(login.location!, { user: ADA });
    const name = cookiesOf(login).split('=')[0]!;
    const planted = Array.from({ length: 20 }, (_, index) => `${name}=${String(index).padStart(43, 'x')}`);
    const cookie = [...planted, cookiesOf(login), `${name}=x`].join('; ');
    const reply = await send(callback, { headers: { ...NAVIGATION, cookie } });
    expect(sessions(reply)).toHaveLength(1);
  });

  test('is answered every time when onSuccess answers the first callback itself', async () => {
    const { origin, workos } = await createTestApp(framework, {
      authkit: {
        onSuccess: async ({ res }) => {
          await new Promise((resolve) => setImmediate(resolve));
          res.statusCode = 403;
          res.end('not you');
        },
      },
    });
    const login = await send(`${origin}/login`, { headers: NAVIGATION });
    const callback = await workos.authorize(login.location!, { user: ADA });
    const ask = () => send(callback, { headers: { ...NAVIGATION, cookie: cookiesOf(login) } });
    const both = await Promise.all([ask(), ask()]);
    expect(both.map(({ status }) => status).sort()).toEqual([400, 403]);
    expect((await ask()).status).toBe(400);
    expect(workos.callsTo('code')).toHaveLength(1);
  });
});

test.each([
  [{}, '__Host-wos-auth-verifier-', '__Host-wos-signed-in'],
  [{ name: '__Host-session' }, '__Host-wos-auth-verifier-', '__Host-wos-signed-in'],
  [{ path: '/' }, '__Host-wos-auth-verifier-', '__Host-wos-signed-in'],
  [{ domain: 'example.com' }, '__Secure-wos-auth-verifier-', '__Secure-wos-signed-in'],
  [{ sameSite: 'none' as const }, '__Host-wos-auth-verifier-', '__Host-wos-signed-in'],
])(
  'on https with %j the cookies of a sign-in have a prefix, and no sibling can plant them',
  async (cookie, name, marker) => {
    const { origin, workos } = await createTestApp('express5', {
      authkit: { redirectUri: 'https://app.example.com/callback', cookie },
    });
    const attacker = await send(`${origin}/login`, { headers: NAVIGATION });
    expect(attacker.setCookies).toHaveLength(1);
    expect(attacker.setCookies[0]!.startsWith(name)).toBe(true);
    const { pathname, search } = new URL(await workos.authorize(attacker.location!, { user: ADA }));
    const ask = (header: string) =>
      send(origin + pathname + search, { headers: { ...NAVIGATION, cookie: header } });
    // A different host on the domain can only set the name without a prefix.
    const planted = await ask(cookiesOf(attacker).replace(/^__(?:Host|Secure)-/, ''));
    expect([planted.status, sessions(planted)]).toEqual([400, []]);
    const own = await ask(cookiesOf(attacker));
    expect(sessions(own)).toHaveLength(1);
    expect(own.setCookies.some((line) => line.startsWith(`${marker}=`))).toBe(true);
  },
);

async function single(framework: Framework, options: SSOOptions = {}) {
  const workos = await createTestWorkOS();
  onTestFinished(() => workos.close());
  const { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now } = workos.options;
  const shared = { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now };
  const site = await serve(framework, (app, origin) => {
    app.use(sso({ ...shared, redirectUri: `${origin}/sso/callback`, ...options }));
    app.route('/account', requireAuth(), whoami);
  });
  onTestFinished(() => site.close());
  return { workos, origin: site.origin };
}

test.each(FRAMEWORKS)(
  'sso() on %s: a sign-in that the victim finished is not handed to its beginner',
  async (framework) => {
    const { workos, origin } = await single(framework);
    const attacker = await send(`${origin}/sso/login?provider=google`, { headers: NAVIGATION });
    const callback = await workos.authorize(attacker.location!, { user: ADA });
    const ask = (url: string, cookie: string) => send(url, { headers: { ...NAVIGATION, cookie } });
    expect(sessions(await ask(callback, ''))).toEqual([]);
    // The cookie was planted in the victim's browser.
    expect(sessions(await ask(callback, cookiesOf(attacker)))).toHaveLength(1);
    const state = encodeURIComponent(stateOf(callback));
    const late = await ask(`${origin}/sso/callback?code=anything&state=${state}`, cookiesOf(attacker));
    expect([late.status, sessions(late)]).toEqual([400, []]);
    expect(workos.callsTo('profile')).toHaveLength(1);
  },
);

test('the PKCE challenge of a native client is its own, so no URL holds what redeems its code at WorkOS', async () => {
  const client = 'com.example.app://signed-in';
  const { origin, workos } = await createTestApp('express5', {
    authkit: { routes: { token: '/token' }, clientRedirectUris: [client] },
  });
  const verifier = 'v'.repeat(43);
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const browser = new Browser();
  const query = new URLSearchParams({ codeChallenge: challenge, redirectTo: client }).toString();
  const login = await browser.go(`${origin}/login?${query}`);
  expect(new URL(login.location!).searchParams.get('code_challenge')).toBe(challenge);
  const back = await browser.go(await workos.authorize(login.location!, { user: ADA }));
  const code = new URL(back.headers.location!).searchParams.get('code')!;
  const redeem = (codeVerifier: string) =>
    send(`${origin}/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code,
        code_verifier: codeVerifier,
      }).toString(),
    });
  expect((await redeem(verifier)).status).toBe(200);
  expect(workos.callsTo('code')[0]!.body).toMatchObject({ code_verifier: verifier });
});
