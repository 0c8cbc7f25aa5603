import { describe, expect, test } from 'vitest';
import { WorkOS } from '@workos-inc/node';
import { OPTION_ADVICE } from '../../src/config/did-you-mean.js';
import { GOOD, GOOD_SSO, problemsOf, ssoProblemsOf, titleOf } from './problem-of.js';

describe('a misspelt option is answered with the option that was meant', () => {
  test.each([
    ['cookiePasword', 'cookiePassword'],
    ['cookiepassword', 'cookiePassword'],
    ['cookie_password', 'cookiePassword'],
    ['onSucces', 'onSuccess'],
    ['onsuccess', 'onSuccess'],
    ['onErorr', 'onError'],
    ['clientID', 'clientId'],
    ['client_id', 'clientId'],
    ['clinetId', 'clientId'],
    ['apikey', 'apiKey'],
    ['redirectURI', 'redirectUri'],
    ['redirect_uri', 'redirectUri'],
    ['redirctUri', 'redirectUri'],
    ['retrunTo', 'returnTo'],
    ['returnToOrigin', 'returnToOrigins'],
    ['trustedOrigin', 'trustedOrigins'],
    ['signup', 'signUp'],
    ['signin', 'signIn'],
    ['sesion', 'session'],
    ['timout', 'timeout'],
    ['route', 'routes'],
    ['cookies', 'cookie'],
    ['provders', 'providers'],
    ['allowInsecureHTTP', 'allowInsecureHttp'],
    ['onSessionRefreshSucess', 'onSessionRefreshSuccess'],
  ])('%s: did you mean %s?', (written, meant) => {
    expect(problemsOf({ ...GOOD, [written]: 1 })).toEqual([
      `unknown option "${written}": did you mean ${meant}?`,
    ]);
  });

  test.each([
    [{ cookie: { maxage: 60 } }, 'unknown cookie option "maxage": did you mean maxAge?'],
    [{ cookie: { samesite: 'lax' } }, 'unknown cookie option "samesite": did you mean sameSite?'],
    [{ routes: { signup: '/signup' } }, 'unknown route "signup": did you mean signUp?'],
    [{ routes: { calback: '/callback' } }, 'unknown route "calback": did you mean callback?'],
    [{ signUp: { role: ['a'] } }, 'unknown signUp option "role": did you mean roles?'],
    [
      { signIn: { organisationId: 'org_1' } },
      'signIn: unknown sign-in option "organisationId": did you mean organizationId?',
    ],
    [
      { signIn: { screen_hint: 'sign-up' } },
      'signIn: unknown sign-in option "screen_hint": did you mean screenHint?',
    ],
    [{ sessionMemory: { maxbytes: 2e6 } }, 'unknown sessionMemory option "maxbytes": did you mean maxBytes?'],
    [
      { loginParams: ['organisationId'] },
      'loginParams: unknown parameter "organisationId": did you mean organizationId?',
    ],
  ])('%j', (options, problem) => {
    expect(problemsOf({ ...GOOD, ...options })).toEqual([problem]);
  });
});

