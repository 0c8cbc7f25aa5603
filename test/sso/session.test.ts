import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, onTestFinished, test } from 'vitest';
import { authkit, requireAuth, signedIn, type Auth, type AuthKitEvents } from 'authkit-express';
import { FRAMEWORKS } from '../support/frameworks.js';
import { Browser, FETCH, send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { ADA, json } from '../support/app.js';
import { createSSOWorkOS, startSSO } from './support.js';

const SIGN_OUT = { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } };

describe.each(FRAMEWORKS)('an SSO session on %s', (framework) => {
  test('has a user, a profile and data, and no token, session ID or claims', async () => {
    const workos = await createSSOWorkOS();
    const { signIn } = await startSSO(workos, framework, {
      options: { onSuccess: () => ({ data: { plan: 'pro' } }) },
    });
    const { reply } = await signIn();
    const auth = JSON.parse(reply.body) as Auth & { names: string[] };
    expect(auth).toMatchObject({
      type: 'sso',
      user: { email: ADA, emailVerified: false },
      profile: { connectionId: 'conn_engines', email: ADA },
      organizationId: 'org_engines',
      role: 'admin',
      roles: ['admin'],
      permissions: [],
      entitlements: [],
      featureFlags: [],
      authenticationMethod: 'SSO',
      data: { plan: 'pro' },
    });
    for (const name of ['accessToken', 'sessionId', 'claims', 'refreshToken'])
      expect(auth.names).not.toContain(name);
  });

  test('is accepted by a guard that accepts sessions, and by no other', async () => {
    const workos = await createSSOWorkOS();
    const ran: string[] = [];
    const { origin, signIn } = await startSSO(workos, framework, {
      routes: (app) => {
        app.route('/check', requireAuth({ check: (auth) => auth.type === 'sso' }), (req, res) => {
          json(res, { type: signedIn(req).type, email: signedIn(req).user.email });
        });
        app.route('/tokens', requireAuth({ accepts: ['bearer', 'apiKey'] }), (_req, res) => {
          ran.push('tokens');
          res.end();
        });
      },
    });
    const { browser } = await signIn();
    expect(JSON.parse((await browser.fetch(`${origin}/check`)).body)).toEqual({ type: 'sso', email: ADA });
    expect((await browser.fetch(`${origin}/tokens`)).status).toBe(401);
    expect(ran).toEqual([]);
  });

  test('that was signed out stays signed out in another process and after a restart, with a store', async () => {
    const workos = await createSSOWorkOS();
    const store = mapStore();
    const options = { store, sessionLifetime: 30 * 86_400 };
    const [one, two] = [
      await startSSO(workos, framework, { options }),
      await startSSO(workos, framework, { options }),
    ];
    const { browser, cookie } = await one.signIn();
    const ask = async ({ origin }: { origin: string }) =>
      (await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status;
    expect([await ask(one), await ask(two)]).toEqual([200, 200]);
    expect((await browser.go(`${one.origin}/sso/logout`, SIGN_OUT)).status).toBe(200);
    expect(await ask(one)).toBe(401);
    const restarted = await startSSO(workos, framework, { options });
    expect(await ask(restarted)).toBe(401);
    // Longer than a day, for which authkit() remembers that a session has ended.
    workos.clock.advance(2 * 86_400_000);
    expect(await ask(one)).toBe(401);
  });
});

test('a store that fails signs no user out, and a sign-out works in this process', async () => {
  const workos = await createSSOWorkOS();
  const fail = () => Promise.reject(new Error('down'));
  const broken = { get: fail, set: fail, add: fail, replace: fail, delete: fail };
  const { origin, signIn } = await startSSO(workos, 'express5', { options: { store: broken } });
  const { browser, cookie } = await signIn();
  expect((await browser.fetch(`${origin}/account`)).status).toBe(200);
  expect((await browser.go(`${origin}/sso/logout`, SIGN_OUT)).status).toBe(200);
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(401);
});

test('that was signed out is refused for the rest of its lifetime, also without a store', async () => {
  const workos = await createSSOWorkOS();
  const { origin, signIn } = await startSSO(workos, 'express5');
  const { browser, cookie } = await signIn();
  await browser.go(`${origin}/sso/logout`, SIGN_OUT);
  for (const ms of [0, 60_000, 3_600_000]) {
    workos.clock.advance(ms);
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(401);
  }
});

test('of two cookies of one name, the session that is signed in counts, and a sign-out ends both', async () => {
  const workos = await createSSOWorkOS();
  const { origin, signIn } = await startSSO(workos, 'express5');
  const session = async () => {
    const { browser } = await signIn(new Browser());
    return `wos-sso-session=${(await browser.cookie(origin, 'wos-sso-session'))!}`;
  };
  const [out, one, two] = [await session(), await session(), await session()];
  const ask = async (cookie: string) =>
    (await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status;
  await send(`${origin}/sso/logout`, { method: 'POST', headers: { cookie: out } });
  expect(await ask(out)).toBe(401);
  expect(await ask(`${out}; ${one}`)).toBe(200);
  expect(await ask(`${one}; ${out}`)).toBe(200);
  await send(`${origin}/sso/logout`, { method: 'POST', headers: { cookie: `${one}; ${two}` } });
  expect([await ask(one), await ask(two)]).toEqual([401, 401]);
});

test('is not accepted by an instance of another client with the same password', async () => {
  const workos = await createSSOWorkOS();
  const { signIn } = await startSSO(workos, 'express5');
  const other = await startSSO(workos, 'express5', { options: { clientId: 'client_other' } });
  const { cookie } = await signIn();
  expect((await send(`${other.origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(401);
});

test.each([
  ['the lifetime of the session', {}, 3600],
  ['the lifetime of the cookie, if that is shorter', { cookie: { maxAge: 600 } }, 600],
])('is kept in a cookie for %s', async (_name, more, maxAge) => {
  const workos = await createSSOWorkOS();
  const { origin } = await startSSO(workos, 'express5', { options: { sessionLifetime: 3600, ...more } });
  const browser = new Browser();
  const away = await browser.go(`${origin}/sso/login`);
  const reply = await browser.go(await workos.authorize(away.location!, { user: ADA }));
  const line = reply.setCookies.find((cookie) => cookie.startsWith('wos-sso-session='));
  expect(line).toContain(`Max-Age=${maxAge};`);
});

test('a pinned domain is used for a sign-in that began at the identity provider, and its code is not exchanged', async () => {
  const workos = await createSSOWorkOS();
  const { origin } = await startSSO(workos, 'express5', { options: { signIn: { domain: 'example.com' } } });
  const redirectUri = `${origin}/sso/callback`;
  const callback = workos.startAtIdentityProvider({ user: ADA, connection: 'conn_engines', redirectUri });
  const reply = await new Browser().go(callback);
  expect(new URL(reply.location!).searchParams.get('domain')).toBe('example.com');
  expect(workos.callsTo('profile')).toEqual([]);
});

test('a sign-in is published once, with the method SSO', async () => {
  const workos = await createSSOWorkOS();
  const { signIn } = await startSSO(workos, 'express5');
  const events: AuthKitEvents['authkit:sign-in'][] = [];
  const listener = (message: unknown) => {
    events.push(message as AuthKitEvents['authkit:sign-in']);
  };
  subscribe('authkit:sign-in', listener);
  onTestFinished(() => {
    unsubscribe('authkit:sign-in', listener);
  });
  await signIn();
  expect(events).toMatchObject([
    { authenticationMethod: 'SSO', isImpersonated: false, organizationId: 'org_engines' },
  ]);
});

test('beside authkit(), methods of authkit() do not see an SSO session', async () => {
  const workos = await createSSOWorkOS();
  let codes: unknown[] = [];
  const { signIn } = await startSSO(workos, 'express5', {
    routes: (app) => {
      const auth = authkit({ ...workos.options, redirectUri: 'http://127.0.0.1/callback' });
      app.use(auth);
      app.route('/methods', (req, res) => {
        const failed = (error: unknown) => (error as { code?: string }).code;
        const all = [auth.refreshSession(req, res), auth.listSessions(req)];
        void Promise.all(all.map((one) => one.then(() => 'done', failed))).then((found) => {
          codes = [...found, auth.isRecent(req, 1e9)];
          res.end();
        });
      });
    },
  });
  await signIn(new Browser(), 'returnTo=/methods');
  expect(codes).toEqual(['unauthenticated', 'unauthenticated', false]);
});
