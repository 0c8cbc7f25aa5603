import { createHash } from 'node:crypto';
import { createEmulator } from 'workos/emulate';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { authkit, requireAuth } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { FRAMEWORKS, serve, type Framework } from '../support/frameworks.js';
import { Browser } from '../support/browser.js';
import { ADA, whoami, type Options } from '../support/app.js';

// One suite runs on two servers: WorkOS's own emulator, which was written independently, and the test WorkOS of
// `authkit-express/testing`. The emulator differs from the test WorkOS in these ways:
// - It approves every authorization request at once. The test WorkOS shows a page, as AuthKit does.
// - It returns a new `sid` at every refresh. The test WorkOS keeps the session's id, as WorkOS does.
// - It has no replay window: a rotated refresh token is refused at once. WorkOS documents 30 s, as the test WorkOS has.
// - Its errors are `{ message, code }`. At this endpoint, the test WorkOS follows RFC 6749, as WorkOS does.
// - It calls a used code `invalid_code` and a wrong verifier `invalid_code_verifier`. RFC 6749, RFC 7636 and the test
//   WorkOS use `invalid_grant`.
// - It has one key and never rotates it.

const HOUR = 3_600_000;

interface Upstream {
  url: string;
  apiKey: string;
  options: Options;
  /** Approves an authorization request as a user would. Returns the callback URL. */
  approve: (url: string) => Promise<string>;
  close: () => Promise<void>;
}

const CLIENT = 'client_emulated';
const PASSWORD = 'correct-horse-battery-staple-0123456789';

async function emulator(): Promise<Upstream> {
  const users = [{ email: ADA, first_name: 'Ada', email_verified: true, password: 'difference' }];
  const emulated = await createEmulator({ port: 0, seed: { users } });
  const { apiKey, port, url } = emulated;
  return {
    url,
    apiKey,
    options: {
      clientId: CLIENT,
      apiKey,
      cookiePassword: PASSWORD,
      apiHostname: 'localhost',
      apiHttps: false,
      apiPort: port,
    },
    approve: async (address) => (await new Browser().go(address)).location!,
    close: () => emulated.close(),
  };
}

async function ours(): Promise<Upstream> {
  const workos = await createTestWorkOS({
    clientId: CLIENT,
    cookiePassword: PASSWORD,
    accessTokenLifetime: HOUR / 1000,
    users: [{ email: ADA, firstName: 'Ada' }],
  });
  const { url, options, close } = workos;
  return { url, apiKey: options.apiKey, options, close, approve: (address) => workos.authorize(address) };
}

describe.each([
  ['workos/emulate', emulator],
  ['authkit-express/testing', ours],
])('the main job against %s', (_, start) => {
  let at: Upstream;
  beforeAll(async () => {
    at = await start();
  });
  afterAll(() => at.close());

  /** An application that uses this WorkOS. The test moves the application's clock. */
  async function site(framework: Framework) {
    const clock = { ahead: 0 };
    const { origin, close } = await serve(framework, (app, address) => {
      const redirectUri = `${address.replace('127.0.0.1', 'localhost')}/callback`;
      app.use(authkit({ ...at.options, redirectUri, now: () => Date.now() + clock.ahead }));
      app.route('/account', requireAuth(), whoami);
    });
    onTestFinished(close);
    return { clock, origin: origin.replace('127.0.0.1', 'localhost'), browser: new Browser() };
  }

  test.each(FRAMEWORKS)('on %s: sign-in, guard, refresh, sign-out', async (framework) => {
    const { clock, origin, browser } = await site(framework);
    const away = await browser.follow(`${origin}/account`);
    const back = await browser.follow(await at.approve(away.location!));
    expect(back.url).toBe(`${origin}/account`);
    expect(JSON.parse(back.body)).toMatchObject({ email: ADA });

    const old = await browser.cookie(origin, 'wos-session');
    clock.ahead = HOUR - 30_000;
    expect((await browser.go(`${origin}/account`)).status).toBe(200);
    expect(await browser.cookie(origin, 'wos-session')).not.toBe(old);

    const out = await browser.go(`${origin}/logout`, {
      method: 'POST',
      headers: { 'sec-fetch-site': 'same-origin' },
    });
    expect(out.status).toBe(200);
    expect(out.body).toContain(`${at.url}/user_management/sessions/logout?session_id=session_`);
    const again = await browser.go(`${origin}/account`);
    expect(again.location).toBe(`${origin}/login?returnTo=%2Faccount`);
  });

  /** Returns a code for a verifier, without an application. */
  async function codeFor(verifier: string): Promise<string> {
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: CLIENT,
      redirect_uri: 'http://localhost:3000/callback',
      provider: 'authkit',
      state: 'opaque & encoded',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    });
    const url = new URL(await at.approve(`${at.url}/user_management/authorize?${query.toString()}`));
    expect(url.searchParams.get('state')).toBe('opaque & encoded');
    return url.searchParams.get('code')!;
  }

  async function authenticate(fields: Record<string, string>) {
    const response = await fetch(`${at.url}/user_management/authenticate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${at.apiKey}` },
      body: JSON.stringify({ client_id: CLIENT, client_secret: at.apiKey, ...fields }),
    });
    const body = (await response.json()) as Record<string, unknown>;
    return { status: response.status, body, word: body['error'] ?? body['code'] };
  }
  const exchange = (code: string, code_verifier: string) =>
    authenticate({ grant_type: 'authorization_code', code, code_verifier });
  const VERIFIER = 'a-verifier-of-at-least-forty-three-characters-0123';

  test('a code can be exchanged once, with its verifier', async () => {
    const stolen = await exchange(await codeFor(VERIFIER), VERIFIER.replace('a-', 'b-'));
    expect(stolen.status).toBe(400);
    const code = await codeFor(VERIFIER);
    const first = await exchange(code, VERIFIER);
    expect(first).toMatchObject({ status: 200, body: { user: { email: ADA } } });
    expect((await exchange(code, VERIFIER)).status).toBe(400);
  });

  test('a refresh gives another refresh token, and an unknown one is refused', async () => {
    const { body } = await exchange(await codeFor(VERIFIER), VERIFIER);
    const refresh = (token: unknown) =>
      authenticate({ grant_type: 'refresh_token', refresh_token: String(token) });
    const next = await refresh(body['refresh_token']);
    expect(next).toMatchObject({ status: 200, body: { user: { email: ADA } } });
    expect(next.body['refresh_token']).not.toBe(body['refresh_token']);
    expect(await refresh('unknown')).toMatchObject({ status: 400, word: 'invalid_grant' });
  });

  test('a response has the fields that the SDK reads, and its token has the claims and a published key', async () => {
    const { body } = await exchange(await codeFor(VERIFIER), VERIFIER);
    expect(body).toMatchObject({
      access_token: expect.any(String) as string,
      refresh_token: expect.any(String) as string,
      user: { object: 'user', id: expect.stringMatching(/^user_/) as string, email: ADA, first_name: 'Ada' },
    });
    const [header = {}, claims] = String(body['access_token'])
      .split('.', 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>);
    expect(header).toMatchObject({ alg: 'RS256', kid: expect.any(String) as string });
    expect(claims).toMatchObject({
      sub: (body['user'] as { id: string }).id,
      sid: expect.stringMatching(/^session_/) as string,
      exp: expect.any(Number) as number,
      iat: expect.any(Number) as number,
    });
    const jwks = (await (await fetch(`${at.url}/sso/jwks/${CLIENT}`)).json()) as { keys: { kid: string }[] };
    expect(jwks.keys.map(({ kid }) => kid)).toContain(header['kid']);
  });
});
