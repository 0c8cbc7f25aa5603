import { expect, test } from 'vitest';
import { NAVIGATION, send, FETCH, type Reply } from '../support/browser.js';
import { createTestApp } from '../support/app.js';
import { requireAuth } from 'authkit-express';
import type { Handler } from '../support/frameworks.js';

const LATER = 600_000;

/** The answer of a handler to a request whose session has just been refreshed. */
async function refreshed(
  handler: Handler,
  ask: { method?: string; headers?: Record<string, string> } = {},
): Promise<Reply> {
  const at = await createTestApp('express5', {
    routes: (app) => {
      app.route('/x', requireAuth(), handler);
    },
  });
  const cookie = await at.cookie();
  at.workos.clock.advance(LATER);
  return send(`${at.origin}/x`, { ...ask, headers: { ...FETCH, ...ask.headers, cookie } });
}

test('X04 no cache keeps the redirect of a guard', async () => {
  const { origin } = await createTestApp('express5');
  const { headers } = await send(`${origin}/account`, { headers: NAVIGATION });
  expect(headers).toMatchObject({ 'cache-control': 'private, no-store', vary: 'Cookie' });
});

test('H03 whatever the handler says of caching, an answer with our cookie is stored by nobody', async () => {
  const reply = await refreshed((_req, res) => {
    res.setHeader('Cache-Control', 'public, max-age=600').setHeader('Vary', 'Accept').end();
  });
  expect(reply.headers).toMatchObject({ 'cache-control': 'private, no-store', vary: 'Accept, Cookie' });
});

test('T17 an answer with our cookie is stored by no cache, whatever its handler says', async () => {
  const { origin, cookie, workos } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/static', requireAuth(), (_req, res) => {
        res
          .setHeader('Cache-Control', 'public, max-age=31536000, immutable')
          .setHeader('CDN-Cache-Control', 'max-age=60');
        res.setHeader('Set-Cookie', 'theme=dark').end('body');
      });
    },
  });
  const session = await cookie();
  workos.clock.advance(LATER);
  const reply = await send(`${origin}/static`, { headers: { ...FETCH, cookie: session } });
  expect(reply.headers).toMatchObject({ 'cache-control': 'private, no-store', vary: 'Cookie' });
  expect(reply.headers['cdn-cache-control']).toBeUndefined();
  expect(reply.setCookies).toHaveLength(2);
  const redirect = await send(`${origin}/account`, { headers: NAVIGATION });
  expect(redirect.headers).toMatchObject({ 'cache-control': 'private, no-store', vary: 'Cookie' });
});
