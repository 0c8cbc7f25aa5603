import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { authkit, type AuthKitErrorCode, requireAuth } from 'authkit-express';
import { ERROR_CODES } from '../../src/errors.js';
import { problemsOf, GOOD } from '../config/problem-of.js';
import { createTestApp, type Options, type TestApp, whoami } from '../support/app.js';
import { Browser, FETCH } from '../support/browser.js';
import { ROOT } from '../support/documentation.js';

/** The error codes of Nhost's `GET /signin/provider/{provider}`, in the order of Nhost's documentation. */
const THERE = `default-role-must-be-in-allowed-roles disabled-endpoint disabled-user email-already-in-use
  email-already-verified forbidden-anonymous internal-server-error invalid-email-password invalid-request
  locale-not-allowed password-too-short password-in-hibp-database redirectTo-not-allowed role-not-allowed signup-disabled
  unverified-user user-not-anonymous invalid-pat invalid-refresh-token invalid-ticket disabled-mfa-totp no-totp-secret
  invalid-totp mfa-type-not-found totp-already-active invalid-state oauth-token-echange-failed
  oauth-profile-fetch-failed oauth-provider-error invalid-otp cannot-send-sms provider-account-already-linked`.split(
  /\s+/,
);

/** The rows of the table in docs/parameters.md, with this package's codes that each row names. */
function rows(): [there: string, here: string, codes: string[]][] {
  const page = readFileSync(join(ROOT, 'docs/parameters.md'), 'utf8');
  const [, section = ''] = page.split('## Error codes of /signin/provider/{provider}\n');
  return [...section.matchAll(/^\| `([\w-]+)`\s+\| (.+?)\s*\|$/gm)].map(([, there = '', here = '']) => {
    const names = [...here.matchAll(/`(\w+)`/g)].map(([, name]) => name!);
    return [there, here, names.filter((name) => (ERROR_CODES as readonly string[]).includes(name))];
  });
}

type Act = (app: TestApp) => Promise<unknown>;

const visit =
  (path: string): Act =>
  ({ browser, origin }) =>
    browser.go(origin + path);

/** A sign-in whose code WorkOS refuses. */
const refused =
  (status: number, body: object): Act =>
  async ({ workos, signIn }) => {
    const { restore } = workos.fail({ on: 'code', status, body });
    await signIn(undefined, '/login?returnTo=/open', new Browser());
    restore();
  };

/** A sign-in that WorkOS answers with an error at the callback. */
const answered =
  (error: string): Act =>
  async ({ browser, origin }) => {
    const away = await browser.go(`${origin}/login`);
    const state = new URL(away.location!).searchParams.get('state')!;
    await browser.go(`${origin}/callback?error=${error}&state=${encodeURIComponent(state)}`);
  };

const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';

const ACTS: readonly [there: string, here: AuthKitErrorCode, act: Act][] = [
  ['disabled-user', 'sign_in_rejected', ({ signIn }) => signIn('grace@example.com', '/login', new Browser())],
  [
    'disabled-user',
    'unknown_user',
    async ({ workos, browser, origin }) => {
      const cookie = await workos.signIn({ user: 'alan@example.com' });
      await browser.go(`${origin}/account`, { headers: { cookie } });
    },
  ],
  [
    'forbidden-anonymous',
    'unauthenticated',
    ({ origin }) => new Browser().fetch(`${origin}/account`, { headers: FETCH }),
  ],
  ['internal-server-error', 'upstream_unavailable', refused(500, {})],
  ['invalid-email-password', 'invalid_credentials', refused(400, { code: 'invalid_credentials' })],
  ['invalid-request', 'invalid_request', visit('/login?maxAge=soon')],
  ['locale-not-allowed', 'invalid_request', visit('/login?locale=!')],
  [
    'redirectTo-not-allowed',
    'invalid_request',
    visit(`/login?codeChallenge=${CHALLENGE}&redirectTo=https://evil.example/`),
  ],
  ['role-not-allowed', 'invalid_request', visit('/login?role=admin')],
  ['signup-disabled', 'sign_up_not_allowed', refused(403, { code: 'sign_up_not_allowed' })],
  ['unverified-user', 'email_verification_required', refused(403, { code: 'email_verification_required' })],
  [
    'invalid-pat',
    'unauthenticated',
    ({ origin }) =>
      new Browser().fetch(`${origin}/api`, { headers: { ...FETCH, authorization: 'Bearer sk_unknown' } }),
  ],
  ['invalid-ticket', 'one_time_code_expired', refused(400, { code: 'one_time_code_expired' })],
  ['no-totp-secret', 'mfa_enrollment', refused(403, { code: 'mfa_enrollment' })],
  ['invalid-totp', 'invalid_one_time_code', refused(400, { code: 'invalid_one_time_code' })],
  ['invalid-state', 'invalid_state', visit('/callback?code=a&state=b')],
  ['oauth-token-echange-failed', 'code_exchange_failed', refused(400, { error: 'invalid_grant' })],
  ['oauth-profile-fetch-failed', 'invalid_profile', refused(403, { code: 'invalid_profile' })],
  ['oauth-provider-error', 'authorization_failed', answered('server_error')],
  ['oauth-provider-error', 'access_denied', answered('access_denied')],
  ['invalid-otp', 'invalid_one_time_code', refused(400, { code: 'invalid_one_time_code' })],
  ['cannot-send-sms', 'radar_challenge', refused(403, { code: 'radar_challenge' })],
];

test('the table has each code once, in order, and names codes that exist or says "None."', () => {
  expect(rows().map(([there]) => there)).toEqual(THERE);
  for (const [there, here, codes] of rows()) expect(codes.length > 0, there).toBe(!here.startsWith('None.'));
});

test('each code of the table happens here as the table says', async () => {
  const seen: string[] = [];
  const options: Options = {
    routes: { token: '/token' },
    clientRedirectUris: ['com.example.app:/callback'],
    signUp: { roles: ['editor'] },
    onSuccess: ({ user }) => (user.email.startsWith('grace') ? { reject: 'disabled' } : undefined),
    loadUser: ({ user }) => (user.email.startsWith('alan') ? null : { id: user.id }),
    onError: ({ error }) => void seen.push(error.code),
  };
  const app = await createTestApp('express5', {
    authkit: options,
    routes: (site) => {
      site.route('/api', requireAuth({ accepts: ['apiKey'] }), whoami);
    },
  });
  const said = new Map(rows().map(([there, , codes]) => [there, codes]));
  for (const [there, here, act] of ACTS) {
    seen.length = 0;
    await act(app);
    expect(seen, there).toEqual([here]);
    expect(said.get(there), there).toContain(here);
  }
  const token = await app.browser.fetch(`${app.origin}/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'grant_type=refresh_token&refresh_token=unknown',
  });
  expect(JSON.parse(token.body)).toMatchObject({ error: 'invalid_grant' });
  expect(said.get('invalid-refresh-token')).toEqual(['invalid_grant']);
});

test('a default role that is not offered is found when the app starts, and a route that is off is the app’s own', async () => {
  expect(problemsOf({ ...GOOD, signUp: { roles: ['a'], defaultRole: 'b' } })).toEqual([
    'signUp.defaultRole must be one of signUp.roles',
  ]);
  expect(() => authkit({ ...GOOD, signUp: { roles: ['a'], defaultRole: 'b' } })).toThrow(
    expect.objectContaining({ code: 'config_invalid' }) as Error,
  );
  const { origin, browser } = await createTestApp('express5', { authkit: { routes: { login: false } } });
  expect((await browser.go(`${origin}/login`)).status).toBe(404);
});
