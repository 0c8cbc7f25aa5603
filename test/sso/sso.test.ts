import { describe, expect, onTestFinished, test } from 'vitest';
import {
  authkit,
  requireAuth,
  signedIn,
  sso,
  type GuardRule,
  type SSO,
  type SSOOptions,
} from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { FRAMEWORKS, serve, type App, type Framework } from '../support/frameworks.js';
import { Browser, FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, json } from '../support/app.js';

const ENGINES = 'Analytical Engines';

interface Setup {
  sso?: SSOOptions;
  rule?: GuardRule;
  /** Also mounts `authkit()`, before or after `sso()`. */
  authkit?: 'before' | 'after';
  routes?: (app: App, single: SSO) => void;
}

/** A test WorkOS with an organization that has a connection, and an application with a guarded `/account`. */
async function createSsoApp(framework: Framework, setup: Setup = {}) {
  const workos = await createTestWorkOS({
    organizations: [
      { name: ENGINES, id: 'org_engines', connections: [{ id: 'conn_engines', type: 'OktaSAML' }] },
    ],
    users: [
      {
        email: ADA,
        firstName: 'Ada',
        lastName: 'Lovelace',
        memberships: [{ organizationId: ENGINES, role: 'admin' }],
      },
      { email: 'eve@example.com', memberships: [{ organizationId: ENGINES }] },
    ],
  });
  onTestFinished(() => workos.close());
  let single!: SSO;
  let served = 0;
  const { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now } = workos.options;
  const options = { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now };
  const site = await serve(framework, (app, origin) => {
    single = sso({ ...options, redirectUri: `${origin}/sso/callback`, ...setup.sso });
    const both = () => {
      app.use(authkit({ ...workos.options, redirectUri: `${origin}/callback` }));
    };
    if (setup.authkit === 'before') both();
    app.use(single);
    if (setup.authkit === 'after') both();
    app.route('/open', (req, res) => {
      json(res, { email: (req as { user?: { email: string } }).user?.email ?? null });
    });
    app.route('/account', setup.rule ? requireAuth(setup.rule) : requireAuth(), (req, res) => {
      served += 1;
      const { user, organizationId, role, roles, authenticationMethod, type } = signedIn(req);
      const { profile } = signedIn(req) as { profile?: { connectionType: string; idpId: string } };
      json(res, {
        email: user.email,
        id: user.id,
        organizationId,
        role,
        roles,
        authenticationMethod,
        type,
        profile,
      });
    });
    setup.routes?.(app, single);
  });
  onTestFinished(() => site.close());
  const browser = new Browser();
  const { origin } = site;
  const signIn = async (query = 'connection=conn_engines&returnTo=/account', user = ADA) => {
    const away = await browser.go(`${origin}/sso/login?${query}`);
    return browser.follow(await workos.authorize(away.location!, { user }));
  };
  const begin = (connection = 'conn_engines', user = ADA) =>
    workos.startAtIdentityProvider({ user, connection, redirectUri: `${origin}/sso/callback` });
  return { workos, site, origin, browser, served: () => served, signIn, begin };
}

const pinned = { signIn: { organization: 'org_engines' } };

