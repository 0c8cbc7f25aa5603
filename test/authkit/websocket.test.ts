import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { requireAuth } from 'authkit-express';
import { corpus, type Row } from '../support/corpora.js';
import { send } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';
import { liveThroughSession } from '../support/session-lifecycle.js';
import { firstMessage, greetSockets } from '../support/web-sockets.js';

const LATER = 600_000;

test('T39 W01 a WebSocket is authenticated by a valid session from this origin only, and never refreshes it', async () => {
  const { auth, cookie, origin, workos } = await createTestApp('express5');
  const server = createServer();
  server.on('upgrade', (req: IncomingMessage, socket) => {
    void auth.authenticate(req).then((who) => {
      socket.end(
        `HTTP/1.1 ${who.type === null ? '401 Unauthorized' : '200 OK'}\r\nConnection: close\r\n\r\n`,
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const connect = async (session: string, from = origin) => {
    const headers = { connection: 'upgrade', upgrade: 'websocket', origin: from, cookie: session };
    return (await send(address, { headers })).status;
  };
  const session = await cookie();
  expect(await connect(session)).toBe(200);
  for (const from of ['https://evil.example', 'null']) expect(await connect(session, from)).toBe(401);
  for (const row of corpus<Row & { value: string }>('seal-bitflips').slice(0, 20))
    expect(await connect(`wos-session=${row.value}`)).toBe(401);
  workos.clock.advance(LATER);
  expect(await connect(session)).toBe(401);
  expect(workos.callsTo('refresh')).toEqual([]);
});

test('T39 a WebSocket over HTTP/2 from another origin does not pass a guard with the cookie', async () => {
  const { auth, cookie, origin, workos } = await createTestApp('express5');
  const server = createHttp2Server({ settings: { enableConnectProtocol: true } });
  const guard = requireAuth();
  const respond = (req: IncomingMessage, res: ServerResponse) => {
    auth(req, res, () => {
      guard(req, res, () => res.end('guarded'));
    });
  };
  // Node only creates request objects, which the event `connect` needs too, if there is a listener for `request`.
  server.on('request', respond as never);
  server.on('connect', respond);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = connectHttp2(`http://127.0.0.1:${port}`);
  onTestFinished(() => {
    client.destroy();
    server.close();
  });
  await new Promise((resolve) => client.once('remoteSettings', resolve));
  const connect = (session: string, from: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const pseudo = {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'http',
        ':path': '/socket',
      };
      const stream = client.request({ ...pseudo, ':authority': 'x', origin: from, cookie: session });
      stream.on('error', reject);
      stream.on('response', (headers) => {
        resolve(headers[':status']);
        stream.destroy();
      });
    });
  const session = await cookie();
  expect(await connect(session, origin)).toBe(200);
  for (const from of ['https://evil.example', 'null']) expect(await connect(session, from)).toBe(401);
  workos.clock.advance(LATER);
  expect(await connect(session, origin)).toBe(401);
  expect(workos.callsTo('refresh')).toEqual([]);
});

test('ws: a socket opens while the user is signed in, not before, after, or with an expired session', async () => {
  const at = await createTestApp('express5');
  greetSockets(at);
  await liveThroughSession(at, at.origin, '/account', async (state) => {
    const cookie = await at.browser.jar.getCookieString(at.origin);
    expect(await firstMessage(at.origin, { cookie })).toBe(state === 'signed in' ? ADA : 401);
    expect(await firstMessage(at.origin, { cookie, origin: 'https://evil.example' })).toBe(401);
  });
});
