import { createServer, type IncomingMessage, type Server as HTTPServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import expressWs from 'express-ws';
import { Server } from 'socket.io';
import { io as connect, type Socket } from 'socket.io-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { authkit, requireAuth, type Auth } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { ADA, whoami } from '../support/app.js';
import { Browser, send } from '../support/browser.js';
import { liveThroughSession } from '../support/session-lifecycle.js';

const LATER = 600_000;

async function listen(server: HTTPServer): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An app with socket.io, which authenticates with the session middleware or with `auth.authenticate()`. */
async function createSocketApp(by: 'engine.use' | 'io.use') {
  const workos = await createTestWorkOS();
  onTestFinished(() => workos.close());
  const app = express();
  const server = createServer(app);
  const origin = await listen(server);
  const auth = authkit({ ...workos.options, redirectUri: `${origin}/callback` });
  app.use(auth);
  app.get('/account', requireAuth(), whoami);
  const io = new Server(server);
  onTestFinished(() => void io.close());
  if (by === 'engine.use') io.engine.use(auth.session);
  else
    io.use((socket, next) => {
      auth.authenticate(socket.request).then((result) => {
        Object.assign(socket.data as object, { auth: result });
        next();
      }, next);
    });
  io.on('connection', (socket) => {
    const data = socket.data as { auth?: Auth };
    const { user } = data.auth ?? (socket.request as IncomingMessage & { auth: Auth }).auth;
    socket.emit('you', user?.email ?? null);
  });
  const ask = (transport: 'polling' | 'websocket', headers: Record<string, string>) =>
    new Promise<string | null>((resolve, reject) => {
      const socket: Socket = connect(origin, {
        transports: [transport],
        extraHeaders: headers,
        reconnection: false,
      });
      onTestFinished(() => void socket.close());
      socket.on('you', (email: string | null) => {
        // An open connection would keep polling, which refreshes the session.
        socket.close();
        resolve(email);
      });
      socket.on('connect_error', reject);
    });
  return { workos, origin, ask };
}

describe.each(['engine.use', 'io.use'] as const)('socket.io with %s', (by) => {
  test.each(['polling', 'websocket'] as const)(
    'authenticates a session over %s, and a connection without one is signed out',
    async (transport) => {
      const { workos, ask } = await createSocketApp(by);
      const cookie = await workos.signIn({ user: ADA });
      expect(await ask(transport, { cookie })).toBe(ADA);
      expect(await ask(transport, {})).toBeNull();
    },
  );

  test('an expired session over a WebSocket is signed out, and its refresh token is not used', async () => {
    const { workos, ask } = await createSocketApp(by);
    const cookie = await workos.signIn({ user: ADA });
    workos.clock.advance(LATER);
    expect(await ask('websocket', { cookie })).toBeNull();
    expect(workos.callsTo('refresh')).toEqual([]);
  });

  test('a page of another origin cannot open a WebSocket with the cookie of the user', async () => {
    const { workos, ask } = await createSocketApp(by);
    const cookie = await workos.signIn({ user: ADA });
    expect(await ask('websocket', { cookie, origin: 'https://evil.example' })).toBeNull();
  });
});

describe.each(['engine.use', 'io.use'] as const)('socket.io with %s', (by) => {
  test('a WebSocket has the user while the user is signed in, not before, after, or with an expired session', async () => {
    const { workos, origin, ask } = await createSocketApp(by);
    const browser = new Browser();
    await liveThroughSession({ workos, browser }, origin, '/account', async (state) => {
      const cookie = await browser.jar.getCookieString(origin);
      expect(await ask('websocket', { cookie })).toBe(state === 'signed in' ? ADA : null);
      // A polling client would cause the session to be refreshed.
      if (state === 'signed out') expect(await ask('polling', { cookie })).toBeNull();
    });
  });
});

test('the handshake of socket.io over polling refreshes an expired session and carries the new cookie', async () => {
  const { workos, origin } = await createSocketApp('engine.use');
  const cookie = await workos.signIn({ user: ADA });
  workos.clock.advance(LATER);
  const { status, setCookies } = await send(`${origin}/socket.io/?EIO=4&transport=polling`, {
    headers: { cookie },
  });
  expect(status).toBe(200);
  expect(workos.callsTo('refresh')).toHaveLength(1);
  expect(setCookies.map((line) => line.split('=', 1)[0])).toEqual(['wos-session']);
  const headers = { cookie: setCookies[0]!.split(';', 1)[0]! };
  expect((await send(`${origin}/account`, { headers })).body).toContain(ADA);
});

describe('express-ws', () => {
  /** An app with a WebSocket route that sends the user's email address. */
  async function createWsApp() {
    const workos = await createTestWorkOS();
    onTestFinished(() => workos.close());
    const server = createServer();
    const { app } = expressWs(express(), server);
    server.on('request', app);
    const origin = await listen(server);
    app.use(authkit({ ...workos.options, redirectUri: `${origin}/callback` }));
    app.get('/account', requireAuth(), whoami);
    app.ws('/socket', (socket, req) => {
      socket.send(JSON.stringify({ email: req.auth.user?.email ?? null }));
    });
    const ask = (headers: Record<string, string>) =>
      new Promise<unknown>((resolve, reject) => {
        const socket = new WebSocket(`${origin.replace('http', 'ws')}/socket`, { headers });
        onTestFinished(() => {
          socket.close();
        });
        socket.on('message', (data: Buffer) => {
          resolve((JSON.parse(data.toString()) as { email: unknown }).email);
        });
        socket.on('error', reject);
      });
    return { workos, origin, app, ask };
  }

  test('authenticates a session, refuses a foreign origin, and uses no refresh token', async () => {
    const { workos, ask } = await createWsApp();
    const cookie = await workos.signIn({ user: ADA });
    expect(await ask({ cookie })).toBe(ADA);
    expect(await ask({ cookie, origin: 'https://evil.example' })).toBeNull();
    workos.clock.advance(LATER);
    expect(await ask({ cookie })).toBeNull();
    expect(workos.callsTo('refresh')).toEqual([]);
  });

  test('a guard as an argument of app.ws() closes the socket, with a warning that says what to write', async () => {
    const warnings: string[] = [];
    const heard = ({ message }: Error) => void warnings.push(message);
    process.on('warning', heard);
    onTestFinished(() => void process.off('warning', heard));
    const { workos, origin, app } = await createWsApp();
    let opened = 0;
    app.ws('/guarded', requireAuth() as never, () => {
      opened += 1;
    });
    const headers = { cookie: await workos.signIn({ user: ADA }) };
    const socket = new WebSocket(`${origin.replace('http', 'ws')}/guarded`, { headers });
    const code = await new Promise((resolve) => socket.on('close', resolve));
    expect({ code, opened }).toEqual({ code: 1011, opened: 0 });
    expect(warnings).toContainEqual(expect.stringContaining('call auth.authenticate(req)'));
  });

  test('a socket has the user while the user is signed in, not before, after, or with an expired session', async () => {
    const { workos, origin, ask } = await createWsApp();
    const browser = new Browser();
    await liveThroughSession({ workos, browser }, origin, '/account', async (state) => {
      const cookie = await browser.jar.getCookieString(origin);
      expect(await ask({ cookie })).toBe(state === 'signed in' ? ADA : null);
    });
  });

  test('requireAuth() as a WebSocket middleware is an error that says what to do', () => {
    const guard = requireAuth() as unknown as (...args: unknown[]) => void;
    const errors: unknown[] = [];
    guard(
      { send: () => undefined, close: () => undefined },
      { method: 'GET', url: '/', headers: {}, httpVersion: '1.1', rawHeaders: [] },
      (error: unknown) => errors.push(error),
    );
    expect(String(errors[0])).toContain('WebSocket');
  });
});
