import { createServer, ServerResponse, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import express from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { requireAuth, type AuthKit } from 'authkit-express';
import { ADA, createTestApp, json, type TestApp } from '../support/app.js';
import { liveThroughSession } from '../support/session-lifecycle.js';
import { firstMessage, greetSockets } from '../support/web-sockets.js';

const LATER = 600_000;

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const cookieOf = ({ browser }: TestApp, url: string) => browser.jar.getCookieString(url);

type Upgrade = (req: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** The ways in which an application decides whether to pass on an upgrade. */
const DECISIONS: Record<string, (auth: AuthKit, pass: Upgrade) => Upgrade> = {
  'authenticate()': (auth, pass) => (req, socket, head) => {
    void auth.authenticate(req).then(({ user }) => {
      if (user === null) socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
      else pass(req, socket, head);
    });
  },
  'a guard': (auth, pass) => (req, socket, head) => {
    const res = new ServerResponse(req);
    res.assignSocket(req.socket);
    res.on('finish', () => socket.end());
    auth.session(req, res, () => {
      requireAuth()(req, res, () => {
        res.detachSocket(req.socket);
        pass(req, socket, head);
      });
    });
  },
};

/** Starts a server behind the application. It has no authentication of its own. */
async function startTarget(): Promise<string> {
  const server = createServer((req, res) => {
    res.setHeader('Set-Cookie', ['target=1; Path=/', 'other=2; Path=/']);
    res.setHeader('Cache-Control', 'public, max-age=600');
    json(res, { path: req.url });
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.send('hello from the target');
  });
  return listen(server);
}

/** An application that passes the requests of signed-in users to a server behind it. */
async function proxied() {
  const toTarget = createProxyMiddleware({ target: await startTarget(), changeOrigin: true });
  const at = await createTestApp('express5', {
    routes: (app) => {
      app.use('/api', requireAuth());
      app.use('/api', (req, res, next) => void toTarget(req, res, next));
    },
  });
  return { ...at, toTarget };
}

describe.each(Object.keys(DECISIONS))(
  'http-proxy-middleware behind the application, upgrades by %s',
  (how) => {
    test('requests and WebSockets reach the target for a signed-in user only', async () => {
      const { toTarget, ...at } = await proxied();
      const pass: Upgrade = (req, socket, head) => {
        toTarget.upgrade(req, socket as never, head);
      };
      at.site.server.on('upgrade', DECISIONS[how]!(at.auth, pass));
      const socket = async (origin = at.origin) =>
        firstMessage(`${at.origin}/live`, { cookie: await cookieOf(at, at.origin), origin });
      await liveThroughSession(at, at.origin, '/api/data', async (state) => {
        expect(await socket()).toBe(state === 'signed in' ? 'hello from the target' : 401);
        expect(await socket('https://evil.example')).toBe(401);
      });
    });
  },
);

test('a response of http-proxy-middleware carries its own cookies and the refreshed session, and no cache stores it', async () => {
  const at = await proxied();
  await at.signIn();
  at.workos.clock.advance(LATER);
  const reply = await at.browser.go(`${at.origin}/api/data`);
  expect(reply.status).toBe(200);
  expect(reply.setCookies.map((line) => line.split('=', 1)[0])).toEqual(['target', 'other', 'wos-session']);
  expect(reply.headers['cache-control']).toBe('private, no-store');
  expect(at.workos.callsTo('refresh')).toHaveLength(1);
});

test('http-proxy-middleware in front of the application: sign-in, refresh and sign-out, for requests and WebSockets', async () => {
  const front = express();
  const server = createServer(front);
  const origin = await listen(server);
  const at = await createTestApp('express5', { authkit: { redirectUri: `${origin}/callback` } });
  greetSockets(at);
  // The application sees a different Host from the browser's.
  const proxy = createProxyMiddleware({ target: at.origin, changeOrigin: true, ws: true });
  front.use(proxy);
  server.on('upgrade', (req, socket, head) => {
    proxy.upgrade(req, socket as never, head);
  });
  const socket = async (from = origin) =>
    firstMessage(`${origin}/live`, { cookie: await cookieOf(at, origin), origin: from });
  await liveThroughSession(at, origin, '/account', async (state) => {
    expect(await socket()).toBe(state === 'signed in' ? ADA : 401);
    expect(await socket('https://evil.example')).toBe(401);
  });
});
