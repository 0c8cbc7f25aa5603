import { describe, expect, test } from 'vitest';
import type { SignInUrlOptions } from 'authkit-express';
import { PROVIDERS, shortName } from '../../src/config/provider-names.js';
import { FRAMEWORKS } from '../support/frameworks.js';
import { send, type Browser } from '../support/browser.js';
import { ADA, createTestApp, type Options } from '../support/app.js';

/** Follows a link to the login route. Returns the authorization request or the error. */
async function ask(browser: Browser, url: string) {
  const reply = await browser.go(url, { headers: { accept: '*/*', 'sec-fetch-mode': '' } });
  const sent = reply.location === undefined ? {} : Object.fromEntries(new URL(reply.location).searchParams);
  const { error } = (reply.status === 302 ? {} : JSON.parse(reply.body)) as { error?: string };
  return { status: reply.status, error, sent: sent as Record<string, string | undefined> };
}

/** An application that starts sign-ins with the test's options. */
async function fromCode(framework: (typeof FRAMEWORKS)[number], authkit: Options = {}) {
  let next: SignInUrlOptions = {};
  const at = await createTestApp(framework, {
    authkit,
    routes: (app, auth) => {
      app.route('/start', (req, res, done) => {
        auth.getSignInUrl(req, res, next).then((url) => res.writeHead(302, { Location: url }).end(), done);
      });
    },
  });
  const start = (options: SignInUrlOptions) => {
    next = options;
    return at.browser.go(`${at.origin}/start`);
  };
  return { ...at, start };
}

describe.each(FRAMEWORKS)('providers on %s', (framework) => {
  test('each provider has a route, by its short name and by the name of WorkOS', async () => {
    const { origin, browser } = await createTestApp(framework);
    for (const provider of PROVIDERS) {
      for (const name of [provider, shortName(provider)]) {
        expect((await ask(browser, `${origin}/login/${name}`)).sent['provider'], name).toBe(provider);
      }
    }
    const google = await ask(browser, `${origin}/login/google?login_hint=${ADA}&providerScopes=openid,email`);
    expect(google.sent).toMatchObject({ provider: 'GoogleOAuth', login_hint: ADA });
    const workos = await ask(browser, `${origin}/login/workos?organization=org_1`);
    expect(workos.sent).toMatchObject({ provider: 'authkit', organization_id: 'org_1' });
    const connection = await ask(browser, `${origin}/login/workos?connection=conn_1`);
    expect(connection.sent['connection_id']).toBe('conn_1');
    expect(connection.sent['provider']).toBeUndefined();
  });

  test('an unknown provider is left to the application in a path, and invalid_provider in a query', async () => {
    const { origin, browser } = await createTestApp(framework);
    const names = ['spotify', 'twitch', 'strava', 'facebook', 'windowslive', 'azuread', 'entraid', 'Google'];
    const hostile = [
      '__proto__',
      'constructor',
      '%zz',
      '%2e%2e',
      'google%20',
      'x'.repeat(4000),
      '<b>',
      'évil',
    ];
    for (const name of [...names, ...hostile.map((text) => (text.includes('%') ? text : encodeURI(text)))]) {
      const reply = await send(`${origin}/login/${name}`);
      // This path is left to the application, which has no page there.
      expect({ name, status: reply.status }).toEqual({ name, status: 404 });
      expect(reply.setCookies).toEqual([]);
      const asked = await send(`${origin}/login?provider=${name}`);
      expect({ name, status: asked.status }).toEqual({ name, status: 400 });
      expect(JSON.parse(asked.body)).toMatchObject({ status: 400, error: 'invalid_provider' });
      expect(asked.setCookies).toEqual([]);
    }
    const page = await browser.go(`${origin}/login?provider=spotify`);
    expect(page.headers['content-type']).toContain('text/html');
  });

  test('an allow-list of providers applies to links, by path and by query', async () => {
    const { origin, browser } = await createTestApp(framework, {
      authkit: { providers: ['google', 'NewOAuth'] },
    });
    const outcome = async (path: string) => (await ask(browser, origin + path)).error ?? 'ok';
    expect(await outcome('/login/google')).toBe('ok');
    expect(await outcome('/login/NewOAuth')).toBe('ok');
    expect(await outcome('/login')).toBe('ok');
    expect(await outcome('/login?provider=authkit')).toBe('ok');
    expect(await outcome('/login/github')).toBe('invalid_provider');
    expect(await outcome('/login?provider=GitHubOAuth')).toBe('invalid_provider');
    expect(await outcome('/login/AnotherOAuth')).toBe('invalid_provider');
  });

  test('a user can sign in with a provider, whose tokens reach onSuccess', async () => {
    const seen: unknown[] = [];
    const { origin, browser, workos } = await createTestApp(framework, {
      authkit: {
        onSuccess: ({ authenticationMethod, oauthTokens }) =>
          void seen.push(authenticationMethod, oauthTokens?.scopes),
      },
    });
    const away = await browser.go(`${origin}/login/github?providerScopes=repo&redirectTo=/open?tab=1`);
    const back = await browser.go(await workos.authorize(away.location!, { user: ADA }));
    expect(back.location).toBe(`${origin}/open?tab=1`);
    expect(seen).toEqual(['GitHubOAuth', ['repo']]);
  });
});

