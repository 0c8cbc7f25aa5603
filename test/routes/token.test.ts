import { createHash, randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { request } from 'node:http';
import express from 'express';
import express4 from 'express4';
import { MemoryStore } from 'express-session';
import * as oauth from 'oauth4webapi';
import { describe, expect, onTestFinished, test } from 'vitest';
import { expressStore, requireAuth } from 'authkit-express';
import { FRAMEWORKS, type Framework, type Handler } from '../support/frameworks.js';
import { FETCH, send, type Reply } from '../support/browser.js';
import { claimsOf, withClaims } from '../support/claims.js';
import { mapStore } from '../support/map-store.js';
import { ADA, createTestApp, type TestAppOptions, whoami } from '../support/app.js';

const APP = 'com.example.app://signed-in';
const SPA = 'https://spa.example.com/callback?from=login';

const newVerifier = () => randomBytes(32).toString('base64url');
const challengeOf = (verifier: string) => createHash('sha256').update(verifier).digest('base64url');

const clients = { routes: { token: '/token' }, clientRedirectUris: [APP, SPA] };

/** A native application that opens a browser, receives the redirect, and calls the token route itself. */
async function native(framework: Framework, options: TestAppOptions = {}) {
  const at = await createTestApp(framework, { ...options, authkit: { ...clients, ...options.authkit } });
  const { origin, browser, workos } = at;
  const open = (verifier: string, redirectTo = APP, more = '') =>
    browser.go(
      `${origin}/login?codeChallenge=${challengeOf(verifier)}&redirectTo=${encodeURIComponent(redirectTo)}&state=xyz${more}`,
    );
  const redirected = async (verifier: string, redirectTo = APP) => {
    const { location } = await open(verifier, redirectTo);
    return browser.go(await workos.authorize(location!, { user: ADA }));
  };
  const codeFor = async (verifier: string) =>
    new URL((await redirected(verifier)).headers.location!).searchParams.get('code')!;
  const token = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
    send(`${origin}/token`, {
      method: 'POST',
      headers: {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
        ...headers,
      },
      body: new URLSearchParams(fields).toString(),
    });
  const redeem = (code: string, verifier: string, more: Record<string, string> = {}) =>
    token({ grant_type: 'authorization_code', code, code_verifier: verifier, ...more });
  return { ...at, open, redirected, codeFor, token, redeem };
}

interface Tokens {
  access_token: string;
  refresh_token: string;
  token_type: string;
  expires_in: number;
  user: { email: string };
}
const tokens = (reply: Reply) => JSON.parse(reply.body) as Tokens;
const errorOf = (reply: Reply) => (JSON.parse(reply.body) as { error: string }).error;

describe.each(FRAMEWORKS)('a native client on %s', (framework) => {
  test('gets a code instead of a session, and exchanges it for tokens once', async () => {
    const { redirected, redeem, browser, origin, workos } = await native(framework);
    const verifier = newVerifier();
    const away = await redirected(verifier);
    expect(away.headers.location).toMatch(/^com\.example\.app:\/\/signed-in\?code=Fe26.*&state=xyz$/);
    expect(away.headers.location!.length).toBeLessThan(2000);
    expect(await browser.cookieNames(origin)).toEqual([]);
    expect(workos.callsTo('code')).toEqual([]);

    const code = new URL(away.headers.location!).searchParams.get('code')!;
    const reply = await redeem(code, verifier, { redirect_uri: APP });
    expect(reply.status).toBe(200);
    expect(reply.headers['cache-control']).toBe('private, no-store');
    expect(reply.setCookies).toEqual([]);
    expect(tokens(reply)).toMatchObject({ token_type: 'Bearer', user: { email: ADA } });
    // In seconds; an access token is valid for five minutes.
    expect(tokens(reply).expires_in).toBeGreaterThan(200);
    expect(tokens(reply).expires_in).toBeLessThanOrEqual(300);
    const again = await redeem(code, verifier);
    expect({ status: again.status, error: errorOf(again) }).toEqual({ status: 400, error: 'invalid_grant' });
    expect(workos.callsTo('code')).toHaveLength(1);
  });

  test('a sign-in in a WorkOS session that was signed out here is a new one', async () => {
    const at = await native(framework, {
      routes: (app) => {
        app.route('/api', requireAuth({ accepts: ['bearer'] }), whoami);
      },
    });
    const { codeFor, redeem, token, workos, origin } = at;
    const api = async (accessToken: string) =>
      (await send(`${origin}/api`, { headers: { ...FETCH, authorization: `Bearer ${accessToken}` } })).status;
    const verifier = newVerifier();
    const before = tokens(await redeem(await codeFor(verifier), verifier)).access_token;
    const { sid } = claimsOf(before);
    await at.auth.revokeSession(sid as string);
    expect(await api(before)).toBe(401);
    const alter = (body: Record<string, unknown>) => withClaims(workos, body, { sid });
    workos.fail({ on: 'code', alter });
    const now = tokens(await redeem(await codeFor(verifier), verifier));
    expect(claimsOf(now.access_token)['sid']).toBe(sid);
    expect(await api(now.access_token)).toBe(200);
    expect(await api(before)).toBe(401);
    workos.clock.advance(1000);
    workos.fail({ on: 'refresh', alter });
    expect((await token({ grant_type: 'refresh_token', refresh_token: now.refresh_token })).status).toBe(200);
  });

  test('a wrong verifier, an expired code, another redirect URI, and a forged or foreign code are refused', async () => {
    const at = await native(framework);
    const { codeFor, redeem, token, workos } = at;
    const verifier = newVerifier();
    const refused = async (reply: Reply) => {
      expect({ status: reply.status, error: errorOf(reply) }).toEqual({
        status: 400,
        error: 'invalid_grant',
      });
      expect(reply.body).not.toContain('Fe26');
    };
    await refused(await redeem(await codeFor(verifier), newVerifier()));
    await refused(await redeem(await codeFor(verifier), ''));
    await refused(await redeem(await codeFor(verifier), verifier, { redirect_uri: SPA }));
    const old = await codeFor(verifier);
    workos.clock.advance(60_000);
    await refused(await redeem(old, verifier));
    await refused(await redeem('forged', verifier));
    await refused(await redeem((await at.cookie()).replace('wos-session=', ''), verifier));
    const spent = await codeFor(verifier);
    await refused(await redeem(spent, newVerifier()));
    await refused(await redeem(spent, verifier));
    await refused(await token({ grant_type: 'refresh_token', refresh_token: await codeFor(verifier) }));
    expect(workos.callsTo('code')).toEqual([]);
  });

  test('a redirectTo that is not exactly a listed one gets no code, and neither does an invalid challenge', async () => {
    const { open, browser, origin } = await native(framework);
    const foreign = [
      'com.example.app://signed-in/',
      'com.example.app://evil',
      'com.example.other://signed-in',
      `${origin}/open`,
      '/open',
      '//evil',
      `${APP}?x=1`,
    ];
    for (const redirectTo of [...foreign, 'https://spa.example.com/callback']) {
      const reply = await open(newVerifier(), redirectTo);
      expect({ redirectTo, status: reply.status }).toEqual({ redirectTo, status: 400 });
    }
    for (const query of [
      `codeChallenge=short&redirectTo=${APP}`,
      `code_challenge=${'a'.repeat(44)}&redirectTo=${APP}`,
    ]) {
      expect((await browser.go(`${origin}/login?${query}`)).status).toBe(400);
    }
    expect((await open(newVerifier(), APP, '&code_challenge_method=plain')).status).toBe(400);
    expect(await browser.cookieNames(origin)).toEqual([]);
  });

  test('refreshes with a token that does not work as a cookie, until WorkOS ends the session', async () => {
    const { codeFor, redeem, token, workos, origin } = await native(framework);
    const verifier = newVerifier();
    const first = tokens(await redeem(await codeFor(verifier), verifier));
    const refresh = (value: string) => token({ grant_type: 'refresh_token', refresh_token: value });
    workos.clock.advance(600_000);
    const [a, b] = await Promise.all([refresh(first.refresh_token), refresh(first.refresh_token)]);
    expect([a.status, b.status]).toEqual([200, 200]);
    expect(tokens(a).access_token).toBe(tokens(b).access_token);
    expect(tokens(a).access_token).not.toBe(first.access_token);
    expect(workos.callsTo('refresh')).toHaveLength(1);
    const asCookie = { ...FETCH, cookie: `wos-session=${first.refresh_token}` };
    expect((await send(`${origin}/account`, { headers: asCookie })).status).toBe(401);
    workos.fail({ on: 'refresh', status: 503, times: 1 });
    const outage = await refresh(tokens(a).refresh_token);
    expect({ status: outage.status, error: errorOf(outage) }).toEqual({
      status: 503,
      error: 'upstream_unavailable',
    });
    const { sid } = JSON.parse(Buffer.from(first.access_token.split('.')[1]!, 'base64url').toString()) as {
      sid: string;
    };
    workos.endSession(sid);
    const ended = await refresh(tokens(a).refresh_token);
    expect({ status: ended.status, error: errorOf(ended) }).toEqual({ status: 400, error: 'invalid_grant' });
  });

  test('a refresh for an organization that WorkOS refuses is forbidden, and the session goes on', async () => {
    const { codeFor, redeem, token } = await native(framework);
    const verifier = newVerifier();
    const first = tokens(await redeem(await codeFor(verifier), verifier));
    const refresh = (value: string, more: Record<string, string> = {}) =>
      token({ grant_type: 'refresh_token', refresh_token: value, ...more });
    const other = await refresh(first.refresh_token, { organization_id: 'org_of_others' });
    expect({ status: other.status, error: errorOf(other) }).toEqual({ status: 403, error: 'forbidden' });
    expect((await refresh(first.refresh_token)).status).toBe(200);
  });

  test('tokens for a different organization than the requested one are not passed on', async () => {
    const { codeFor, redeem, token, workos } = await native(framework, {
      workos: {
        organizations: [{ id: 'org_a', name: 'A' }],
        users: [{ email: ADA, memberships: [{ organizationId: 'org_a' }] }],
      },
    });
    const verifier = newVerifier();
    const first = tokens(await redeem(await codeFor(verifier), verifier));
    workos.fail({
      on: 'refresh',
      times: 1,
      alter: (granted) => withClaims(workos, granted, { org_id: 'org_of_others' }),
    });
    const reply = await token({
      grant_type: 'refresh_token',
      refresh_token: first.refresh_token,
      organization_id: 'org_a',
    });
    expect({ status: reply.status, error: errorOf(reply) }).toEqual({ status: 403, error: 'forbidden' });
  });

  test('a denied sign-in is reported to the client, and so is a denial by onSuccess', async () => {
    const { open, browser, workos, redeem, codeFor } = await native(framework, {
      authkit: {
        onSuccess: () => ({ reject: 'not you' }),
      },
    });
    const { location } = await open(newVerifier());
    const failed: unknown[] = [];
    const listen = (message: unknown) => failed.push((message as { code: string }).code);
    subscribe('authkit:sign-in-failed', listen);
    onTestFinished(() => void unsubscribe('authkit:sign-in-failed', listen));
    const denied = await browser.go(await workos.authorize(location!, { deny: true }));
    expect(denied.headers.location).toBe(`${APP}?error=access_denied&state=xyz`);
    expect(failed).toEqual(['access_denied']);
    const verifier = newVerifier();
    const vetoed = await redeem(await codeFor(verifier), verifier);
    expect({ status: vetoed.status, error: errorOf(vetoed) }).toEqual({
      status: 403,
      error: 'sign_in_rejected',
    });
  });

  test('any request body gets exactly one response', async () => {
    const { origin } = await native(framework);
    const form = 'application/x-www-form-urlencoded';
    const bodies: [type: string, body: string, error: string][] = [
      [form, '', 'unsupported_grant_type'],
      [form, 'grant_type=password', 'unsupported_grant_type'],
      [form, 'grant_type=authorization_code&grant_type=authorization_code', 'invalid_request'],
      [form, `grant_type=authorization_code&code=${'x'.repeat(40_000)}`, 'invalid_request'],
      [form, 'grant_type=refresh_token&refresh_token=%', 'invalid_grant'],
      ['application/json', '{"grant_type":["authorization_code"]}', 'invalid_request'],
      ['application/json', '{"__proto__":{"grant_type":"x"}}', 'invalid_request'],
      ['application/json', '{', 'invalid_request'],
      ['application/json', 'null', 'invalid_request'],
      ['text/plain', 'grant_type=authorization_code', 'invalid_request'],
    ];
    for (const [type, body, error] of bodies) {
      const headers = { accept: 'application/json', 'content-type': type };
      const reply = await send(`${origin}/token`, { method: 'POST', headers, body });
      expect({ body: body.slice(0, 60), status: reply.status, error: errorOf(reply) }).toEqual({
        body: body.slice(0, 60),
        status: 400,
        error,
      });
    }
  });
});

test('T02 a code from a process whose clock is ahead is redeemed once, for as long as the code is valid', async () => {
  let now = Date.now();
  const at = await native('express5', { authkit: { now: () => now + 100_000 } });
  const other = await at.sibling({ now: () => now, redirectUri: `${at.origin}/callback` });
  const verifier = newVerifier();
  const code = await at.codeFor(verifier);
  const redeem = () =>
    send(`${other.origin}/token`, {
      method: 'POST',
      headers: { ...FETCH, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code,
        code_verifier: verifier,
      }).toString(),
    });
  expect((await redeem()).status).toBe(200);
  for (let seconds = 0; seconds < 200; seconds += 20) {
    now += 20_000;
    const again = await redeem();
    expect([again.status, errorOf(again)]).toEqual([400, 'invalid_grant']);
  }
  expect(at.workos.callsTo('code')).toHaveLength(1);
});

