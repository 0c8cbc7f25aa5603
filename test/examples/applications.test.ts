import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestWorkOS, type TestWorkOS } from 'authkit-express/testing';
import { Browser, FETCH, send, type Reply } from '../support/browser.js';
import { problemsOf } from '../support/compiler.js';
import { ROOT } from '../support/documentation.js';
import { environmentOf, runExample, signInWith, spawnExample } from '../support/example.js';
import { freePort } from '../support/free-port.js';
import { startIdentityProvider } from '../support/identity-provider.js';

// Three applications, each with authkit-express and with the libraries that it replaces. Both pass the same tests.

const ADA = 'ada@example.com';
const GRACE = 'grace@example.com';
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const SAME_ORIGIN = { 'sec-fetch-site': 'same-origin' };

const json = (body: string) => JSON.parse(body) as unknown;
/** Not imported by its name: the types that an example declares for `req.user` would hold for all tests. */
const load = (name: string) => import(join(ROOT, 'example', name, 'app.ts')) as ReturnType<LoadExample>;
type LoadExample = Parameters<typeof runExample>[0];

interface Application {
  origin: string;
  /** Opens a path, signs in, and returns. */
  signIn: (browser: Browser, path: string) => Promise<Reply>;
}

function ours(name: string, options: Parameters<typeof runExample>[1]): Application {
  const example = runExample(() => load(name), options);
  return {
    get origin() {
      return example.origin;
    },
    signIn: (browser, path) => signInWith(browser, example.workos, example.origin + path, ADA),
  };
}

/** An application that signs one user in at an OpenID provider. */
function theirs(file: string, claims: object, env: () => Record<string, string> = () => ({})): Application {
  const application: Application = {
    origin: '',
    signIn: async (browser, path) => {
      const away = (await browser.follow(application.origin + path)).location!;
      return browser.follow((await browser.go(away)).location!);
    },
  };
  let stop: () => Promise<void>;
  let provider: Awaited<ReturnType<typeof startIdentityProvider>>;
  beforeAll(async () => {
    provider = await startIdentityProvider('client', { ...claims });
    const port = String(await freePort());
    application.origin = `http://localhost:${port}`;
    stop = await spawnExample(file, {
      ...env(),
      PORT: port,
      BASE_URL: application.origin,
      ISSUER_BASE_URL: provider.issuer,
      CLIENT_ID: 'client',
      CLIENT_SECRET: 'a-client-secret-for-this-test-only',
      SECRET: 'a-cookie-secret-for-this-test-only',
    });
  });
  afterAll(async () => {
    await stop();
    provider.close();
  });
  return application;
}

describe.each([
  ['authkit-express', () => ours('server-rendered', {})],
  [
    'passport',
    () => theirs('server-rendered/passport-before.ts', { sub: 'user_1', email: ADA, email_verified: true }),
  ],
])('server-rendered with %s', (_, start) => {
  const application = start();
  const url = (path: string) => application.origin + path;
  const post = (browser: Browser, body: string) =>
    browser.go(url('/notes'), { method: 'POST', headers: { ...FORM, ...SAME_ORIGIN }, body });
  const tokenOf = ({ body }: Reply) => /name="csrfToken" value="([^"]+)"/.exec(body)?.[1] ?? '';

  test('the user gets the row from before the first sign-in, and a flash message is shown once', async () => {
    const browser = new Browser();
    expect((await browser.go(url('/'))).body).toBe('Signed out');
    const page = await application.signIn(browser, '/notes');
    expect(page.body).toContain('Ada wrote this before she signed in with WorkOS');
    expect(page.body).not.toContain('role="status"');
    const token = encodeURIComponent(tokenOf(page));
    const saved = await post(browser, `csrfToken=${token}&text=%3Cb%3Emilk`);
    expect(saved).toMatchObject({ status: 303, location: url('/notes') });
    const after = await browser.go(url('/notes'));
    expect(after.body).toContain('<p role="status">The note is saved.</p>');
    expect(after.body).toContain('&#60;b&#62;milk');
    expect((await browser.go(url('/notes'))).body).not.toContain('role="status"');
    expect((await browser.go(url('/'))).body).toBe('Signed in as user 1');
  });

  test('a form without the CSRF token of this session is refused', async () => {
    const [browser, other] = [new Browser(), new Browser()];
    await application.signIn(browser, '/notes');
    const token = tokenOf(await application.signIn(other, '/notes'));
    expect(token).not.toBe('');
    for (const body of ['text=no', 'csrfToken=&text=no', `csrfToken=${encodeURIComponent(token)}&text=no`])
      expect((await post(browser, body)).status).toBe(403);
    // The cookie of the other session does not help either.
    const stolen = await other.cookie(url('/'), 'csrf');
    await browser.jar.setCookie(`csrf=${stolen!}`, url('/'));
    expect((await post(browser, `csrfToken=${encodeURIComponent(token)}&text=no`)).status).toBe(403);
    const { body } = await browser.go(url('/notes'));
    expect(body).not.toContain('<li>no</li>');
  });

  test('signing out needs no token, and a signed-out user has no notes', async () => {
    const browser = new Browser();
    await application.signIn(browser, '/notes');
    await browser.go(url('/logout'), { method: 'POST', headers: SAME_ORIGIN });
    expect((await browser.go(url('/'))).body).toBe('Signed out');
    expect((await browser.fetch(url('/notes'))).status).toBe(401);
    expect((await post(browser, 'text=no')).status).toBe(403);
  });
});

