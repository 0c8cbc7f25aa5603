import { expect, test } from 'vitest';
import { protectedResource, requireAuth } from 'authkit-express';
import { FETCH, send } from '../support/browser.js';
import { createTestApp, whoami } from '../support/app.js';

/** A list that seems empty to code that iterates over it. */
class Lazy extends Array<string> {
  override *[Symbol.iterator](): ArrayIterator<string> {}
}

/** A list with an item that is different each time it is read. */
function unsteady(first: string, later: string): string[] {
  let reads = 0;
  return Object.defineProperty([], 0, {
    enumerable: true,
    get: () => (reads++ === 0 ? first : later),
  });
}

test('T45 a list with an iterator of its own demands what its items say', async () => {
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/all', requireAuth({ permission: Lazy.of('billing:write') }), whoami);
      app.route('/any', requireAuth({ role: { any: Lazy.of('owner') } }), whoami);
      app.route('/unsteady', requireAuth({ permission: unsteady('billing:write', 'billing:read') }), whoami);
    },
  });
  const member = { ...FETCH, cookie: await cookie({ role: 'member', permissions: ['billing:read'] }) };
  const owner = { ...FETCH, cookie: await cookie({ role: 'owner', permissions: ['billing:write'] }) };
  for (const path of ['/all', '/any', '/unsteady']) {
    expect((await send(origin + path, { headers: member })).status).toBe(403);
    expect((await send(origin + path, { headers: owner })).status).toBe(200);
  }
});

test('T45 a list that is a Proxy, whose items cannot be relied on, throws where the route is defined', () => {
  const list = new Proxy(['owner'], {});
  const mcp = protectedResource({
    resource: 'https://api.example.com/mcp',
    authorizationServers: ['https://example.authkit.app'],
  });
  for (const rule of [
    { role: list },
    { permission: { any: list } },
    { accepts: new Proxy(['session' as const], {}) },
    { sameOrigin: new Proxy(['https://app.example.com'], {}) },
  ])
    expect(() => requireAuth(rule)).toThrow(TypeError);
  expect(() => mcp.requireAuth({ permission: list })).toThrow(TypeError);
});

test('T45 accepts and sameOrigin are read by their items', async () => {
  expect(() => requireAuth({ accepts: Lazy.of('machine') as never })).toThrow(/accepts/);
  expect(() => requireAuth({ sameOrigin: Lazy.of('not an origin') })).toThrow(/sameOrigin/);
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/session', requireAuth({ accepts: Lazy.of('session') as never }), whoami);
    },
  });
  expect((await send(`${origin}/session`, { headers: { ...FETCH, cookie: await cookie() } })).status).toBe(
    200,
  );
});
