import { describe, expect, test } from 'vitest';
import {
  authkit,
  requireAuth,
  signedIn,
  sso,
  type Auth,
  type GuardRule,
  type SSOOptions,
  type SSOSignInUrlOptions,
} from 'authkit-express';
import { FRAMEWORKS } from '../support/frameworks.js';
import { Browser, FETCH, send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { ADA, json } from '../support/app.js';
import { messagesOn } from '../support/events.js';
import { PROFILE, SECOND } from '../support/sso-profile.js';
import type { SSOConfig } from '../../src/config/resolve-sso-config.js';
import type { Revocation, RevocationStatus } from '../../src/session/revocation.js';
import {
  newSSOSession,
  sealSSOSession,
  type SSOProfile,
  toUser,
} from '../../src/session/sealed-sso-session.js';
import { createSSOSessions } from '../../src/sso/sessions.js';
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
  const events = messagesOn('authkit:sign-in');
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

function configAt(now: () => number): SSOConfig {
  const cookiePasswords = ['a-password-for-tests-and-for-nothing-else'];
  return {
    clientId: 'client_1',
    redirectUri: 'https://app.example/sso/callback',
    cookiePasswords,
    now,
  } as unknown as SSOConfig;
}

/** Sealed sessions of users `prof_<name>` that live for an hour. */
function sealedSessions(config: SSOConfig, names: readonly string[]) {
  return Promise.all(
    names.map(async (name) => {
      const profile = { ...PROFILE, id: `prof_${name}` } as never;
      const session = newSSOSession(profile, undefined, SECOND * 1000 + 999, 3600);
      return { session, sealed: await sealSSOSession(session, config) };
    }),
  );
}

/** What is known about sessions: at once, or only after the store was asked. */
function knowing(statuses: Record<string, RevocationStatus>, isShared = false) {
  const asked: unknown[] = [];
  const ended: string[] = [];
  const statusOf = ({ sessionId }: { sessionId: string | undefined }) => statuses[sessionId!] ?? 'active';
  const revocation = {
    statusNow: (identity: never) => {
      asked.push(identity);
      return isShared ? undefined : statusOf(identity);
    },
    status: (identity: never) => Promise.resolve(statusOf(identity)),
    endSession: (id: string) => {
      ended.push(id);
      return Promise.resolve(true);
    },
  } as unknown as Revocation;
  return { revocation, asked, ended };
}

describe.each([false, true])('of the SSO sessions in a request (the store is asked: %s)', (isShared) => {
  test('the first that has not ended counts', async () => {
    let now = SECOND * 1000;
    const config = configAt(() => now);
    const [one, two] = await sealedSessions(config, ['one', 'two']);
    const values = ['rubbish', one!.sealed, two!.sealed];
    const resultWith = (statuses: Record<string, RevocationStatus>, given = values) => {
      const { revocation } = knowing(statuses, isShared);
      return createSSOSessions(config, revocation).authenticator.authenticate(given, () => true);
    };
    expect(await resultWith({})).toEqual({ kind: 'sso', session: one!.session });
    expect(await resultWith({ [one!.session.id]: 'changed' })).toMatchObject({ session: one!.session });
    expect(await resultWith({ [one!.session.id]: 'revoked' })).toMatchObject({ session: two!.session });
    const all = { [one!.session.id]: 'revoked', [two!.session.id]: 'revoked' } as const;
    expect(await resultWith(all)).toEqual({ kind: 'anonymous', reason: 'ended' });
    expect(await resultWith({}, [])).toEqual({ kind: 'anonymous', reason: 'none' });
    expect(await resultWith({}, ['rubbish'])).toEqual({ kind: 'anonymous', reason: 'invalid' });
    now = (SECOND + 3600) * 1000 - 1;
    expect(await resultWith({})).toMatchObject({ session: one!.session });
    now += 1;
    expect(await resultWith({})).toEqual({ kind: 'anonymous', reason: 'expired' });
  });
});

test('an SSO session is revoked by its ID, its profile and the time of the sign-in', async () => {
  const config = configAt(() => SECOND * 1000);
  const [one] = await sealedSessions(config, ['one']);
  const { revocation, asked } = knowing({});
  const { authenticator } = createSSOSessions(config, revocation);
  const result = authenticator.authenticate([one!.sealed], () => true);
  expect(asked).toEqual([{ sessionId: one!.session.id, userId: 'prof_one', issuedAt: SECOND }]);
  // It is decrypted once.
  expect(authenticator.authenticate([one!.sealed], () => true)).toBe(result);
});

test('a sign-out at sso() ends every session in the request and returns the first', async () => {
  const config = configAt(() => SECOND * 1000);
  const [one, two] = await sealedSessions(config, ['one', 'two']);
  const { revocation, ended } = knowing({});
  const { endSessions } = createSSOSessions(config, revocation);
  expect(await endSessions(['rubbish', one!.sealed, two!.sealed])).toEqual({
    sessionId: one!.session.id,
    user: { id: 'prof_one', organizationId: 'org_1' },
  });
  expect(ended).toEqual([one!.session.id, two!.session.id]);
  expect(await endSessions(['rubbish'])).toBeUndefined();
  expect(ended).toHaveLength(2);
});

test('onSuccess gets the profile as a user, the tokens and where the sign-in began', async () => {
  const workos = await createSSOWorkOS();
  const seen: Record<string, unknown>[] = [];
  const { signIn } = await startSSO(workos, 'express5', {
    options: { onSuccess: (result) => void seen.push({ ...result }) },
  });
  const events = messagesOn('authkit:sign-in');
  await signIn();
  const [result] = seen;
  const { profile, user } = result as { profile: SSOProfile; user: { createdAt: string } };
  expect(result).toMatchObject({
    organizationId: 'org_engines',
    connectionId: 'conn_engines',
    state: undefined,
    stateFrom: undefined,
    isIdPInitiated: false,
    returnTo: '/account',
  });
  expect(user).toEqual(toUser(profile, Date.parse(user.createdAt) / 1000));
  expect(Date.parse(user.createdAt) % 1000).toBe(0);
  expect(Math.abs(Date.parse(user.createdAt) - workos.options.now())).toBeLessThan(60_000);
  expect(events).toEqual([
    {
      clientId: workos.options.clientId,
      userId: profile.id,
      sessionId: expect.stringMatching(/^sso_/) as string,
      organizationId: 'org_engines',
      authenticationMethod: 'SSO',
      isImpersonated: false,
    },
  ]);
});

test('a sign-in that began at the identity provider fails with 503 while WorkOS is unavailable', async () => {
  const workos = await createSSOWorkOS();
  const redirectTo = (origin: string) =>
    workos.startAtIdentityProvider({
      user: ADA,
      connection: 'conn_engines',
      redirectUri: `${origin}/sso/callback`,
    });
  const signIn = {};
  for (const acceptIdPInitiated of [false, true]) {
    const { origin } = await startSSO(workos, 'express5', { options: { signIn, acceptIdPInitiated } });
    workos.fail({ on: 'profile', times: 1, reset: true });
    expect((await new Browser().go(redirectTo(origin))).status).toBe(503);
  }
});

test.each(['connection', 'organization', 'provider'] as const)(
  'a pinned %s is used for a sign-in that began at the identity provider',
  async (name) => {
    const workos = await createSSOWorkOS();
    const value = { connection: 'conn_other', organization: 'org_engines', provider: 'GoogleOAuth' }[name];
    const { origin } = await startSSO(workos, 'express5', {
      options: { signIn: { [name]: value }, returnTo: '/home' },
    });
    const redirectUri = `${origin}/sso/callback`;
    const begun = workos.startAtIdentityProvider({ user: ADA, connection: 'conn_engines', redirectUri });
    const { searchParams } = new URL((await new Browser().go(begun)).location!);
    expect(searchParams.get(name)).toBe(value);
    expect(searchParams.get('connection')).toBe(name === 'connection' ? value : null);
    expect(workos.callsTo('profile')).toEqual([]);
  },
);

test('onSuccess of sso() that sends a response itself signs no user in, and the earlier session stays', async () => {
  const workos = await createSSOWorkOS();
  let answers = false;
  const { origin, signIn } = await startSSO(workos, 'express5', {
    options: {
      onSuccess: ({ res }) => {
        if (answers) res.writeHead(302, { Location: '/terms' }).end();
      },
    },
  });
  const browser = new Browser();
  const { cookie } = await signIn(browser);
  const events = messagesOn('authkit:sign-in');
  answers = true;
  const away = await browser.go(`${origin}/sso/login`);
  const reply = await browser.go(await workos.authorize(away.location!, { user: ADA }));
  expect(reply).toMatchObject({ status: 302, location: `${origin}/terms` });
  expect(reply.setCookies.filter((line) => line.startsWith('wos-sso-session='))).toEqual([]);
  // What would happen after the response has happened when these have been answered.
  for (let times = 0; times < 10; times += 1)
    expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).status).toBe(200);
  expect(events).toEqual([]);
});