describe('an option of another SDK is answered with what it is called here, or why it is not needed', () => {
  test.each([
    ['returnPathname', /write returnTo$/],
    ['baseURL', /not needed/],
    ['baseUrl', /not needed/],
    ['cookieName', /write cookie: \{ name/],
    ['cookieDomain', /write cookie: \{ domain/],
    ['cookieMaxAge', /write cookie: \{ maxAge/],
    ['cookieSameSite', /write cookie: \{ sameSite/],
    ['cookiePath', /write cookie: \{ path/],
    ['customFetch', /write fetch/],
    ['httpAgent', /write fetch/],
    ['claimNonce', /write claimToken|signIn: \{ claimNonce/],
    ['invitationToken', /signIn: \{ invitationToken/],
    ['prompt', /signIn: \{ prompt/],
    ['middlewareAuth', /requireAuth\(\)/],
    ['secret', /write cookiePassword/],
    ['handleAuth', /authkit\(\) mounts the callback/],
    ['afterCallback', /write onSuccess/],
    ['signUpPaths', /write routes: \{ signUp/],
    ['ensureSignedIn', /requireAuth\(\)/],
    ['eagerAuth', /not needed/],
    ['debug', /DEBUG=authkit/],
    ['storage', /write store$/],
    ['port', /write apiPort/],
    ['clientSecret', /write apiKey/],
    ['issuerBaseURL', /apiHostname/],
    ['authRequired', /requireAuth\(\)/],
    ['idpLogout', /not needed/],
    ['authorizationParams', /write signIn/],
    ['attemptSilentLogin', /prompt: 'none'/],
    ['callbackURL', /write redirectUri/],
    ['redirectUrl', /redirectUri/],
    ['sessionSecret', /write cookiePassword/],
    ['organizationId', /write signIn: \{ organizationId/],
    ['publishableKey', /write clientId/],
    ['trustHost', /redirectUri/],
    ['scope', /providerScopes/],
    ['middlwareAuth', /requireAuth\(\)/],
  ])('%s', (name, says) => {
    const [problem, ...others] = problemsOf({ ...GOOD, [name]: 1 });
    expect(problem).toMatch(says);
    expect(problem).toContain(`unknown option "${name}": `);
    expect(others).toEqual([]);
  });

  test('no name of another SDK is a name of ours', () => {
    for (const name of Object.keys(OPTION_ADVICE)) {
      expect(problemsOf({ ...GOOD, [name]: undefined }), name).toEqual([
        `unknown option "${name}": ${OPTION_ADVICE[name]}`,
      ]);
    }
  });

  test.each([
    [{ cookie: { secure: true } }, /cookie option "secure": it is not needed/],
    [{ cookie: { httpOnly: true } }, /cookie option "httpOnly": it is not needed/],
    [{ cookie: { expires: 1 } }, /cookie option "expires": write maxAge, in seconds/],
    [{ routes: { signOut: '/bye' } }, /route "signOut": write logout/],
    [{ routes: { postLogoutRedirect: '/' } }, /returnTo/],
    [{ signIn: { organization: 'org_1' } }, /write organizationId/],
    [{ signIn: { email: 'a@b.c' } }, /write loginHint/],
    [{ signIn: { returnTo: '/' } }, /auth\.getSignInUrl\(\)/],
    [{ sessionMemory: { max: 5 } }, /write maxBytes/],
  ])('%j', (options, says) => {
    expect(problemsOf({ ...GOOD, ...options })).toEqual([expect.stringMatching(says)]);
  });

  test('options of authkit() and of sso() are told apart', () => {
    const ofAuthkit = ['issuer', 'audience', 'claimToken', 'clientRedirectUris', 'signUp', 'session'];
    ofAuthkit.push('sessionMemory', 'onSessionRefreshSuccess', 'onSessionRefreshError');
    // These are names that other packages use, or parts of such an option.
    ofAuthkit.push(
      'claimNonce',
      'roles',
      'defaultRole',
      'maxBytes',
      'onSessionRefresh',
      'prompt',
      'screenHint',
    );
    ofAuthkit.push(
      'invitationToken',
      'attemptSilentLogin',
      'backchannelLogout',
      'webhookSecret',
      'signUpUrl',
    );
    ofAuthkit.push('token', 'connect', 'switchOrganization', 'signUpPaths');
    for (const name of ofAuthkit) {
      expect(ssoProblemsOf({ ...GOOD_SSO, [name]: undefined }), name).toEqual([
        `unknown option "${name}": it is an option of authkit(), not of sso()`,
      ]);
    }
    expect(problemsOf({ ...GOOD, acceptIdPInitiated: true })).toEqual([
      expect.stringContaining('an option of sso(), not of authkit()'),
    ]);
    expect(ssoProblemsOf({ ...GOOD_SSO, sesionLifetime: 60 })).toEqual([
      expect.stringContaining('did you mean sessionLifetime?'),
    ]);
  });
});

test('a name that is like no other is named, without a list of 28 names', () => {
  const [problem] = problemsOf({ ...GOOD, frobnicate: 1 });
  expect(problem).toContain('unknown option "frobnicate"');
  expect(problem!.length).toBeLessThan(120);
  const [short] = problemsOf({ ...GOOD, signUp: { frobnicate: 1 } });
  expect(short).toBe('unknown signUp option "frobnicate": there are roles, defaultRole, save, metadata');
});

test('a name of any length or content is answered on one line, and soon', () => {
  for (const name of [
    'x'.repeat(100_000),
    'a\nb',
    '\u001b[31m',
    '',
    '__proto__',
    'constructor',
    'toString',
  ]) {
    const options = Object.defineProperty({ ...GOOD }, name, { value: 1, enumerable: true });
    const [problem] = problemsOf(options);
    expect(problem).toMatch(/^unknown option [\u0020-\u007e]{1,200}$/);
  }
});

describe('credentials that cannot be right are found by their form', () => {
  const changed = (options: object) => problemsOf({ ...GOOD, ...options });

  test('a client id and an API key that are exchanged', () => {
    expect(changed({ clientId: GOOD.apiKey, apiKey: GOOD.clientId })).toEqual([
      expect.stringContaining('clientId and apiKey are exchanged'),
    ]);
  });

  test.each([
    [{ clientId: 'app_01TEST' }, 'clientId must begin with client_'],
    [{ clientId: 'sk_test_1' }, 'clientId must begin with client_'],
    [{ apiKey: 'client_01TEST' }, 'apiKey must begin with sk_'],
    [{ apiKey: 'pk_live_1' }, 'apiKey must begin with sk_'],
    [{ clientId: 'client_...' }, 'clientId is still a placeholder'],
    [{ clientId: 'client_…x' }, 'clientId must be a string without spaces'],
    [{ clientId: 'client_<your-id>' }, 'clientId is still a placeholder'],
    [{ clientId: 'client_xxxxxxxx' }, 'clientId is still a placeholder'],
    [{ clientId: 'your_client_id' }, 'clientId is still a placeholder'],
    [{ clientId: '<client-id>' }, 'clientId is still a placeholder'],
    [{ clientId: 'client_' }, 'clientId is still a placeholder'],
    [{ apiKey: 'your_api_key' }, 'apiKey is still a placeholder'],
    [{ apiKey: 'sk_...' }, 'apiKey is still a placeholder'],
    [{ apiKey: 'sk_test_...' }, 'apiKey is still a placeholder'],
    [{ apiKey: 'sk_live_your-key-here' }, 'apiKey is still a placeholder'],
    [{ apiKey: 'sk_example_123456789' }, 'apiKey is still a placeholder'],
    [{ apiKey: 'sk_' }, 'apiKey is still a placeholder'],
  ])('%j', (options, says) => {
    const problems = changed(options);
    expect(problems).toEqual([expect.stringContaining(says)]);
  });

  test('the message names the environment variable that the value is from, and not the value', () => {
    const [problem] = problemsOf({ ...GOOD, apiKey: undefined }, { WORKOS_API_KEY: 'pk_live_do_not_print' });
    expect(problem).toContain('WORKOS_API_KEY must begin with sk_');
    expect(problem).not.toContain('do_not_print');
  });

  test.each(['client_01HXYZ', 'client_1', 'project_01HXYZ'])('%s is a client id', (clientId) => {
    expect(changed({ clientId })).toEqual([]);
  });

  test.each(['sk_live_a2V5', 'sk_test_a2V5', 'sk_a2V5', 'sk_test_yourkingdom'])(
    '%s is an API key',
    (apiKey) => {
      expect(changed({ apiKey })).toEqual([]);
    },
  );

  test('those of a WorkOS client are checked too', () => {
    const { redirectUri, cookiePassword } = GOOD;
    const workos = new WorkOS('client_01TEST', { clientId: 'sk_test_1' });
    expect(problemsOf({ workos, redirectUri, cookiePassword })).toEqual([
      expect.stringContaining('exchanged'),
    ]);
  });
});

describe('quotes that are part of a value', () => {
  test.each(['"', "'", '`'])('%s in variables are reported once for each, and nothing else is', (quote) => {
    const quoted = (value: string) => quote + value + quote;
    const problems = problemsOf(
      {},
      {
        WORKOS_CLIENT_ID: quoted(GOOD.clientId),
        WORKOS_API_KEY: quoted(GOOD.apiKey),
        WORKOS_REDIRECT_URI: quoted(GOOD.redirectUri),
        WORKOS_COOKIE_PASSWORD: quoted(GOOD.cookiePassword),
      },
    );
    expect([...problems].sort()).toEqual(
      ['WORKOS_API_KEY', 'WORKOS_CLIENT_ID', 'WORKOS_COOKIE_PASSWORD', 'WORKOS_REDIRECT_URI'].map(
        (name) => `the value of ${name} includes quotes: remove them`,
      ),
    );
  });

  test('in options too', () => {
    expect(problemsOf({ ...GOOD, clientId: '"client_01TEST"' })).toEqual([
      'the value of clientId includes quotes: remove them',
    ]);
  });
});

test('a variable with a prefix of another framework is named, since it is not read', () => {
  const { redirectUri, ...others } = GOOD;
  expect(problemsOf(others, { NEXT_PUBLIC_WORKOS_REDIRECT_URI: redirectUri })).toEqual([
    expect.stringContaining('NEXT_PUBLIC_WORKOS_REDIRECT_URI is set, but it is not read'),
  ]);
  const { clientId, ...rest } = GOOD;
  expect(problemsOf(rest, { WORKOS_CLIENTID: clientId })).toEqual([
    expect.stringContaining('WORKOS_CLIENTID is set, but it is not read'),
  ]);
});

describe('timeout', () => {
  test.each([1, 2, 5, 10, 30, 49])('%i is meant in seconds', (timeout) => {
    expect(problemsOf({ ...GOOD, timeout })).toEqual([
      `timeout is in milliseconds: write ${timeout * 1000} for ${timeout} ${timeout === 1 ? 'second' : 'seconds'}`,
    ]);
  });

  test.each([50, 200, 5000, 60_000])('%i is accepted', (timeout) => {
    expect(problemsOf({ ...GOOD, timeout })).toEqual([]);
  });

  test.each([0, -1, 0.5, 60_001, '5000', NaN, Infinity, null])('%j is refused', (timeout) => {
    expect(problemsOf({ ...GOOD, timeout })).toHaveLength(1);
  });
});

describe('cookiePassword', () => {
  test('a single weak password has no number', () => {
    expect(problemsOf({ ...GOOD, cookiePassword: 'short' })[0]).toMatch(/^cookiePassword has fewer than 32/);
    expect(problemsOf({ ...GOOD, cookiePassword: ['short'] })[0]).toMatch(
      /^cookiePassword has fewer than 32/,
    );
  });

  test('one of several has the number of its place', () => {
    const problems = problemsOf({ ...GOOD, cookiePassword: [GOOD.cookiePassword, 'short'] });
    expect(problems).toEqual([expect.stringMatching(/^cookiePassword 2 has fewer than 32/)]);
  });

  test.each([
    '<a password of at least 32 characters>',
    'your-secure-password-goes-in-here-0123456789',
    'your_secure_password_here_must_be_at_least_32_characters_long',
    'changeme-changeme-please-0123456789-abcdef',
  ])('%s is a placeholder', (cookiePassword) => {
    expect(problemsOf({ ...GOOD, cookiePassword })).toEqual([expect.stringContaining('placeholder')]);
  });
});

describe('redirectUri', () => {
  const of = (redirectUri: string, more: object = {}) => problemsOf({ ...GOOD, redirectUri, ...more });

  test.each(['http://localhost:3000', 'http://localhost:3000/'])('%s: add the path', (redirectUri) => {
    expect(of(redirectUri)).toEqual([
      'redirectUri has no path: add /callback, as in http://localhost:3000/callback',
    ]);
  });

  test('a slash at the end: remove it', () => {
    expect(of('https://app.example.com/callback/')).toEqual([
      'redirectUri ends in a slash: write https://app.example.com/callback',
    ]);
  });

  test('another path: one problem, with advice that works', () => {
    const [problem, ...others] = of('https://app.example.com/auth/return');
    expect(problem).toContain("routes: { callback: '/auth/return' }");
    expect(others).toEqual([]);
    expect(of('https://app.example.com/auth/return', { routes: { callback: '/auth/return' } })).toEqual([]);
  });

  test('a wrong path is one problem even if returnTo leads there', () => {
    expect(of('https://app.example.com/home', { returnTo: '/home' })).toHaveLength(1);
  });

  test.each([
    'HTTPS://app.example.com/callback',
    'https://APP.example.com/callback',
    'https://app.example.com:443/callback',
    'http://localhost:80/callback',
    'https://app.example.com/x/../callback',
    'https://müller.example/callback',
  ])('%s is accepted, since it is sent as it was written', (redirectUri) => {
    expect(of(redirectUri)).toEqual([]);
  });
});

describe('the title of the message', () => {
  test('says "is not configured" only if nothing is set', () => {
    expect(titleOf({})).toBe('authkit-express is not configured:');
    expect(titleOf({ clientId: undefined }, { PATH: '/bin' })).toBe('authkit-express is not configured:');
    expect(titleOf({ timeout: 5 })).toBe('authkit-express is misconfigured:');
    expect(titleOf({}, { WORKOS_CLIENT_ID: 'client_1' })).toBe('authkit-express is misconfigured:');
    expect(titleOf({ ...GOOD, timeout: 5 })).toBe('authkit-express is misconfigured:');
  });

  test('a forgotten await is named', () => {
    expect(problemsOf(Promise.resolve(GOOD))).toEqual([expect.stringContaining('await')]);
  });
});

test('options and variables are not read from a polluted Object.prototype', () => {
  const prototype = Object.prototype as Record<string, unknown>;
  const polluted = {
    redirectUri: 'https://evil.example/callback',
    sameSite: 'none',
    WORKOS_API_HOSTNAME: 'evil.example',
  };
  try {
    Object.assign(prototype, polluted);
    const { clientId, apiKey, cookiePassword } = GOOD;
    expect(problemsOf({ clientId, apiKey, cookiePassword, cookie: {} }, process.env)).toEqual([
      expect.stringContaining('redirectUri is missing'),
    ]);
  } finally {
    for (const name of Object.keys(polluted)) Reflect.deleteProperty(prototype, name);
  }
});