describe('parameters of a link', () => {
  test('the accepted parameters can be restricted, and those that guards need are always accepted', async () => {
    const { origin, browser } = await createTestApp('express5', { authkit: { loginParams: ['loginHint'] } });
    const { sent } = await ask(
      browser,
      `${origin}/login?loginHint=${ADA}&organizationId=org_1&prompt=nonsense&maxAge=60&returnTo=/open`,
    );
    expect(sent).toMatchObject({ login_hint: ADA, max_age: '60' });
    expect(sent).not.toHaveProperty('organization_id');
  });

  test('an error about conflicting parameters names the options', async () => {
    const { origin } = await createTestApp('express5');
    const message = async (query: string) =>
      (JSON.parse((await send(`${origin}/login?${query}`)).body) as { message: string }).message;
    expect(await message('connectionId=conn_1&provider=google')).toBe(
      'connectionId and provider exclude each other: leave one of them out',
    );
    expect(await message('organizationId=org_1&provider=google')).toBe(
      'organizationId cannot be combined with connectionId, or with a provider other than AuthKit',
    );
    expect(await message('screenHint=sign-up&connection=conn_1')).toBe(
      'screenHint cannot be combined with connectionId, or with a provider other than AuthKit',
    );
    expect(await message('returnTo=/a&redirectTo=/b')).toBe('returnTo is repeated');
    expect(await message('organization=org_1&organizationId=org_1')).toBe('organizationId is repeated');
  });

  test('a link cannot change the redirect URI or the client id', async () => {
    const { origin, browser, workos } = await createTestApp('express5');
    const evil =
      'redirect_uri=https://evil.example&redirectUri=https://evil.example&client_id=evil&clientId=evil';
    const more =
      'response_type=token&code_challenge_method=plain&codeChallenge=x&provider_query_params[hd]=evil&nonce=1';
    const { sent } = await ask(browser, `${origin}/login?${evil}&${more}&allowedRoles=admin`);
    expect(Object.keys(sent).sort()).toEqual([
      'client_id',
      'code_challenge',
      'code_challenge_method',
      'provider',
      'redirect_uri',
      'response_type',
      'state',
    ]);
    expect(sent).toMatchObject({ client_id: workos.options.clientId, redirect_uri: `${origin}/callback` });
    expect(sent['code_challenge']).toMatch(/^[\w-]{43}$/);
  });

  test('/signup opens the sign-up screen if the route is configured, whatever the link says', async () => {
    const { origin, browser } = await createTestApp('express5', {
      authkit: { routes: { signUp: '/signup' } },
    });
    const { sent } = await ask(browser, `${origin}/signup?screenHint=sign-in&loginHint=${ADA}`);
    expect(sent).toMatchObject({ screen_hint: 'sign-up', login_hint: ADA });
    const without = await createTestApp('express5');
    expect((await send(`${without.origin}/signup`)).status).toBe(404);
  });

  test("a provider's login route is not accepted as returnTo", async () => {
    const { origin, browser, workos } = await createTestApp('express5');
    for (const returnTo of ['/login/google', '/LOGIN/google?x=1', '/login/%67oogle']) {
      const away = await browser.go(`${origin}/login?returnTo=${encodeURIComponent(returnTo)}`);
      const back = await browser.go(await workos.authorize(away.location!, { user: ADA }));
      expect(back.location).toBe(`${origin}/`);
    }
  });
});

