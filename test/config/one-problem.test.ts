import { expect, test } from 'vitest';
import { GOOD, GOOD_SSO, problemsOf, ssoProblemsOf } from './problem-of.js';

const SHARED = {
  cookie: { name: '__Secure-session', domain: 'example.com', path: '/', sameSite: 'none', partitioned: true },
  returnTo: 'https://app.example.com/home',
  postLogoutReturnTo: 'https://www.example.com/bye',
  returnToOrigins: ['https://www.example.com'],
  trustedOrigins: ['https://www.example.com'],
  providers: ['google'],
  loginParams: ['loginHint'],
  signInLifetime: 600,
  timeout: 5000,
  apiHostname: 'api.example.com',
  apiPort: 8443,
  pages: { title: 'Example', lang: 'en' },
};

const store = { get() {}, set() {}, add() {}, replace() {}, delete() {} };

/** Valid options, many of which depend on each other. */
const ALL = {
  ...GOOD,
  ...SHARED,
  redirectUri: 'https://app.example.com/auth/callback',
  signIn: { organizationId: 'org_01', screenHint: 'sign-up' },
  clientRedirectUris: ['com.example.app:/callback'],
  signUp: { roles: ['member'], defaultRole: 'member', save: true, metadata: ['plan'] },
  routes: { signUp: '/signup', token: '/token', connect: '/connect' },
  issuer: 'https://api.example.com',
  audience: ['client_01TEST'],
  store,
  session: 'store',
  sessionMemory: { maxBytes: 2_000_000 },
};

const ALL_SSO = {
  ...GOOD_SSO,
  ...SHARED,
  redirectUri: 'https://app.example.com/auth/sso/callback',
  signIn: { connection: 'conn_01' },
  store,
  sessionLifetime: 3600,
};

test('the options that the mistakes are made in are valid', () => {
  expect(problemsOf(ALL)).toEqual([]);
  expect(ssoProblemsOf(ALL_SSO)).toEqual([]);
});

const MISTAKES: readonly object[] = [
  { clientId: undefined },
  { apiKey: undefined },
  { redirectUri: undefined },
  { cookiePassword: undefined },
  ...[1, '', 'x', null, [], {}, true, Symbol('x')].flatMap((value) => [
    { clientId: value },
    { apiKey: value },
    { redirectUri: value },
    { cookiePassword: value },
    { cookie: value },
    { signIn: value },
    { providers: value },
    { loginParams: value },
    { apiHostname: value },
    { apiPort: value },
    { returnTo: value },
    { returnToOrigins: value },
    { timeout: value },
    { signInLifetime: value },
    { store: value },
    { workos: value },
    { pages: value },
    { onError: value },
    { now: value },
  ]),
  { redirectUri: 'app.example.com/auth/callback' },
  { redirectUri: 'ftp://app.example.com/auth/callback' },
  { redirectUri: 'https://app.example.com' },
  { redirectUri: 'https://app.example.com/other' },
  { redirectUri: 'https://app.example.com//auth/callback' },
  { cookie: { ...SHARED.cookie, name: 'a b' } },
  { cookie: { ...SHARED.cookie, domain: 'example.org' } },
  { cookie: { ...SHARED.cookie, sameSite: 'never' } },
  { cookie: { ...SHARED.cookie, path: 'app' } },
  { apiKey: '"sk_test_secret"' },
  { apiKey: 'client_01TEST' },
  { apiHostname: 'https://api.example.com' },
  { apiPort: 'x' },
  { returnTo: 'https://evil.example/' },
  { returnToOrigins: ['https://www.example.com/'] },
  { providers: ['nobody'] },
  { loginParams: ['nothing'] },
];

const AUTHKIT_MISTAKES: readonly object[] = [
  ...MISTAKES,
  { redirectUri: '"https://app.example.com/auth/callback"' },
  { signIn: { provider: 'nobody', organizationId: 'org_01' } },
  { signUp: { roles: 'member', defaultRole: 'member' } },
  { signUp: { roles: ['not a slug'], defaultRole: 'not a slug' } },
  { signUp: { roles: ['member'], defaultRole: 'admin' } },
  { signUp: 1 },
  { session: 'redis' },
  { store: undefined },
  { store: { get() {} } },
  { routes: { ...ALL.routes, login: 1 } },
  { routes: { ...ALL.routes, login: '/callback' } },
  { routes: { ...ALL.routes, callback: 'callback' } },
  { routes: 1 },
  { signIn: { organizationId: 7 } },
  { signIn: { provider: 'nobody' } },
  { signIn: { provider: 'google', organizationId: 'org_01' } },
  { signIn: { provider: 'google', connectionId: 'conn_01' } },
  { signIn: { connectionId: 'conn_01', provider: 'nobody' } },
  { signIn: { connection: 'conn_01' } },
  { sessionMemory: { maxBytes: 5 } },
  { sessionMemory: { max: 2_000_000 } },
  { sessionMemory: 5 },
];

/** How a test is named, also for values that JSON does not have. */
const named = (mistake: object): [string, object] => [
  JSON.stringify(mistake, (_, value: unknown) =>
    value === undefined || typeof value === 'symbol' || typeof value === 'function' ? String(value) : value,
  ),
  mistake,
];

test.each(AUTHKIT_MISTAKES.map(named))('one mistake in authkit(%s) is at most one problem', (_, mistake) => {
  const problems = problemsOf({ ...ALL, ...mistake });
  expect(problems.length, problems.join('\n')).toBeLessThanOrEqual(1);
});

test.each([...MISTAKES, { signIn: { organization: 'org_01', connection: 7 } }].map(named))(
  'one mistake in sso(%s) is at most one problem',
  (_, mistake) => {
    const problems = ssoProblemsOf({ ...ALL_SSO, ...mistake });
    expect(problems.length, problems.join('\n')).toBeLessThanOrEqual(1);
  },
);

test('sso() without redirectUri has only that problem', () => {
  for (const options of [GOOD_SSO, ALL_SSO]) {
    expect(ssoProblemsOf({ ...options, redirectUri: undefined })).toEqual([
      'redirectUri is missing: pass it, or set WORKOS_REDIRECT_URI',
    ]);
  }
});
