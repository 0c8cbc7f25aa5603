import express from 'express';
import { expect, test } from 'vitest';
import { ADA, createTestApp, type Options } from '../support/app.js';
import { send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';

/**
 * Simulates a server that renders a page with a browser's cookies and makes two requests to the application, an hour
 * apart. The first one refreshes the session. Returns the status of the second response, long after WorkOS's replay
 * window.
 */
async function renderTwice(options: Options, { passesCookiesOn }: { passesCookiesOn: boolean }) {
  const { origin, workos, signIn, browser } = await createTestApp('express5', { authkit: options });
  await signIn();
  const rendered = express();
  rendered.get('/dashboard', async (req, res) => {
    const api = await send(`${origin}/account`, {
      headers: { cookie: req.headers.cookie ?? '', accept: '*/*' },
    });
    if (passesCookiesOn) for (const line of api.setCookies) res.append('Set-Cookie', line);
    res.status(api.status).send(api.body);
  });
  const server = rendered.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const open = async () => {
    workos.clock.advance(3_600_000);
    return browser.go(`http://127.0.0.1:${port}/dashboard`);
  };
  try {
    expect((await open()).body).toContain(ADA);
    return (await open()).status;
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

test('a server that renders pages and passes Set-Cookie on keeps its users signed in', async () => {
  expect(await renderTwice({}, { passesCookiesOn: true })).toBe(200);
});

test('with sessions in the store, it does not have to pass Set-Cookie on', async () => {
  const options: Options = { store: mapStore(), session: 'store' };
  expect(await renderTwice(options, { passesCookiesOn: false })).toBe(200);
});

test('without either, the refresh token of the browser is spent, and the user is signed out', async () => {
  expect(await renderTwice({}, { passesCookiesOn: false })).toBe(401);
});