describe('api', () => {
  const CLIENT = 'com.example.app:/signed-in';
  const workos = { redirectUris: [CLIENT, 'http://localhost/callback'] };
  const example = runExample(() => load('api'), { workos: {} });
  let passport = { origin: '', workos: undefined as TestWorkOS | undefined };
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const port = String(await freePort());
    const own = await createTestWorkOS(workos);
    passport = { origin: `http://localhost:${port}`, workos: own };
    stop = await spawnExample('api/passport-before.ts', {
      ...environmentOf(own, 'http://localhost/callback'),
      PORT: port,
    });
  });
  afterAll(async () => {
    await stop();
    await passport.workos?.close();
  });

  describe.each([
    ['authkit-express', () => ({ origin: example.origin, workos: example.workos })],
    ['passport', () => ({ origin: passport.origin, workos: passport.workos! })],
  ])('with %s', (_, application) => {
    /** What a native client does: it opens a browser, receives a code, and exchanges it. */
    async function signIn(user: string) {
      const { origin } = application();
      const verifier = randomBytes(32).toString('base64url');
      const codeChallenge = createHash('sha256').update(verifier).digest('base64url');
      const query = new URLSearchParams({ codeChallenge, redirectTo: CLIENT, state: 'mine' });
      const browser = new Browser();
      const away = await browser.go(`${origin}/login?${query.toString()}`);
      let back = await application().workos.authorize(away.location!, { user });
      if (back.startsWith(origin)) back = (await browser.go(back)).headers.location!;
      expect(back.startsWith(`${CLIENT}?`)).toBe(true);
      const { searchParams } = new URL(back);
      expect(searchParams.get('state')).toBe('mine');
      expect(await browser.cookieNames(origin)).not.toContain('wos-session');
      return { code: searchParams.get('code')!, verifier };
    }
    const token = (form: Record<string, string>) =>
      send(`${application().origin}/token`, {
        method: 'POST',
        headers: FORM,
        body: new URLSearchParams(form).toString(),
      });
    const ask = (path: string, accessToken = '', method = 'GET') =>
      send(application().origin + path, {
        method,
        headers: { ...FETCH, ...(accessToken === '' ? {} : { authorization: `Bearer ${accessToken}` }) },
      });
    async function tokensOf(user: string) {
      const { code, verifier } = await signIn(user);
      const granted = await token({ grant_type: 'authorization_code', code, code_verifier: verifier });
      expect(granted.status).toBe(200);
      return json(granted.body) as { access_token: string; refresh_token: string };
    }

    test('a native client gets tokens, calls the API, and refreshes', async () => {
      const { access_token, refresh_token } = await tokensOf(GRACE);
      expect(json((await ask('/api/me', access_token)).body)).toMatchObject({ email: GRACE, role: 'member' });
      const refreshed = await token({ grant_type: 'refresh_token', refresh_token });
      const tokens = json(refreshed.body) as { access_token: string };
      expect((await ask('/api/orders', tokens.access_token)).status).toBe(200);
    });

    test('a role decides who may delete', async () => {
      const [admin, member] = [await tokensOf(ADA), await tokensOf(GRACE)];
      expect((await ask('/api/orders/1', member.access_token, 'DELETE')).status).toBe(403);
      expect((await ask('/api/orders/1', admin.access_token, 'DELETE')).status).toBe(204);
      expect((await ask('/api/orders/1', admin.access_token, 'DELETE')).status).toBe(404);
    });

    test('a wrong verifier, a foreign redirect and a token that is not valid are refused', async () => {
      const { code } = await signIn(ADA);
      const wrong = { grant_type: 'authorization_code', code, code_verifier: 'x'.repeat(43) };
      const refused = await token(wrong);
      expect([refused.status, json(refused.body)]).toMatchObject([400, { error: 'invalid_grant' }]);
      const query = `codeChallenge=${'x'.repeat(43)}&redirectTo=com.evil.app:/signed-in`;
      expect((await new Browser().go(`${application().origin}/login?${query}`)).status).toBe(400);
      for (const accessToken of ['', 'nonsense', 'a.b.c'])
        expect((await ask('/api/me', accessToken)).status).toBe(401);
    });
  });
});

