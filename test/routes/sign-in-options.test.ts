import { describe, expect, onTestFinished, test } from 'vitest';
import { requireAuth, signedIn, sso, type SignInOptions } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { FRAMEWORKS, serve } from '../support/frameworks.js';
import { Browser, FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';
import { withoutAuthTime } from '../support/auth-time.js';
import { logLines, messagesOn } from '../support/events.js';

const asked = (location: string | undefined) => new URL(location!).searchParams;

describe.each(FRAMEWORKS)('signIn as a function on %s', (framework) => {
  test('returns the options for a request, which no query overrides', async () => {
    let calls = 0;
    const { origin } = await createTestApp(framework, {
      authkit: {
        signIn: (req) => {
          calls += 1;
          return req.headers['x-tenant'] === 'acme' ? { organizationId: 'org_acme' } : {};
        },
      },
    });
    const go = (headers: Record<string, string>) =>
      send(`${origin}/login?organizationId=org_other`, { headers: { ...NAVIGATION, ...headers } });
    expect(asked((await go({ 'x-tenant': 'acme' })).location).get('organization_id')).toBe('org_acme');
    expect(calls, 'once for a request').toBe(1);
    expect(asked((await go({})).location).get('organization_id')).toBe('org_other');
  });

  test('may be asynchronous, and its errors go to the error handler of the application', async () => {
    const outage = Object.assign(new Error('no database'), { status: 503 });
    let fails = false;
    const { origin, site, workos } = await createTestApp(framework, {
      authkit: {
        signIn: () => (fails ? Promise.reject(outage) : Promise.resolve({ screenHint: 'sign-up' })),
      },
    });
    const go = () => send(`${origin}/login`, { headers: NAVIGATION });
    expect(asked((await go()).location).get('screen_hint')).toBe('sign-up');
    fails = true;
    const events = messagesOn('authkit:error');
    expect((await go()).status).toBe(503);
    expect(site.errors).toEqual([outage]);
    expect(events).toEqual([{ clientId: workos.options.clientId, source: 'signIn', error: outage }]);
  });
});

const WHAT_TO_RETURN =
  "return an object of sign-in options, such as { organizationId: 'org_123' }, or nothing";

test.each([
  [
    { organisation: 'org_1' },
    'signIn(req) returned options that are not valid: unknown sign-in option "organisation": did you mean organizationId?',
  ],
  [
    { organizationId: '', prompt: 1 },
    "signIn(req) returned options that are not valid: organizationId must be the ID of an organization, such as 'org_123'; prompt must be 'login', 'consent', 'none' or 'select_account'",
  ],
  ['org_1', `signIn(req) returned a string: ${WHAT_TO_RETURN}`],
  [[], `signIn(req) returned an array: ${WHAT_TO_RETURN}`],
  [true, `signIn(req) returned a boolean: ${WHAT_TO_RETURN}`],
  [() => ({}), `signIn(req) returned a function: ${WHAT_TO_RETURN}`],
])(
  'signIn that returns %j is a mistake that the error and authkit:error name once per request',
  async (options, message) => {
    const errors: Error[] = [];
    const { origin, workos } = await createTestApp('express5', {
      authkit: { signIn: () => options as SignInOptions, onError: ({ error }) => void errors.push(error) },
    });
    const { clientId } = workos.options;
    const events = messagesOn('authkit:error');
    const lines = logLines();
    const reply = await send(`${origin}/login`, { headers: NAVIGATION });
    expect([reply.status, reply.location]).toEqual([500, undefined]);
    expect(reply.body).not.toContain('signIn');
    expect(errors).toEqual([expect.objectContaining({ code: 'config_invalid', message })]);
    expect(events).toEqual([{ clientId, source: 'signIn', error: errors[0] }]);
    expect(lines.filter((line) => line.includes('authkit:error'))).toEqual([
      expect.stringContaining(JSON.stringify({ clientId, source: 'signIn', name: 'AuthKitError', message })),
    ]);
  },
);

test.each([undefined, null, {}])('signIn that returns %j adds no options', async (options) => {
  const { origin } = await createTestApp('express5', { authkit: { signIn: () => options as SignInOptions } });
  const reply = await send(`${origin}/login`, { headers: NAVIGATION });
  expect(asked(reply.location).get('provider')).toBe('authkit');
});

test('sso() takes signIn as a function, signInLifetime and the cookie options too', async () => {
  const workos = await createTestWorkOS();
  onTestFinished(() => workos.close());
  const { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now } = workos.options;
  const shared = { clientId, apiKey, apiHostname, apiHttps, apiPort, cookiePassword, now };
  const site = await serve('express5', (app, origin) => {
    app.use(
      sso({
        ...shared,
        redirectUri: `${origin}/sso/callback`,
        signIn: () => ({ provider: 'google' }),
        signInLifetime: 900,
        cookie: { path: '/sso', maxAge: 'session' },
      }),
    );
    app.route('/sso/me', requireAuth(), (req, res) => res.end(signedIn(req).user.email));
  });
  onTestFinished(() => site.close());
  const browser = new Browser();
  const login = await browser.go(`${site.origin}/sso/login?returnTo=/sso/me`);
  expect(asked(login.location).get('provider')).toBe('GoogleOAuth');
  expect(login.setCookies[0]).toContain('; Max-Age=900; Path=/;');
  const back = await browser.go(await workos.authorize(login.location!, { user: ADA }));
  expect(back.setCookies.at(-1)).toMatch(/^wos-sso-session=[^;]+; Path=\/sso; HttpOnly; SameSite=Lax$/);
  expect((await browser.go(`${site.origin}/sso/me`)).body).toBe(ADA);
  expect(await browser.jar.getCookieString(`${site.origin}/`)).not.toContain('wos-sso-session');
});

test.each([
  ['maxAge=999999999', false],
  ['max_age=86401', false],
  ['maxAge=61', false],
  ['', false],
  ['maxAge=30', true],
  ['maxAge=0', true],
  ['prompt=login', true],
  ['prompt=login&maxAge=999999999', true],
  ['prompt=select_account', false],
])(
  'where tokens state no auth_time, /login?%s counts as an authentication of the last minute: %s',
  async (query, isFresh) => {
    const { origin, workos, browser } = await createTestApp('express5', { rule: { maxAge: 60 } });
    const fault = await withoutAuthTime(workos);
    const login = await browser.go(`${origin}/login?${query}`);
    await browser.go(await workos.authorize(login.location!, { user: ADA }));
    fault.restore();
    const reply = await browser.go(`${origin}/account`, { headers: FETCH });
    expect([401, 403].includes(reply.status)).toBe(!isFresh);
    if (isFresh) expect(reply.status).toBe(200);
  },
);
