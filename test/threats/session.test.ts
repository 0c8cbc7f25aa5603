import { createHmac, createPublicKey, generateKeyPairSync, sign, type JsonWebKey } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { requireAuth, signedIn } from 'authkit-express';
import { open, seal } from '../../src/session/seal.js';
import { fingerprint } from '../../src/http/cookies.js';
import { newTransaction, sealTransaction } from '../../src/routes/transaction.js';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { ADA, world } from '../support/world.js';

const LATER = 600_000;
const flip = (text: string, at: number) =>
  text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);

test('T08 a session altered anywhere is nobody, never an error', async () => {
  const { origin, cookie, served } = await world('express5');
  const session = (await cookie()).split('=')[1]!;
  // Each part of the seal, the last characters of its MAC included.
  const places = Array.from({ length: Math.ceil(session.length / 97) }, (_, index) => index * 97);
  for (const at of [...places, session.length - 12, session.length - 30]) {
    const reply = await send(`${origin}/account`, {
      headers: { ...FETCH, cookie: `wos-session=${flip(session, at)}` },
    });
    expect(reply.status).toBe(401);
  }
  expect(served()).toBe(0);
});

test('T09 a transaction is no session, and a session no transaction', async () => {
  const { origin, workos, cookie, served } = await world('express5');
  const { clientId, cookiePassword } = workos.options;
  const { transaction, secret } = newTransaction({ returnTo: '/' }, workos.clock.now());
  const state = await sealTransaction(transaction, {
    clientId,
    redirectUri: `${origin}/callback`,
    cookiePasswords: [cookiePassword],
  });
  const asSession = await send(`${origin}/account`, {
    headers: { ...FETCH, cookie: `wos-session=${state}` },
  });
  expect(asSession.status).toBe(401);
  const session = (await cookie()).split('=')[1]!;
  // Either in the form of both, so that the purpose alone tells.
  const binding = { clientId, redirectUri: `${origin}/callback` };
  const both = {
    ...(open(session, [cookiePassword], workos.clock.now()) as object),
    ...{ ...transaction, ...binding },
  };
  const sealed = (purpose: string) => seal({ ...both, purpose }, cookiePassword);
  const ask = (value: string) =>
    send(`${origin}/account`, { headers: { ...FETCH, cookie: `wos-session=${value}` } });
  expect((await ask(await sealed('transaction'))).status).toBe(401);
  expect(served()).toBe(0);
  for (const value of [session, await sealed('session'), await sealed('client-code')]) {
    const cookies = `wos-auth-verifier-${fingerprint(value)}=${secret}`;
    const headers = { ...NAVIGATION, cookie: cookies };
    const asState = await send(`${origin}/callback?code=x&state=${value}`, { headers });
    expect(asState.status).toBe(400);
  }
  expect(workos.callsTo('code')).toEqual([]);
});

test('T10 cookies are HttpOnly, of this path, SameSite, and Secure under https', async () => {
  const secure = 'https://app.example.com/callback';
  const { origin, cookie, workos } = await world('express5', { authkit: { redirectUri: secure } });
  const { setCookies } = await send(`${origin}/login`, { headers: NAVIGATION });
  expect(setCookies).toHaveLength(1);
  expect(setCookies[0]).toMatch(/; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
  const old = await cookie();
  workos.clock.advance(LATER);
  const renewed = await send(`${origin}/account`, { headers: { ...FETCH, cookie: old } });
  const ended = await send(`${origin}/logout`, { method: 'POST', headers: { cookie: old } });
  for (const { setCookies: lines } of [renewed, ended]) {
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^wos-session=.*; Path=\/;(?: Expires=[^;]+;)? HttpOnly; Secure; SameSite=Lax$/);
  }
});

