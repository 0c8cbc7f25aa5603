import { expect, test } from 'vitest';
import { signedIn } from 'authkit-express';
import { send } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';
import { FRAMEWORKS, type Handler } from '../support/frameworks.js';

test.each(FRAMEWORKS)(
  'T17 however an unguarded page reads the user, caches keep it apart from those of other users, on %s',
  async (framework) => {
    const { origin, cookie } = await createTestApp(framework, {
      authkit: { loadUser: ({ user }) => ({ email: user.email }) },
      routes: (app, auth) => {
        const page = (path: string, read: (...args: Parameters<Handler>) => unknown) => {
          app.route(path, async (req, res) => {
            const text = JSON.stringify(await read(req, res, () => undefined));
            res.setHeader('Cache-Control', 'public, max-age=60');
            res.end(text);
          });
        };
        page('/signed-in', (req) => signedIn(req).user.email);
        page(
          '/locals',
          (_req, res) => (res as { locals?: { user?: { email: string } } }).locals?.user?.email,
        );
        page('/recent', (req) => auth.isRecent(req, 3600));
        page('/sessions', async (req) => (await auth.listSessions(req)).length);
        page('/authenticate', async (req) => (await auth.authenticate(req)).user?.email);
        page('/nothing', () => 'hello');
      },
    });
    const headers = { cookie: await cookie({ user: ADA }) };
    for (const path of ['/signed-in', '/locals', '/recent', '/sessions', '/authenticate']) {
      const { body, headers: fields } = await send(origin + path, { headers });
      expect([path, fields.vary]).toEqual([path, 'Cookie']);
      expect([path, body]).toEqual([path, expect.stringMatching(/^(?:"ada@example\.com"|true|1)$/)]);
    }
    const { headers: fields } = await send(`${origin}/nothing`, { headers });
    expect(fields.vary).toBeUndefined();
  },
);