test('a sign-in that began at the identity provider and is accepted returns to the page of the configuration', async () => {
  const workos = await createSSOWorkOS();
  const seen: unknown[] = [];
  const { origin } = await startSSO(workos, 'express5', {
    options: {
      signIn: {},
      acceptIdPInitiated: true,
      returnTo: '/home',
      onSuccess: ({ returnTo, stateFrom }) => void seen.push({ returnTo, stateFrom }),
    },
  });
  const redirectUri = `${origin}/sso/callback`;
  const begun = workos.startAtIdentityProvider({ user: ADA, connection: 'conn_engines', redirectUri });
  expect((await new Browser().follow(begun)).url).toBe(`${origin}/home`);
  expect(seen).toEqual([{ returnTo: '/home', stateFrom: undefined }]);
});

test('sso passed to app.use() without a call is an error that says what to write', () => {
  const request = { httpVersion: '1.1', rawHeaders: [] } as SSOOptions;
  expect(() => sso(request)).toThrow('app.use(sso) passes the function itself: write app.use(sso())');
});

test('getSignInUrl() of sso() takes a page to return to and a redirect URI, and has a default for both', async () => {
  const workos = await createSSOWorkOS();
  let options: SSOSignInUrlOptions | undefined;
  const seen: unknown[] = [];
  const { origin } = await startSSO(workos, 'express5', {
    options: { returnTo: '/home', onSuccess: ({ returnTo, state }) => void seen.push([returnTo, state]) },
    routes: (app, single) => {
      app.route('/start', (req, res, next) => {
        single
          .getSignInUrl(req, res, options)
          .then((url) => res.writeHead(302, { Location: url }).end(), next);
      });
    },
  });
  const redirectUri = `${origin}/sso/callback`;
  for (const [given, page, state] of [
    [undefined, '/home', undefined],
    [{}, '/home', undefined],
    [{ returnTo: '/reports', state: 'from the menu' }, '/reports', 'from the menu'],
    [{ redirectUri }, '/home', undefined],
  ] as const) {
    options = given;
    const browser = new Browser();
    const away = await browser.go(`${origin}/start`);
    expect(new URL(away.location!).searchParams.get('redirect_uri')).toBe(redirectUri);
    const landed = await browser.follow(await workos.authorize(away.location!, { user: ADA }));
    expect(landed.url).toBe(origin + page);
    expect(seen.pop()).toEqual([page, state]);
  }
  options = { redirectUri: 'not a URL' };
  expect((await send(`${origin}/start`)).status).toBeGreaterThanOrEqual(400);
});

test('sso() accepts no bearer token, and its login route says which options are missing', async () => {
  const workos = await createSSOWorkOS();
  const { origin } = await startSSO(workos, 'express5', {
    rule: { accepts: ['bearer', 'apiKey', 'session'] } as unknown as GuardRule,
    options: { signIn: {} },
  });
  for (const token of ['sk_live_x', await workos.signToken({ sub: 'user_1', sid: 'session_1' })]) {
    const headers = { ...FETCH, authorization: `Bearer ${token}` };
    expect((await send(`${origin}/account`, { headers })).status).toBe(401);
  }
  const reply = await send(`${origin}/sso/login`);
  expect(reply.status).toBe(400);
  expect(reply.body).toContain('one of organization, connection and provider is required');
});