describe.each(FRAMEWORKS)('single sign-on on %s', (framework) => {
  test('redirects from a guarded page to the identity provider and back, with the profile', async () => {
    const { origin, browser, workos, served } = await createSsoApp(framework, { sso: pinned });
    const away = await browser.follow(`${origin}/account?tab=1`);
    const asked = new URL(away.location!);
    expect(asked.pathname).toBe('/sso/authorize');
    expect(Object.fromEntries(asked.searchParams)).toMatchObject({
      organization: 'org_engines',
      response_type: 'code',
      redirect_uri: `${origin}/sso/callback`,
      code_challenge_method: 'S256',
    });
    expect(served()).toBe(0);
    const back = await browser.follow(await workos.authorize(away.location!, { user: ADA }));
    expect(back.url).toBe(`${origin}/account?tab=1`);
    expect(JSON.parse(back.body)).toMatchObject({
      email: ADA,
      id: expect.stringMatching(/^prof_/) as string,
      organizationId: 'org_engines',
      role: 'admin',
      roles: ['admin'],
      authenticationMethod: 'SSO',
      type: 'sso',
      profile: { connectionType: 'OktaSAML', connectionId: 'conn_engines' },
    });
    expect(back.body).not.toContain('rawAttributes');
    expect(await browser.cookieNames(origin)).toEqual(['wos-signed-in', 'wos-sso-session']);
    const [exchange] = workos.callsTo('profile');
    expect(exchange!.body).toMatchObject({
      grant_type: 'authorization_code',
      code_verifier: expect.any(String) as string,
    });
  });

  test('guard rules apply to SSO sessions', async () => {
    const admins = await createSsoApp(framework, {
      sso: pinned,
      rule: { role: 'admin', organization: 'org_engines' },
    });
    expect((await admins.signIn('returnTo=/account')).status).toBe(200);
    await admins.signIn('', 'eve@example.com');
    expect((await admins.browser.go(`${admins.origin}/account`)).status).toBe(403);
    expect((await send(`${admins.origin}/account`, { headers: FETCH })).status).toBe(401);
  });

  test('a session ends after its sessionLifetime', async () => {
    const { origin, browser, signIn, workos } = await createSsoApp(framework, {
      sso: { ...pinned, sessionLifetime: 3600 },
    });
    const callback = await signIn('returnTo=/account');
    expect(callback.status).toBe(200);
    // A session ends on a whole second, and the clock keeps running.
    workos.clock.advance(3_590_000);
    expect((await browser.fetch(`${origin}/account`)).status).toBe(200);
    workos.clock.advance(11_000);
    expect((await browser.fetch(`${origin}/account`)).status).toBe(401);
    expect(workos.callsTo('refresh')).toEqual([]);
  });

  test('requires exactly one selector, sends the parameters of the SSO API, and keeps those set in code', async () => {
    const { origin, workos } = await createSsoApp(framework);
    const ask = async (query: string, path = '/sso/login') => {
      const reply = await send(`${origin}${path}?${query}`);
      const sent =
        reply.location === undefined ? {} : Object.fromEntries(new URL(reply.location).searchParams);
      return { status: reply.status, sent: sent as Record<string, string>, body: reply.body };
    };
    const fine = await ask(
      `connection=conn_1&login_hint=${ADA}&domainHint=example.com&redirect_uri=https://evil&nonce=x&domain=evil.example&maxAge=1`,
    );
    expect(fine.sent).toMatchObject({ connection: 'conn_1', login_hint: ADA, domain_hint: 'example.com' });
    for (const name of ['nonce', 'domain', 'max_age']) expect(fine.sent).not.toHaveProperty(name);
    expect((await ask('', '/sso/login/google')).sent).toMatchObject({ provider: 'GoogleOAuth' });
    for (const bad of [
      '',
      'connection=a&organization=b',
      'connection=a&provider=google',
      'connection=a%20b',
      'provider=authkit',
      'provider=spotify',
      'connection=a&connection=b',
    ])
      expect((await ask(bad)).status, bad).toBe(400);
    expect((await ask('', '/sso/login/workos')).status).toBe(400);
    expect(workos.calls).toEqual([]);
    const other = await createSsoApp(framework, { sso: { signIn: { connection: 'conn_engines' } } });
    const reply = await send(`${other.origin}/sso/login?connection=evil&loginHint=${ADA}`);
    expect(new URL(reply.location!).searchParams.get('connection')).toBe('conn_engines');
  });

  test('a foreign or used state, a wrong verifier and a denial sign no user in', async () => {
    const { origin, browser, workos, signIn, served } = await createSsoApp(framework, { sso: pinned });
    const away = await browser.go(`${origin}/sso/login`);
    const callback = await workos.authorize(away.location!, { user: ADA });
    expect((await new Browser().go(callback)).status).toBe(400);
    workos.fail({ on: 'profile', times: 1, status: 400, body: { error: 'invalid_grant' } });
    expect((await browser.go(callback)).status).toBe(400);
    expect((await browser.go(callback)).status).toBe(400);
    const denied = await browser.go(`${origin}/sso/login`);
    expect((await browser.go(await workos.authorize(denied.location!, { deny: true }))).status).toBe(403);
    for (const body of [{ profile: {} }, { profile: { id: 'prof_1' } }, []]) {
      workos.fail({ on: 'profile', times: 1, body });
      expect((await signIn('')).status).toBe(503);
    }
    workos.fail({ on: 'profile', times: 1, reset: true });
    expect((await signIn('')).status).toBe(503);
    expect(await browser.cookieNames(origin)).toEqual([]);
    expect(served()).toBe(0);
  });

  test('a sign-in started at the identity provider is restarted by this application', async () => {
    const { origin, browser, begin, workos } = await createSsoApp(framework);
    const again = await browser.go(begin());
    const asked = new URL(again.location!);
    expect(asked.pathname).toBe('/sso/authorize');
    expect(asked.searchParams.get('connection')).toBe('conn_engines');
    expect(again.setCookies.join()).not.toContain('wos-sso-session');
    const back = await browser.follow(await workos.authorize(again.location!, { user: ADA }));
    expect(back.status).toBe(404);
    expect(JSON.parse((await browser.go(`${origin}/open`)).body)).toEqual({ email: ADA });
    // An attacker's code does not sign the user in as the attacker, because the user authenticates at the identity
    // provider again.
    const victim = new Browser();
    const led = await victim.go(begin('conn_engines', 'eve@example.com'));
    await victim.go(await workos.authorize(led.location!, { user: ADA }));
    expect(JSON.parse((await victim.go(`${origin}/open`)).body)).toEqual({ email: ADA });
    expect((await browser.go(`${origin}/sso/callback?code=forged`)).status).toBe(400);
  });

  test('with a pinned selector an IdP-initiated code is not used at all, unless an option allows it', async () => {
    const restarting = await createSsoApp(framework, { sso: pinned });
    const again = await restarting.browser.go(restarting.begin());
    expect(new URL(again.location!).searchParams.get('organization')).toBe('org_engines');
    expect(restarting.workos.callsTo('profile')).toEqual([]);
    const seen: unknown[] = [];
    const accepting = await createSsoApp(framework, {
      sso: {
        acceptIdPInitiated: true,
        onSuccess: ({ isIdPInitiated, state, connectionId }) => {
          seen.push({ isIdPInitiated, state, connectionId });
          return { returnTo: '/account' };
        },
      },
    });
    const landed = await accepting.browser.follow(accepting.begin());
    expect(JSON.parse(landed.body)).toMatchObject({ email: ADA });
    expect(seen).toEqual([{ isIdPInitiated: true, state: undefined, connectionId: 'conn_engines' }]);
    const scripted = await send(accepting.begin(), { headers: FETCH });
    expect(scripted.setCookies).toEqual([]);
  });

  test('signs out, and a copied cookie is rejected afterwards', async () => {
    const { origin, browser, signIn } = await createSsoApp(framework, { sso: pinned });
    await signIn('');
    const cookie = await browser.jar.getCookieString(origin);
    const out = await browser.go(`${origin}/sso/logout?returnTo=/open`, {
      method: 'POST',
      headers: { 'sec-fetch-site': 'same-origin', origin },
    });
    expect(out.body).toContain(`url=${origin}/open`);
    expect(await browser.cookieNames(origin)).toEqual([]);
    const replayed = await send(`${origin}/account`, { headers: { ...NAVIGATION, cookie } });
    expect(replayed.status).toBe(302);
    const foreign = { method: 'POST', headers: { ...NAVIGATION, 'sec-fetch-site': 'cross-site' } };
    expect((await browser.go(`${origin}/sso/logout`, foreign)).status).toBe(403);
  });

  test.each(['before', 'after'] as const)(
    'works beside authkit() mounted %s, each with its own sessions',
    async (order) => {
      const { origin, browser, signIn, workos } = await createSsoApp(framework, {
        sso: pinned,
        authkit: order,
      });
      await signIn('');
      expect(JSON.parse((await browser.go(`${origin}/account`)).body)).toMatchObject({
        authenticationMethod: 'SSO',
      });
      const single = (await browser.cookie(origin, 'wos-sso-session'))!;
      const asAuthKit = { ...FETCH, cookie: `wos-session=${single}` };
      expect((await send(`${origin}/account`, { headers: asAuthKit })).status).toBe(401);
      const session = (await workos.signIn({ user: ADA })).replace('wos-session=', '');
      const asSingle = { ...FETCH, cookie: `wos-sso-session=${session}` };
      expect((await send(`${origin}/account`, { headers: asSingle })).status).toBe(401);
      const own = { ...FETCH, cookie: `wos-session=${session}` };
      expect(JSON.parse((await send(`${origin}/account`, { headers: own })).body)).toMatchObject({
        email: ADA,
        authenticationMethod: 'Password',
      });
      // Neither accepts the other's state.
      const away = await browser.go(`${origin}/sso/login`);
      const callback = (await workos.authorize(away.location!, { user: ADA })).replace(
        '/sso/callback',
        '/callback',
      );
      expect((await browser.go(callback)).headers.location ?? '400').not.toContain('account');
      expect(workos.callsTo('code')).toEqual([]);
    },
  );

  test('maxAge is not supported: 403 after signing in, not a redirect loop', async () => {
    const { signIn, served } = await createSsoApp(framework, { sso: pinned, rule: { maxAge: 60 } });
    expect((await signIn('returnTo=/account')).status).toBe(403);
    expect(served()).toBe(0);
  });
});

