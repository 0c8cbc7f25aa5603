import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { protectedResource, requireAuth } from 'authkit-express';
import { createFrozenTestApp, whoami } from '../support/app.js';
import { FETCH, send } from '../support/browser.js';
import { account } from '../support/outage.js';

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token that only looks like an access token. Nothing but its key ID differs from the other tokens. */
const madeUp = (iss: string, nth: number) =>
  [part({ alg: 'RS256', kid: `kid_${nth}` }), part({ iss, sub: 'user_1', exp: 4e9 }), 'AAAA'].join('.');

/** An OAuth server whose keys cannot be fetched. */
async function brokenServer(respond: (res: ServerResponse) => void) {
  let fetches = 0;
  const server = createServer((_req, res) => {
    fetches += 1;
    respond(res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, fetches: () => fetches };
}

const answer =
  (status: number, body: string, headers: Record<string, string> = {}) =>
  (res: ServerResponse) => {
    res.writeHead(status, headers).end(body);
  };

test.each([
  ['answers 500', answer(500, '{}')],
  ['answers 404', answer(404, '{}')],
  ['answers 429', answer(429, '{}', { 'Retry-After': '30' })],
  ['publishes no keys', answer(200, '{"keys":[]}')],
  ['closes the connection', (res: ServerResponse) => res.destroy()],
])(
  'T68 made-up tokens for a resource whose OAuth server %s cause few calls, and users can sign in and refresh',
  async (_, respond) => {
    const server = await brokenServer(respond);
    const at = await createFrozenTestApp('express5', {
      routes: (app, _auth, { origin }) => {
        const mcp = protectedResource({ resource: `${origin}/mcp`, authorizationServers: [server.url] });
        app.use(mcp);
        app.route('/mcp', mcp.requireAuth(), whoami);
      },
    });
    for (let nth = 0; nth < 60; nth += 1) {
      const authorization = `Bearer ${madeUp(server.url, nth)}`;
      expect((await send(`${at.origin}/mcp`, { headers: { ...FETCH, authorization } })).status).toBe(503);
    }
    expect(server.fetches()).toBeLessThanOrEqual(10);
    expect((await account(at, await at.cookie({ expiresIn: -1 }))).status).toBe(200);
    expect((await at.signIn()).status).toBe(200);
  },
);

test('T68 made-up tokens at a process that has no keys yet cause few calls, and users can sign in', async () => {
  const at = await createFrozenTestApp('express5', {
    routes: (app) => {
      app.route('/bearer', requireAuth({ accepts: ['bearer'] }), whoami);
    },
  });
  for (const fault of [{ status: 500 }, { status: 404 }, { status: 200, body: { keys: [] } }]) {
    const { workos } = at;
    const [other, before] = [await at.sibling(), workos.callsTo('jwks').length];
    const down = workos.fail({ on: 'jwks', ...fault });
    for (let nth = 0; nth < 60; nth += 1) {
      const authorization = `Bearer ${madeUp('https://api.workos.com', nth)}`;
      const reply = await send(`${other.origin}/bearer`, { headers: { ...FETCH, authorization } });
      expect(reply.status).toBe(503);
    }
    // The first call is the one that the process makes at start-up.
    expect(workos.callsTo('jwks').length - before).toBeLessThanOrEqual(11);
    const login = await at.browser.go(`${other.origin}/login?returnTo=/open`);
    const callback = await at.browser.go(await workos.authorize(login.location!));
    expect(callback.status).toBe(302);
    expect(callback.setCookies.some((line) => /^wos-session=[^;]/.test(line))).toBe(true);
    down.restore();
  }
});