test('a request body that never ends is answered at the deadline', async () => {
  const { origin } = await native('express5', { authkit: { timeout: 200 } });
  const { status, body } = await new Promise<{ status: number; body: string }>((resolve, reject) => {
    const req = request(`${origin}/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '100' },
    });
    req.on('error', reject).on('response', (res) => {
      res.setEncoding('utf8').once('data', (text: string) => {
        resolve({ status: res.statusCode ?? 0, body: text });
        req.destroy();
      });
    });
    req.write('grant_type=');
  });
  expect(status).toBe(400);
  expect(JSON.parse(body)).toMatchObject({ error: 'invalid_request' });
});

test('oauth4webapi as a public client exchanges a code and refreshes', async () => {
  const { origin, redirected, workos } = await native('express5');
  const server: oauth.AuthorizationServer = { issuer: origin, token_endpoint: `${origin}/token` };
  const client: oauth.Client = { client_id: 'my-app' };
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so as to stand out; this is a loopback address
  const insecure = { [oauth.allowInsecureRequests]: true };
  const verifier = oauth.generateRandomCodeVerifier();
  const away = await redirected(verifier);
  const params = oauth.validateAuthResponse(server, client, new URL(away.headers.location!), 'xyz');
  const redeem = () =>
    oauth.authorizationCodeGrantRequest(server, client, oauth.None(), params, APP, verifier, insecure);
  const reply = await redeem();
  const first = await oauth.processAuthorizationCodeResponse(server, client, reply);
  expect(first['user']).toMatchObject({ email: ADA });
  workos.clock.advance(600_000);
  const next = await oauth.processRefreshTokenResponse(
    server,
    client,
    await oauth.refreshTokenGrantRequest(server, client, oauth.None(), first.refresh_token!, insecure),
  );
  expect(next.access_token).not.toBe(first.access_token);
  const second = await redeem();
  await expect(oauth.processAuthorizationCodeResponse(server, client, second)).rejects.toMatchObject({
    error: 'invalid_grant',
  });
});

test('CORS allows the listed origin of a single-page client, and no other', async () => {
  const { codeFor, token } = await native('express5');
  const from = async (origin: string) =>
    (await token({ grant_type: 'x' }, { origin })).headers['access-control-allow-origin'];
  expect(await from('https://spa.example.com')).toBe('https://spa.example.com');
  const verifier = newVerifier();
  const granted = await token(
    { grant_type: 'authorization_code', code: await codeFor(verifier), code_verifier: verifier },
    { origin: 'https://spa.example.com' },
  );
  expect(granted.status).toBe(200);
  expect(granted.headers['access-control-allow-origin']).toBe('https://spa.example.com');
  expect(await from('https://evil.example.com')).toBeUndefined();
  expect(await from('null')).toBeUndefined();
});

test('the same holds for tokens: only a listed origin may read them', async () => {
  const { codeFor, token } = await native('express5');
  for (const [origin, allowed] of [
    ['https://spa.example.com', 'https://spa.example.com'],
    ['https://evil.example.com', undefined],
  ] as const) {
    const verifier = newVerifier();
    const fields = {
      grant_type: 'authorization_code',
      code: await codeFor(verifier),
      code_verifier: verifier,
    };
    const reply = await token(fields, { origin });
    expect(reply.status).toBe(200);
    expect(reply.headers['access-control-allow-origin']).toBe(allowed);
    expect(reply.headers.vary).toContain('Origin');
  }
});

test('the refresh token is sealed with the newest password', async () => {
  const [fresh, old] = ['fresh-horse-battery-staple-0123456789', 'older-horse-battery-staple-9876543210'];
  const { codeFor, redeem, sibling } = await native('express5', {
    authkit: { cookiePassword: [fresh, old] },
  });
  const verifier = newVerifier();
  const { refresh_token } = tokens(await redeem(await codeFor(verifier), verifier));
  const refreshAt = async (password: string) => {
    const { origin } = await sibling({ cookiePassword: password });
    const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return (await send(`${origin}/token`, { method: 'POST', headers, body })).status;
  };
  expect(await refreshAt(old)).toBe(400);
  expect(await refreshAt(fresh)).toBe(200);
});

test.each([['urlencoded'], ['json'], ['raw'], ['text']] as const)(
  'works after express.%s has read the body',
  async (parser) => {
    const { codeFor, origin } = await native('express5', {
      mount: (app, auth) => {
        const type = () => true;
        const parsers = {
          urlencoded: express.urlencoded(),
          json: express.json(),
          raw: express.raw({ type }),
          text: express.text({ type }),
        };
        app.use(parsers[parser] as Handler);
        app.use(auth);
      },
    });
    const verifier = newVerifier();
    const fields = {
      grant_type: 'authorization_code',
      code: await codeFor(verifier),
      code_verifier: verifier,
    };
    const isJson = parser === 'json';
    const reply = await send(`${origin}/token`, {
      method: 'POST',
      headers: { 'content-type': isJson ? 'application/json' : 'application/x-www-form-urlencoded' },
      body: isJson ? JSON.stringify(fields) : new URLSearchParams(fields).toString(),
    });
    expect(reply.status).toBe(200);
  },
);

test('works with a form after express.json() of Express 4, which sets an empty body although it has not read the form', async () => {
  const { codeFor, redeem } = await native('express4', {
    mount: (app, auth) => {
      app.use((express4 as typeof express).json() as Handler);
      app.use(auth);
    },
  });
  const verifier = newVerifier();
  expect((await redeem(await codeFor(verifier), verifier)).status).toBe(200);
});

test('without a token route, a challenge in a link is ignored and one from code is an error', async () => {
  const { origin, browser, workos } = await createTestApp('express5', {
    authkit: { clientRedirectUris: [APP] },
  });
  const away = await browser.go(`${origin}/login?codeChallenge=${challengeOf('x')}&redirectTo=${APP}`);
  const back = await browser.go(await workos.authorize(away.location!, { user: ADA }));
  expect(back.location).toBe(`${origin}/`);
  expect((await send(`${origin}/token`, { method: 'POST' })).status).toBe(404);
});

test('a client can refresh if sessions are in a store', async () => {
  const { codeFor, redeem, token, workos } = await native('express5', {
    authkit: { store: expressStore(new MemoryStore()), session: 'store' },
  });
  const verifier = newVerifier();
  let next = tokens(await redeem(await codeFor(verifier), verifier));
  for (let round = 0; round < 3; round += 1) {
    workos.clock.advance(600_000);
    const reply = await token({ grant_type: 'refresh_token', refresh_token: next.refresh_token });
    expect(reply.status).toBe(200);
    expect(tokens(reply).access_token).not.toBe(next.access_token);
    next = tokens(reply);
  }
});

test('the refreshes of a client add no sessions to the store, which no cookie refers to', async () => {
  const entries = new Map<string, string>();
  const { codeFor, redeem, token, workos } = await native('express5', {
    authkit: { store: mapStore(entries), session: 'store' },
  });
  const verifier = newVerifier();
  let { refresh_token: current } = tokens(await redeem(await codeFor(verifier), verifier));
  for (let refresh = 0; refresh < 3; refresh += 1) {
    workos.clock.advance(60_000);
    const reply = await token({ grant_type: 'refresh_token', refresh_token: current });
    expect(reply.status).toBe(200);
    current = tokens(reply).refresh_token;
  }
  expect([...entries.keys()].filter((key) => key.startsWith('session:'))).toEqual([]);
});

test('every error tells the client what is wrong', async () => {
  const { codeFor, redeem, token } = await native('express5');
  const verifier = newVerifier();
  const { refresh_token } = tokens(await redeem(await codeFor(verifier), verifier));
  const refreshWith = (fields: Record<string, string>) =>
    token({ grant_type: 'refresh_token', refresh_token, ...fields });
  const problems: [reply: Reply, error: string, description: RegExp][] = [
    [await token({}), 'unsupported_grant_type', /grant_type must be/],
    [await token({}, { 'content-type': 'text/plain' }), 'invalid_request', /a form or a JSON object/],
    [await token({ grant_type: 'authorization_code' }), 'invalid_grant', /code is unknown/],
    [await redeem('junk', verifier), 'invalid_grant', /code is unknown/],
    [await redeem(await codeFor(verifier), ''), 'invalid_grant', /code_verifier/],
    [
      await token({ grant_type: 'authorization_code', code: await codeFor(verifier) }),
      'invalid_grant',
      /code_verifier/,
    ],
    [await redeem(await codeFor(verifier), newVerifier()), 'invalid_grant', /code_verifier/],
    [await redeem(await codeFor(verifier), verifier, { redirect_uri: SPA }), 'invalid_grant', /redirect_uri/],
    [await token({ grant_type: 'refresh_token' }), 'invalid_grant', /refresh token is invalid/],
    [await refreshWith({ refresh_token: 'junk' }), 'invalid_grant', /refresh token is invalid/],
    [await refreshWith({ organization_id: 'org a' }), 'invalid_request', /organization_id must be/],
  ];
  for (const [{ status, body }, error, description] of problems) {
    expect([status, JSON.parse(body)]).toMatchObject([
      400,
      { error, error_description: expect.stringMatching(description) as string },
    ]);
  }
});

test.each([
  ['too long', 'x'.repeat(129)],
  ['too short', 'x'.repeat(42)],
  ['with an invalid first character', `!${'x'.repeat(43)}`],
  ['with an invalid last character', `${'x'.repeat(43)}!`],
])('a verifier that is %s is refused, even if it matches the challenge', async (_, verifier) => {
  const { codeFor, redeem, workos } = await native('express5');
  const reply = await redeem(await codeFor(verifier), verifier);
  expect([reply.status, errorOf(reply)]).toEqual([400, 'invalid_grant']);
  expect(workos.callsTo('code')).toEqual([]);
});

test.each([
  ['does not accept the code', 400, { error: 'invalid_grant' }, 400, 'invalid_grant', /does not accept/],
  ['is unavailable', 503, {}, 503, 'upstream_unavailable', /WorkOS/],
])('if WorkOS %s, the client is told so', async (_, status, body, expected, error, description) => {
  const { codeFor, redeem, workos } = await native('express5');
  const verifier = newVerifier();
  const code = await codeFor(verifier);
  workos.fail({ on: 'code', status, body });
  const reply = await redeem(code, verifier);
  expect([reply.status, JSON.parse(reply.body)]).toMatchObject([
    expected,
    { error, error_description: expect.stringMatching(description) as string },
  ]);
});

test('a code is redeemed only by an instance with the same redirect URI', async () => {
  const { codeFor, origin, sibling, workos } = await native('express5');
  const verifier = newVerifier();
  const code = await codeFor(verifier);
  const redeemAt = async (redirectUri: string) => {
    const other = await sibling({ redirectUri });
    const fields = { grant_type: 'authorization_code', code, code_verifier: verifier };
    const headers = { ...FETCH, 'content-type': 'application/x-www-form-urlencoded' };
    const body = new URLSearchParams(fields).toString();
    return (await send(`${other.origin}/token`, { method: 'POST', headers, body })).status;
  };
  expect(await redeemAt('https://other.example.com/callback')).toBe(400);
  expect(workos.callsTo('code')).toEqual([]);
  expect(await redeemAt(`${origin}/callback`)).toBe(200);
});

test('a response of onSuccess takes the place of the tokens', async () => {
  const { codeFor, redeem } = await native('express5', {
    authkit: { onSuccess: ({ res }) => void res.end('mine') },
  });
  const verifier = newVerifier();
  expect(await redeem(await codeFor(verifier), verifier)).toMatchObject({ status: 200, body: 'mine' });
});

test('if the store is unavailable, a client does not get tokens for a session that counts as ended elsewhere', async () => {
  const store = mapStore();
  let isEnded = false;
  let isDown = false;
  const get = async (key: string) => {
    if (isDown) throw new Error('down');
    return store.get(key);
  };
  const { auth, codeFor, redeem, workos } = await native('express5', {
    authkit: { store: { ...store, get }, onSuccess: () => void (isDown = isEnded) },
  });
  const verifier = newVerifier();
  const { sid } = claimsOf(tokens(await redeem(await codeFor(verifier), verifier)).access_token);
  await auth.revokeSession(sid as string);
  isEnded = true;
  workos.fail({
    on: 'code',
    alter: (body) => withClaims(workos, body, { sid }),
  });
  const reply = await redeem(await codeFor(verifier), verifier);
  expect([reply.status, JSON.parse(reply.body)]).toMatchObject([
    503,
    { error: 'upstream_unavailable', error_description: expect.stringMatching(/sign in again/) as string },
  ]);
});

test('a client that has to take a further step is told which one, and its session continues', async () => {
  const { codeFor, redeem, token, workos } = await native('express5', {
    workos: {
      organizations: [{ id: 'org_a', name: 'A' }],
      users: [{ email: ADA, memberships: [{ organizationId: 'org_a' }] }],
    },
  });
  const verifier = newVerifier();
  const { refresh_token } = tokens(await redeem(await codeFor(verifier), verifier));
  const refresh = (more: Record<string, string> = {}) =>
    token({ grant_type: 'refresh_token', refresh_token, ...more });
  const step = workos.requireStep({ code: 'mfa_challenge', organizationId: 'org_a', on: 'refresh' });
  for (const more of [{ organization_id: 'org_a' }, {}]) {
    const reply = await refresh(more);
    expect([reply.status, errorOf(reply)]).toEqual([403, 'mfa_challenge']);
  }
  step.restore();
  // A refusal is remembered for a minute.
  workos.clock.advance(60_000);
  expect(JSON.parse((await refresh({ organization_id: 'org_a' })).body)).toMatchObject({
    token_type: 'Bearer',
    organization_id: 'org_a',
  });
});

test('a client whose session was ended by this application signs in again', async () => {
  const { auth, codeFor, redeem, token } = await native('express5');
  const verifier = newVerifier();
  const { access_token, refresh_token } = tokens(await redeem(await codeFor(verifier), verifier));
  await auth.revokeSession(claimsOf(access_token)['sid'] as string);
  const reply = await token({ grant_type: 'refresh_token', refresh_token });
  expect([reply.status, JSON.parse(reply.body)]).toMatchObject([
    400,
    { error: 'invalid_grant', error_description: 'the session has ended' },
  ]);
});

test('a sign-in without state returns none', async () => {
  const { browser, origin, workos } = await native('express5');
  const { location } = await browser.go(
    `${origin}/login?codeChallenge=${challengeOf(newVerifier())}&redirectTo=${encodeURIComponent(SPA)}`,
  );
  const back = await browser.go(await workos.authorize(location!, { user: ADA }));
  const { searchParams } = new URL(back.location!);
  expect([...searchParams.keys()]).toEqual(['from', 'code']);
});