describe('options from code', () => {
  test("the application's state is returned unchanged", async () => {
    const seen: unknown[] = [];
    const { start, browser, workos } = await fromCode('express5', {
      onSuccess: ({ state, stateFrom }) => void seen.push(state, stateFrom),
    });
    const states = [
      'text',
      '{"team":1}',
      { team: 1, tags: ['a', null], deep: { yes: true } },
      7,
      [1],
      null,
      '',
    ];
    for (const state of states) {
      const away = await start({ state });
      await browser.go(await workos.authorize(away.location!, { user: ADA }));
    }
    expect(seen).toEqual(states.flatMap((state) => [state, 'app']));
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    for (const state of [
      cycle,
      new Date(),
      () => 1,
      NaN,
      1n,
      { a: new Map() },
      'x'.repeat(2049),
      { a: 'x'.repeat(2045) },
    ]) {
      expect((await start({ state })).status).toBe(400);
    }
  });

  test('another redirect URI is sent to WorkOS, sealed in the state, and used to resolve returnTo', async () => {
    const { start, origin, browser, workos } = await fromCode('express5');
    const other = origin.replace('127.0.0.1', 'localhost');
    const away = await start({ redirectUri: `${other}/callback?tenant=1`, returnTo: `${other}/open?tab=2` });
    expect(new URL(away.location!).searchParams.get('redirect_uri')).toBe(`${other}/callback?tenant=1`);
    const callback = await workos.authorize(away.location!, { user: ADA });
    expect(callback).toContain(`${other}/callback?tenant=1&code=`);
    const cookie = await browser.jar.getCookieString(origin);
    const back = await send(callback, { headers: { cookie } });
    expect(back.location).toBe(`${other}/open?tab=2`);
    expect(back.headers.location).toBe('/open?tab=2');
    for (const redirectUri of [
      '/callback',
      'javascript:alert(1)',
      'https://u:p@a.example/',
      'https://a.example/#x',
      7,
    ]) {
      expect((await start({ redirectUri: redirectUri as string })).status).toBe(400);
    }
  });

  test('provider parameters are encoded as the WorkOS SDK encodes them', async () => {
    const { start } = await fromCode('express5', { signIn: { provider: 'google' } });
    const { searchParams } = new URL(
      (await start({ providerQueryParams: { hd: 'example.com', access_type: 'offline', n: 1, yes: true } }))
        .location!,
    );
    expect(Object.fromEntries(searchParams)).toMatchObject({
      provider: 'GoogleOAuth',
      'provider_query_params[hd]': 'example.com',
      'provider_query_params[access_type]': 'offline',
      'provider_query_params[n]': '1',
      'provider_query_params[yes]': 'true',
    });
    for (const bad of [{ 'a]&x=': '1' }, { a: {} }, { a: 'x\ny' }, { a: Infinity }]) {
      expect((await start({ providerQueryParams: bad as Record<string, string> })).status).toBe(400);
    }
  });

  test('malformed values are an error and are not sent to WorkOS', async () => {
    const { start, site, workos } = await fromCode('express5');
    const bad: Record<string, unknown>[] = [
      { organizationId: 'org 1' },
      { connectionId: '' },
      { loginHint: 'a\r\nb' },
      { domainHint: 'exa mple' },
      { screenHint: 'password' },
      { prompt: 'sometimes' },
      { invitationToken: 'a b' },
      { maxAge: -1 },
      { maxAge: '60' },
      { providerScopes: 'openid' },
      { providerScopes: ['a b'] },
      { provider: 'spotify' },
      { unknown: 1 },
    ];
    for (const options of bad) {
      const reply = await start(options);
      const [name] = Object.keys(options);
      expect({ options, status: reply.status, cookies: reply.setCookies }).toEqual({
        options,
        status: 400,
        cookies: [],
      });
      expect((site.errors.at(-1) as Error).message).toMatch(
        new RegExp(`^(?:${name} must be .{10}|unknown sign-in option)`),
      );
    }
    expect(workos.calls).toEqual([]);
  });
});