test('T11 junk before or behind the session is read past, the same way each time', async () => {
  const { origin, cookie } = await world('express5');
  const session = await cookie({ user: ADA });
  const [, value = ''] = session.split('=');
  const pieces = `wos-session.0=${value.slice(0, 900)}; wos-session.1=${value.slice(900)}`;
  for (const header of [
    `wos-session=junk; ${session}`,
    `${session}; wos-session=junk`,
    `wos-session.0=junk; ${session}`,
    `wos-session=junk; ${pieces}`,
    `${pieces}; wos-session=junk`,
    `wos-session.0=junk; ${pieces}`,
    `${pieces}; wos-session.1=junk; wos-session.2=junk`,
  ]) {
    for (let time = 0; time < 2; time += 1) {
      const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: header } });
      expect(reply.status, header.slice(0, 30)).toBe(200);
      expect(reply.setCookies).toEqual([]);
    }
  }
});

test('T13 fifty requests with one expired cookie: one refresh, and nobody signed out', async () => {
  const { origin, cookie, workos } = await world('express5', { workos: { replayWindow: 0 } });
  const headers = { ...FETCH, cookie: await cookie() };
  workos.clock.advance(LATER);
  const replies = await Promise.all(Array.from({ length: 50 }, () => send(`${origin}/account`, { headers })));
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
  expect(workos.callsTo('refresh')).toHaveLength(1);
});

test('T14 20 people, 10 interleaved requests each, all expired: everybody gets their own', async () => {
  const users = Array.from({ length: 20 }, (_, index) => ({ email: `person${index}@example.com` }));
  const { origin, cookie, workos } = await world('express5', { workos: { users } });
  const cookies = await Promise.all(users.map(({ email }) => cookie({ user: email })));
  workos.clock.advance(LATER);
  await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const who = (index * 7) % 20;
      const reply = await send(`${origin}/account`, { headers: { ...FETCH, cookie: cookies[who]! } });
      expect(JSON.parse(reply.body)).toMatchObject({ email: users[who]!.email });
    }),
  );
});

test('T15 what is printed of req.auth and req.user holds no token', async () => {
  const printed: string[] = [];
  let token = '';
  const { origin, cookie } = await world('express5', {
    routes: (app) => {
      app.route('/print', requireAuth(), (req, res) => {
        const auth = signedIn(req);
        const { user } = req as { user?: object };
        for (const value of [auth, user, { ...auth }])
          printed.push(JSON.stringify(value), inspect(value, { depth: 9 }));
        token = auth.accessToken;
        res.end();
      });
    },
  });
  await send(`${origin}/print`, { headers: { ...FETCH, cookie: await cookie() } });
  expect(token.split('.')).toHaveLength(3);
  expect(printed).toHaveLength(6);
  expect(printed.join('')).toContain(ADA);
  for (const text of printed) expect(text).not.toContain(token.slice(-20));
});

test('T17 an answer with our cookie is stored by no cache, whatever its handler says', async () => {
  const { origin, cookie, workos } = await world('express5', {
    routes: (app) => {
      app.route('/static', requireAuth(), (_req, res) => {
        res
          .setHeader('Cache-Control', 'public, max-age=31536000, immutable')
          .setHeader('CDN-Cache-Control', 'max-age=60');
        res.setHeader('Set-Cookie', 'theme=dark').end('body');
      });
    },
  });
  const session = await cookie();
  workos.clock.advance(LATER);
  const reply = await send(`${origin}/static`, { headers: { ...FETCH, cookie: session } });
  expect(reply.headers).toMatchObject({ 'cache-control': 'private, no-store', vary: 'Cookie' });
  expect(reply.headers['cdn-cache-control']).toBeUndefined();
  expect(reply.setCookies).toHaveLength(2);
  const redirect = await send(`${origin}/account`, { headers: NAVIGATION });
  expect(redirect.headers).toMatchObject({ 'cache-control': 'private, no-store', vary: 'Cookie' });
});

