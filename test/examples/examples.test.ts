import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { sessionEncryption } from '@workos/authkit-session';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { Browser, FETCH, send } from '../support/browser.js';
import { ROOT } from '../support/documentation.js';
import { runExample, signInWith } from '../support/example.js';
import { freePort } from '../support/free-port.js';

const ADA = 'ada@example.com';
const GRACE = 'grace@example.com';

const json = (body: string) => JSON.parse(body) as unknown;

/** Signs in on a page and returns the browser. */
async function browserOf(example: ReturnType<typeof runExample>, path = '/', user = ADA) {
  const browser = new Browser();
  const landed = await example.signIn(path, user, browser);
  return { browser, landed };
}

describe('minimal', () => {
  const example = runExample(() => import('../../example/minimal/app.js'));
  test('greets the signed-in user, and signs out', async () => {
    const { browser, landed } = await browserOf(example);
    expect(landed).toMatchObject({ status: 200, body: `Hello ${ADA}` });
    await browser.go(`${example.origin}/logout`, {
      method: 'POST',
      headers: { 'sec-fetch-site': 'same-origin' },
    });
    expect((await browser.fetch(`${example.origin}/`)).status).toBe(401);
  });
});

describe('cookie-parser beside it', () => {
  const example = runExample(() => import('../../example/cookie-parser/app.js'));
  test('the session needs no cookie parser, and does not disturb one', async () => {
    const { browser } = await browserOf(example, '/login');
    const post = { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } };
    expect((await browser.fetch(`${example.origin}/`)).body).toBe('The theme is light.');
    expect(json((await browser.fetch(`${example.origin}/theme`, post)).body)).toEqual({ changedBy: ADA });
    expect((await browser.fetch(`${example.origin}/`)).body).toBe('The theme is dark.');
    expect(await browser.cookieNames(example.origin)).toContain('theme');
    const stranger = await send(`${example.origin}/theme`, { method: 'POST', headers: FETCH });
    expect(stranger.status).toBe(401);
  });
});

describe('passport and express-session beside it', () => {
  const example = runExample(() => import('../../example/passport/app.js'));
  test('the cart survives sign-in, and a partner authenticates with its API key', async () => {
    const { browser } = await browserOf(example, '/checkout');
    await browser.fetch(`${example.origin}/cart/tea`, { method: 'POST' });
    expect(json((await browser.fetch(`${example.origin}/checkout`)).body)).toEqual({
      email: ADA,
      cart: ['tea'],
    });
    const partner = { 'x-partner-key': 'key-of-acme' };
    const orders = await send(`${example.origin}/partner/orders`, { headers: partner });
    expect(json(orders.body)).toEqual({ partner: { id: 'acme' } });
    expect((await send(`${example.origin}/checkout`, { headers: { ...FETCH, ...partner } })).status).toBe(
      401,
    );
    expect((await browser.fetch(`${example.origin}/partner/orders`)).status).toBe(401);
  });
});

describe('spa', () => {
  const example = runExample(() => import('../../example/spa/app.js'));
  test('the page is public, the API returns the sign-in URL, and responds to a signed-in user', async () => {
    const stranger = await send(`${example.origin}/`);
    expect(stranger.body).toContain('<script type="module" src="app.js">');
    const refused = await send(`${example.origin}/api/me`, { headers: FETCH });
    expect(refused.status).toBe(401);
    const { loginUrl } = json(refused.body) as { loginUrl: string };
    const { browser, landed } = await browserOf(example, `${loginUrl}?returnTo=%2F`, GRACE);
    expect(landed.url).toBe(`${example.origin}/`);
    expect(json((await browser.fetch(`${example.origin}/api/me`)).body)).toMatchObject({ email: GRACE });
    expect((await browser.fetch(`${example.origin}/api/invoices`)).status).toBe(403);
    const out = await browser.fetch(`${example.origin}/logout`, { method: 'POST' });
    expect(json(out.body)).toEqual({ logoutUrl: expect.stringContaining('session_id=') as string });
    expect((await browser.fetch(`${example.origin}/api/me`)).status).toBe(401);
  });
});

