import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { corpus, type Row } from '../support/corpora.js';
import { send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';

const LATER = 600_000;

test('W01 an upgrade: valid is somebody, expired, malformed and foreign are nobody, and nothing is refreshed', async () => {
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
  const knock = async (session: string, from = origin) => {
    const headers = { connection: 'upgrade', upgrade: 'websocket', origin: from, cookie: session };
    return (await send(address, { headers })).status;
  };
  const session = await cookie();
  expect(await knock(session)).toBe(200);
  expect(await knock(session, 'https://evil.example')).toBe(401);
  for (const row of corpus<Row & { value: string }>('seal-bitflips').slice(0, 20))
    expect(await knock(`wos-session=${row.value}`)).toBe(401);
  workos.clock.advance(LATER);
  expect(await knock(session)).toBe(401);
  expect(workos.callsTo('refresh')).toEqual([]);
});

test('T39 a WebSocket of another site is nobody, and one of this site is somebody', async () => {
  const { auth, cookie, origin } = await createTestApp('express5');
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
