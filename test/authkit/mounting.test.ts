import { Agent } from 'node:http';
import helmet from 'helmet';
import cookieParser from 'cookie-parser';
import { expect, test } from 'vitest';
import { Browser, FETCH, send } from '../support/browser.js';
import { ADA, createTestApp } from '../support/app.js';

test('P04 two hundred sign-ins and a thousand guarded requests leave no process listener behind', async () => {
  const { origin, browser, cookie, signIn } = await createTestApp('express5');
  const before = process.listenerCount('warning');
  await Promise.all(Array.from({ length: 200 }, () => signIn(ADA, '/account', new Browser())));
  const headers = { ...FETCH, cookie: await cookie() };
  const agent = new Agent({ keepAlive: true });
  for (let round = 0; round < 20; round += 1)
    await Promise.all(Array.from({ length: 50 }, () => send(`${origin}/account`, { headers, agent })));
  agent.destroy();
  expect(process.listenerCount('warning')).toBe(before);
  expect(await browser.cookieNames(origin)).toEqual([]);
}, 60_000);

test.each(['/callback', '/auth/callback', '/a/b/callback'])(
  'N01 sign-in works if the callback is at %s',
  async (callback) => {
    const prefix = callback.slice(0, -'/callback'.length);
    const { origin, signIn } = await createTestApp('express5', {
      callback,
      mount: (app, auth) => {
        if (prefix !== '') app.use(prefix, auth);
        app.use(prefix === '' ? auth : auth.session);
      },
    });
    const landed = await signIn(ADA, '/account?x=1');
    expect({ url: landed.url, status: landed.status }).toEqual({ url: `${origin}/account?x=1`, status: 200 });
  },
);

test.each(['simple', 'extended', false] as const)(
  'N03 the callback works with query parser %s and rejects a repeated parameter',
  async (parser) => {
    const { origin, signIn, browser, workos } = await createTestApp('express4', {
      mount: (app, auth) => {
        app.set?.('query parser', parser);
        app.use(auth);
      },
    });
    expect((await signIn()).status).toBe(200);
    const { location } = await browser.go(`${origin}/login`);
    const callback = await workos.authorize(location!, { user: ADA });
    expect((await browser.go(`${callback}&code=another`)).status).toBe(400);
  },
);

test('N04 sign-in works with helmet and cookie-parser before or after authkit()', async () => {
  for (const isBefore of [true, false]) {
    const { signIn } = await createTestApp('express5', {
      mount: (app, auth) => {
        if (!isBefore) app.use(auth);
        app.use(helmet());
        app.use(cookieParser('secret') as never);
        if (isBefore) app.use(auth);
      },
    });
    expect((await signIn()).status).toBe(200);
  }
});