describe('NestJS', () => {
  const example = runExample(() => import('../../example/nestjs/app.js'));
  test('guards the named routes, and leaves the others public', async () => {
    expect(json((await send(`${example.origin}/`)).body)).toEqual({ signedIn: false });
    expect((await send(`${example.origin}/account`, { headers: FETCH })).status).toBe(401);
    const { browser, landed } = await browserOf(example, '/account', GRACE);
    expect(json(landed.body)).toEqual({ email: GRACE });
    expect((await browser.fetch(`${example.origin}/billing`)).status).toBe(403);
    expect((await browser.fetch(`${example.origin}/nowhere`)).status).toBe(404);
  });
});

describe('tenants', () => {
  const example = runExample(() => import('../../example/tenants/app.js'), {
    env: { TENANTS: 'acme,globex' },
    publicUrlIn: 'APP_URL',
  });
  test('a session of one tenant is not accepted by the other, in the same browser', async () => {
    const { browser, landed } = await browserOf(example, '/acme/');
    expect(json(landed.body)).toEqual({ tenant: 'acme', email: ADA });
    expect((await browser.fetch(`${example.origin}/globex/`)).status).toBe(401);
    const other = await signInWith(browser, example.workos, `${example.origin}/globex/`, GRACE);
    expect(json(other.body)).toEqual({ tenant: 'globex', email: GRACE });
    expect(json((await browser.fetch(`${example.origin}/acme/`)).body)).toMatchObject({ email: ADA });
    expect(await browser.cookieNames(example.origin)).toEqual([
      'session-acme',
      'session-globex',
      'wos-signed-in',
    ]);
  });
});

describe('WebSocket', () => {
  const example = runExample(() => import('../../example/websocket/app.js'));
  const connect = async (headers: Record<string, string>) => {
    const socket = new WebSocket(example.origin.replace('http', 'ws'), { headers });
    onTestFinished(() => {
      socket.terminate();
    });
    const first = await Promise.race([
      once(socket, 'message').then(([data]) => String(data)),
      once(socket, 'unexpected-response').then(([, res]) =>
        String((res as { statusCode: number }).statusCode),
      ),
    ]);
    return { socket, first };
  };
  test('knows the user, and rejects anonymous connections and other sites', async () => {
    const cookie = await example.workos.signIn({ user: ADA });
    const { socket, first } = await connect({ cookie, origin: example.origin });
    expect(first).toBe(`Hello ${ADA}`);
    socket.send('good morning');
    expect(String((await once(socket, 'message'))[0])).toBe(`${ADA}: good morning`);
    expect((await connect({})).first).toBe('401');
    expect((await connect({ cookie, origin: 'https://evil.example' })).first).toBe('401');
  });
});

describe('nextjs', () => {
  const example = runExample(() => import('../../example/nextjs/app.js'));
  // Next.js itself is too large to include. authkit-nextjs uses the session format of @workos/authkit-session.
  test('accepts a session of authkit-nextjs, and refreshes it to one that authkit-nextjs opens', async () => {
    const { cookiePassword: password } = example.workos.options;
    const sealed = (await example.workos.signIn({ user: ADA, expiresIn: -1 })).replace('wos-session=', '');
    const { accessToken, refreshToken, user } = await sessionEncryption.unsealData<Record<string, unknown>>(
      sealed,
      { password },
    );
    const theirs = await sessionEncryption.sealData(
      { accessToken, refreshToken, user },
      { password, ttl: 0 },
    );
    const headers = { ...FETCH, cookie: `wos-session=${theirs}` };
    const reply = await send(`${example.origin}/api/orders`, { headers });
    expect(json(reply.body)).toMatchObject({ email: ADA });
    const renewed = /^wos-session=([^;]+)/.exec(reply.setCookies[0] ?? '')?.[1] ?? '';
    expect(await sessionEncryption.unsealData(renewed, { password })).toMatchObject({ user: { email: ADA } });
    expect((await send(`${example.origin}/api/orders`, { headers: FETCH })).status).toBe(401);
    expect((await send(`${example.origin}/login`)).status).toBe(404);
  });
});

describe('commonjs, by npm run example', () => {
  test('runs without an account, and signs in', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'example/run.ts', 'commonjs'], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], PORT: String(await freePort()) },
    });
    onTestFinished(() => void child.kill());
    let printed = '';
    child.stderr.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    for await (const chunk of child.stdout) {
      printed += String(chunk);
      if (printed.includes('Open http')) break;
    }
    const origin = /http:\/\/localhost:\d+/.exec(printed)?.[0];
    expect(origin, printed).toBeDefined();
    const browser = new Browser();
    const page = await browser.go((await browser.follow(origin!)).location!);
    expect(page.body).toContain('Ada Lovelace');
  });
});
