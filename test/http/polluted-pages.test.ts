import { expect, onTestFinished, test } from 'vitest';
import { requireAuth } from 'authkit-express';
import { FETCH, NAVIGATION, send } from '../support/browser.js';
import { createTestApp, whoami } from '../support/app.js';

/** Adds one property to `Object.prototype`, as a vulnerable dependency does, while something runs. */
async function polluted<T>(name: string, value: unknown, run: () => Promise<T>): Promise<T> {
  const prototype = Object.prototype as unknown as Record<string, unknown>;
  const clean = () => Reflect.deleteProperty(prototype, name);
  onTestFinished(() => void clean());
  Object.defineProperty(prototype, name, { value, configurable: true, enumerable: true, writable: true });
  try {
    return await run();
  } finally {
    clean();
  }
}

const EVIL = 'https://evil.example/';

test.each([
  ['color', `#fff}</style><meta http-equiv="refresh" content="0;url=${EVIL}">`],
  ['refresh', EVIL],
  ['button', { action: EVIL, label: 'signIn' }],
  ['link', { href: EVIL, label: 'signIn' }],
  ['loginUrl', EVIL],
  ['image', EVIL],
  ['logo', EVIL],
  ['title', EVIL],
  ['text', EVIL],
  ['publicMessage', EVIL],
  ['lang', EVIL],
  ['buttons', { signOut: EVIL, signIn: EVIL }],
  ['signOut', { title: EVIL, text: EVIL }],
  ['invalid_state', { title: EVIL, text: EVIL }],
  ['render', () => EVIL],
])('T47 a polluted Object.prototype adds nothing to a page: %s', async (name, value) => {
  const { origin } = await createTestApp('connect');
  const pages = () =>
    Promise.all(
      ['/logout', '/callback?state=x&code=y', '/callback'].map(async (path) => {
        const { status, body } = await send(origin + path, { headers: NAVIGATION });
        return { status, body };
      }),
    );
  const clean = await pages();
  const found = await polluted(name, value, pages);
  expect(found).toEqual(clean);
});

test('T47 a polluted Object.prototype replaces no session cookie', async () => {
  const { origin, cookie } = await createTestApp('express5', {
    routes: (app) => {
      app.route('/guarded', requireAuth(), whoami);
    },
  });
  const attackers = (await cookie({ user: 'grace@example.com' })).replace(/^[^=]*=/, '');
  const headers = { ...FETCH, cookie: await cookie() };
  const reply = await polluted('sealed', attackers, () => send(`${origin}/guarded`, { headers }));
  expect(reply.status).toBe(200);
  expect(reply.setCookies).toEqual([]);
});