describe('typescript-service', () => {
  let keys: TestWorkOS;
  beforeAll(async () => {
    keys = await createTestWorkOS();
  });
  afterAll(() => keys.close());
  const reader = { organizationId: 'Analytical Engines', role: 'reader', permissions: ['reports:read'] };
  const ofOurs = runExample(() => load('typescript-service'), {
    workos: {
      organizations: [{ name: 'Analytical Engines' }],
      users: [{ email: ADA, memberships: [reader] }],
    },
  });
  const claims = { sub: 'user_0155QNS0GG1AM2VB945ZTD07Z8', email: ADA, org_id: 'org_1' };
  const ofTheirs = theirs(
    'typescript-service/oidc-before.ts',
    { ...claims, permissions: ['reports:read'] },
    () => environmentOf(keys, 'http://localhost/callback'),
  );

  describe.each([
    [
      'authkit-express',
      () => ({
        origin: ofOurs.origin,
        workos: ofOurs.workos,
        signIn: (browser: Browser, path: string) => ofOurs.signIn(path, ADA, browser),
      }),
    ],
    ['express-openid-connect', () => ({ ...ofTheirs, workos: keys })],
  ])('with %s', (_, application) => {
    test('a user sees the account and the reports', async () => {
      const { origin, signIn } = application();
      const browser = new Browser();
      const account = await signIn(browser, '/account');
      expect(json(account.body)).toEqual({ id: 1, plan: 'pro', limit: 1000 });
      const reports = json((await browser.fetch(`${origin}/reports`)).body);
      expect(reports).toMatchObject({ by: ADA, reports: [{ id: 1 }] });
    });

    test('an API key needs the permission', async () => {
      const { origin, workos } = application();
      const ask = (key: string) =>
        send(`${origin}/reports`, { headers: { ...FETCH, authorization: `Bearer ${key}` } });
      const good = await ask(workos.createApiKey({ name: 'CI', permissions: ['reports:read'] }));
      expect(json(good.body)).toMatchObject({ by: 'CI', reports: [{ id: 1 }] });
      expect((await ask(workos.createApiKey({ permissions: [] }))).status).toBe(403);
      expect((await ask('sk_unknown')).status).toBe(401);
      expect((await send(`${origin}/reports`, { headers: FETCH })).status).toBe(401);
    });
  });
});

const COMPARED = [
  ['server-rendered', 'passport-before.ts'],
  ['api', 'passport-before.ts'],
  ['typescript-service', 'oidc-before.ts'],
] as const;

test('all of them compile, each with its own type of req.user', async () => {
  for (const [name] of COMPARED) {
    const folder = join(ROOT, 'example', name);
    expect(readdirSync(folder).filter((file) => file.endsWith('.ts')).length).toBeGreaterThan(2);
    expect(await problemsOf(join(folder, 'tsconfig.json'))).toEqual([]);
  }
});

/** Lines of code, without blank lines and comments. */
function linesOf(path: string): number {
  const lines = readFileSync(join(ROOT, path), 'utf8').split('\n');
  return lines.filter((line) => line.trim() !== '' && !/^\s*(?:\/\/|\/?\*)/.test(line)).length;
}

test('example/README.md counts the lines of both, and ours are fewer', () => {
  const page = readFileSync(join(ROOT, 'example/README.md'), 'utf8');
  for (const [name, before] of COMPARED) {
    const [now, then] = [linesOf(`example/${name}/app.ts`), linesOf(`example/${name}/${before}`)];
    expect(now).toBeLessThan(then);
    const row = page
      .split('\n')
      .find((line) => line.startsWith(`| [${name}](${name}/app.ts)`) && line.includes(before));
    expect(row?.split('|').map((cell) => cell.trim())).toEqual(
      expect.arrayContaining([String(now), String(then)]),
    );
  }
});