test('T18 a forged token in a genuine seal: none, HS256 with the public key, its own key', async () => {
  const { origin, workos, served } = await world('express5');
  const { keys } = (await (await fetch(`${workos.url}/sso/jwks/${workos.options.clientId}`)).json()) as {
    keys: { kid: string }[];
  };
  const [{ kid }] = keys as [{ kid: string }];
  const now = Math.floor(workos.clock.now() / 1000);
  const claims = {
    iss: `${workos.url}/user_management/${workos.options.clientId}`,
    sub: 'user_1',
    sid: 'session_1',
    exp: now + 300,
  };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const attacker = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const own = attacker.publicKey.export({ format: 'jwk' });
  let asked = 0;
  const server = createServer((_req, res) => {
    asked += 1;
    res.end(JSON.stringify({ keys: [{ ...own, kid, alg: 'RS256', use: 'sig' }] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const jku = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const genuine = createPublicKey({ key: keys[0] as JsonWebKey, format: 'jwk' });
  const pem = genuine.export({ format: 'pem', type: 'spki' });
  const byOwnKey = (text: string) => sign('RSA-SHA256', Buffer.from(text), attacker.privateKey);
  const byPublicKey = (text: string) => createHmac('sha256', pem).update(text).digest();
  const forged: [head: object, by: (text: string) => Buffer][] = [
    [{ alg: 'none', kid }, () => Buffer.alloc(0)],
    [{ alg: 'none', kid }, byOwnKey],
    [{ alg: 'HS256', kid }, byPublicKey],
    [{ alg: 'RS256', kid }, byPublicKey],
    [{ alg: 'RS256', kid }, byOwnKey],
    [{ alg: 'RS256', kid, jku }, byOwnKey],
    [{ alg: 'RS256', kid, x5u: jku }, byOwnKey],
    [{ alg: 'RS256', kid, jwk: own }, byOwnKey],
    [{ alg: 'RS256', jwk: own }, byOwnKey],
    [{ alg: 'RS256', kid: '../../x' }, byOwnKey],
  ];
  const ask = async (accessToken: string) => {
    const session = { accessToken, refreshToken: 'unknown', user: { id: 'user_1' } };
    const value = await seal(session, workos.options.cookiePassword);
    return send(`${origin}/account`, { headers: { ...FETCH, cookie: `wos-session=${value}` } });
  };
  for (const [head, by] of forged) {
    const text = `${part(head)}.${part(claims)}`;
    const reply = await ask(`${text}.${by(text).toString('base64url')}`);
    expect(reply.status, JSON.stringify(head)).toBe(401);
  }
  expect({ served: served(), asked }).toEqual({ served: 0, asked: 0 });
  // The same claims, and what WorkOS signs.
  const right = await workos.signToken(claims);
  expect((await ask(right)).status).toBe(200);
  // Another algorithm, and an extension, that the header of a right signature names.
  const [, body = '', signature = ''] = right.split('.');
  for (const head of [
    { alg: 'RS256', kid, crit: ['x'] },
    { alg: 'RS512', kid },
  ])
    expect((await ask(`${part(head)}.${body}.${signature}`)).status).toBe(401);
});

test('T19 a genuine token of another client, issuer, person or kind signs nobody in', async () => {
  const { origin, workos, served } = await world('express5');
  const now = Math.floor(workos.clock.now() / 1000);
  const good = {
    iss: `${workos.url}/user_management/${workos.options.clientId}`,
    sub: 'user_1',
    sid: 'session_1',
    iat: now,
    exp: now + 300,
  };
  const ask = async (claims: object) => {
    const accessToken = await workos.signToken(claims as Record<string, unknown>);
    const value = await seal(
      { accessToken, refreshToken: 'unknown', user: { id: 'user_1', email: 'x@example.com' } },
      workos.options.cookiePassword,
    );
    return (await send(`${origin}/account`, { headers: { ...FETCH, cookie: `wos-session=${value}` } }))
      .status;
  };
  expect(await ask(good)).toBe(200);
  for (const wrong of [
    { client_id: 'client_other' },
    { iss: 'https://evil.example' },
    { iss: undefined },
    { sub: 'user_2' },
    { sub: undefined },
    { sid: undefined },
    { exp: undefined },
    { exp: String(now + 300) },
    { nbf: now + 3600 },
  ])
    expect(await ask({ ...good, ...wrong }), JSON.stringify(wrong)).toBe(401);
  expect(served()).toBe(1);
});

test('T26 a refresh that was under way at sign-out brings nothing back', async () => {
  const { origin, cookie, workos } = await world('express5');
  const session = await cookie();
  workos.clock.advance(LATER);
  workos.fail({ on: 'refresh', delay: 150, times: 1 });
  const late = send(`${origin}/account`, { headers: { ...FETCH, cookie: session } });
  while (workos.callsTo('refresh').length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  expect((await send(`${origin}/logout`, { method: 'POST', headers: { cookie: session } })).status).toBe(303);
  const reply = await late;
  expect(reply.status).toBe(401);
  expect(reply.setCookies.filter((line) => /^wos-session=[^;]/.test(line))).toEqual([]);
  expect((await send(`${origin}/account`, { headers: { ...FETCH, cookie: session } })).status).toBe(401);
});

test('T33 an outage signs nobody out: 503, the cookie kept, and good again afterwards', async () => {
  const { origin, workos, browser, signIn } = await world('express5');
  await signIn();
  workos.clock.advance(LATER);
  for (const fault of [{ status: 500 }, { status: 401, body: '{}' }, { reset: true }]) {
    const down = workos.fail({ on: 'refresh', ...fault });
    expect((await browser.go(`${origin}/account`)).status).toBe(503);
    down.restore();
  }
  expect((await browser.go(`${origin}/account`)).status).toBe(200);
});

test('T39 a WebSocket of another site is nobody, and one of this site is somebody', async () => {
  const { auth, cookie, origin } = await world('express5');
  const session = await cookie();
  const seen: unknown[] = [];
  const server = createServer();
  server.on('upgrade', (req: IncomingMessage, socket) => {
    void auth.authenticate(req).then((who) => {
      seen.push(who.type);
      socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  for (const from of ['https://evil.example', 'null', origin]) {
    await send(`http://127.0.0.1:${port}/`, {
      headers: { cookie: session, origin: from, connection: 'upgrade', upgrade: 'websocket' },
    });
  }
  expect(seen).toEqual([null, null, 'session']);
});

test('T43 a byte that is not a space or a tab belongs to the name of a cookie', async () => {
  const { origin, workos } = await world('express5', {
    authkit: { redirectUri: 'https://app.example.com/callback', cookie: { name: '__Host-session' } },
  });
  const sealed = (user: string) => workos.signIn({ user, cookieName: '__Host-session' });
  const [own, evil] = [await sealed(ADA), await sealed('grace@example.com')];
  const ask = async (cookie: string) =>
    (await send(`${origin}/account`, { headers: { ...FETCH, cookie } })).body;
  for (const planted of [`\u00a0${evil}`, evil.replace('=', '\u00a0=')]) {
    expect(await ask(`${planted}; ${own}`)).toContain(ADA);
    expect(await ask(planted)).not.toContain('grace@');
  }
});

test('T44 planted cookies hide no session and make no long response', async () => {
  const { origin, cookie } = await world('express5');
  const junk = Array.from({ length: 40 }, (_, index) => `wos-session=Fe26.2*1*${index}~2`).join('; ');
  const headers = { ...FETCH, cookie: `${junk}; ${await cookie()}` };
  expect((await send(`${origin}/account`, { headers })).status).toBe(200);
  const planted = Array.from({ length: 600 }, (_, index) => `wos-auth-verifier-${index}=`).join(';');
  const login = await send(`${origin}/login`, { headers: { ...NAVIGATION, cookie: planted } });
  expect([login.status, login.setCookies.length]).toEqual([302, 17]);
});

test('T48 a long maxAge in a link is no fresh authentication', async () => {
  const { origin, workos, browser } = await world('express5', { rule: { maxAge: 60 } });
  const token = await workos.accessToken({ user: ADA });
  const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as object;
  const plain = await workos.signToken({ ...claims, auth_time: undefined, sid: 'session_x' });
  const fault = workos.fail({
    on: 'authenticate',
    alter: (body) => ({ ...(body as object), access_token: plain }),
  });
  for (const [maxAge, status] of [
    [999_999_999, 401],
    [0, 200],
  ]) {
    const login = await browser.go(`${origin}/login?maxAge=${maxAge!}`);
    await browser.go(await workos.authorize(login.location!, { user: ADA }));
    expect((await browser.go(`${origin}/account`, { headers: FETCH })).status).toBe(status);
  }
  fault.restore();
});