test("onSuccess can deny a sign-in, and gets the application's state", async () => {
  const seen: unknown[] = [];
  const at = await createSsoApp('express5', {
    sso: {
      ...pinned,
      onSuccess: ({ state, stateFrom, profile, accessToken }) => {
        seen.push(
          state,
          stateFrom,
          Object.keys(profile.rawAttributes ?? {}).length > 0,
          accessToken.length > 5,
        );
        if (state === 'veto') return { reject: 'not you' };
        return { data: { plan: 'pro' }, returnTo: '/data' };
      },
    },
    routes: (app, single) => {
      app.route('/start', (req, res, next) => {
        single.getSignInUrl(req, res, { state: { team: 1 }, nonce: 'n1' }).then((url) => {
          res.writeHead(302, { Location: url }).end();
        }, next);
      });
      app.route('/data', requireAuth(), (req, res) => {
        json(res, (req as unknown as { auth: { data: object } }).auth.data);
      });
    },
  });
  expect((await at.signIn('state=veto')).status).toBe(403);
  expect(await at.browser.cookieNames(at.origin)).toEqual([]);
  const away = await at.browser.go(`${at.origin}/start`);
  expect(new URL(away.location!).searchParams.get('nonce')).toBe('n1');
  const landed = await at.browser.follow(await at.workos.authorize(away.location!, { user: ADA }));
  expect(JSON.parse(landed.body)).toEqual({ plan: 'pro' });
  expect(seen).toEqual(['veto', 'link', true, true, { team: 1 }, 'app', true, true]);
});

test('configuration problems are listed at once', () => {
  expect(() =>
    sso({
      sessionLifetime: 0,
      acceptIdPInitiated: 'yes' as unknown as boolean,
      signIn: { connection: 'a', provider: 'google' },
      unknown: 1,
    } as SSOOptions),
  ).toThrow(
    /unknown option "unknown"[\s\S]*sessionLifetime[\s\S]*acceptIdPInitiated[\s\S]*exclude each other/,
  );
  expect(() => sso({ store: {} } as unknown as SSOOptions)).toThrow(/store is not a store/);
  expect(() => sso({ session: 'store' } as unknown as SSOOptions)).toThrow(/unknown option "session"/);
});
