import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { FETCH, send } from '../support/browser.js';
import { ROOT } from '../support/documentation.js';
import { runExample } from '../support/example.js';

const example = runExample(() => import('../../example/streams/app.js'), { env: { CHECK_EVERY: '50' } });

async function openEvents(cookie: string) {
  const req = get(`${example.origin}/events`, { headers: { ...FETCH, cookie } });
  onTestFinished(() => void req.destroy());
  const [res] = (await once(req, 'response')) as [IncomingMessage];
  const [first] = (await once(res, 'data')) as [Buffer];
  const stream = { first: first.toString(), isOpen: true };
  res.on('end', () => (stream.isOpen = false)).resume();
  return stream;
}

async function openSocket(cookie: string) {
  const ws = new WebSocket(example.origin.replace('http', 'ws'), {
    headers: { cookie, origin: example.origin },
  });
  onTestFinished(() => {
    ws.terminate();
  });
  const [first] = (await once(ws, 'message')) as [Buffer];
  const stream = { first: first.toString(), isOpen: true, code: 0 };
  ws.on('close', (code) => Object.assign(stream, { isOpen: false, code }));
  return stream;
}

const signOut = (cookie: string) =>
  send(`${example.origin}/logout`, { method: 'POST', headers: { ...FETCH, cookie } });

test('an event stream and a WebSocket end after a sign-out, and those of other users stay open', async () => {
  const [ada, grace] = await Promise.all(
    ['ada@example.com', 'grace@example.com'].map((user) => example.workos.signIn({ user })),
  );
  const [events, socket] = [await openEvents(ada!), await openSocket(ada!)];
  const [others, otherSocket] = [await openEvents(grace!), await openSocket(grace!)];
  expect(events.first).toBe('data: Hello ada@example.com\n\n');
  expect(socket.first).toBe('Hello ada@example.com');
  expect([events.isOpen, socket.isOpen]).toEqual([true, true]);
  expect((await signOut(ada!)).status).toBe(200);
  await expect.poll(() => [events.isOpen, socket.isOpen]).toEqual([false, false]);
  expect(socket.code).toBe(3000);
  expect([others.isOpen, otherSocket.isOpen]).toEqual([true, true]);
});

test('they end when the access token expires, and a new stream refreshes the session', async () => {
  const cookie = await example.workos.signIn({ user: 'ada@example.com', expiresIn: 2 });
  const [events, socket] = [await openEvents(cookie), await openSocket(cookie)];
  await expect.poll(() => [events.isOpen, socket.isOpen], { timeout: 10_000 }).toEqual([false, false]);
  const again = await openEvents(cookie);
  expect(again.first).toBe('data: Hello ada@example.com\n\n');
  expect(example.workos.callsTo('refresh').length).toBeGreaterThan(0);
});

test('the documentation shows the code of the example', () => {
  const page = readFileSync(join(ROOT, 'docs/websocket.md'), 'utf8');
  const source = readFileSync(join(ROOT, 'example/streams/app.ts'), 'utf8');
  for (const part of [/^function watchSession.*?^}$/ms, /^app\.get\('\/events'.*?^}\);$/ms]) {
    const [shown] = part.exec(page) ?? [];
    expect(shown).toBeDefined();
    expect(source).toContain(shown);
  }
});
