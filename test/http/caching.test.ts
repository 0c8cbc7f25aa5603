import { expect, test } from 'vitest';
import { NAVIGATION, send, FETCH } from '../support/browser.js';
import { createTestApp } from '../support/app.js';
import { requireAuth } from 'authkit-express';

const LATER = 600_000;

test('T17 X04 H03 a response with a session cookie and the redirect of a guard are not cacheable, whatever the handler sets', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/static', requireAuth(), (_req, res) => {
        res
          .setHeader('Cache-Control', 'public, max-age=31536000, immutable')
          .setHeader('CDN-Cache-Control', 'max-age=60')
          .setHeader('Vary', 'Accept');
        res.setHeader('Set-Cookie', 'theme=dark').end('body');
      });
    },
  });
  const session = await cookie();
  workos.clock.advance(LATER);
  const reply = await send(`${origin}/static`, { headers: { ...FETCH, cookie: session } });
  expect(reply.headers).toMatchObject({ 'cache-control': 'private, no-store', vary: 'Accept, Cookie' });
  expect(reply.headers['cdn-cache-control']).toBeUndefined();
  expect(reply.setCookies).toHaveLength(2);
  const redirect = await send(`${origin}/account`, { headers: NAVIGATION });
  expect(redirect.headers).toMatchObject({ 'cache-control': 'private, no-store', vary: 'Cookie' });
});
