import { expect, test } from 'vitest';
import { protectedResource, requireAuth } from 'authkit-express';
import { FETCH, send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';

test('T45 a Proxy, whose keys say nothing about its rule, throws where the route is defined', () => {
  const mcp = protectedResource({
    resource: 'https://api.example.com/mcp',
    authorizationServers: ['https://example.authkit.app'],
  });
  for (const rule of [
    new Proxy({ role: 'admin' }, { ownKeys: () => [] }),
    new Proxy({}, { get: (_, key) => (key === 'role' ? 'admin' : undefined) }),
    new Proxy({ role: 'admin' }, {}),
  ]) {
    expect(() => requireAuth(rule)).toThrow(TypeError);
    expect(() => mcp.requireAuth(rule)).toThrow(/Proxy/);
  }
});

test('T45 has() refuses a Proxy too', async () => {
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/has', requireAuth(), (req, res) => {
        const { auth } = req as unknown as { auth: { has: (rule: object) => boolean } };
        try {
          res.end(String(auth.has(new Proxy({ role: 'admin' }, { ownKeys: () => [] }))));
        } catch (error) {
          res.end((error as Error).name);
        }
      });
    },
  });
  const headers = { ...FETCH, cookie: await cookie({ role: 'member' }) };
  expect((await send(`${origin}/has`, { headers })).body).toBe('TypeError');
});
