import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, onTestFinished, test } from 'vitest';
import type { AuthKitEvents } from 'authkit-express';
import { FETCH, send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';

test('T44 a request publishes authkit:session once, however many cookies are planted', async () => {
  const seen: AuthKitEvents['authkit:session'][] = [];
  const onMessage = (message: unknown) => void seen.push(message as AuthKitEvents['authkit:session']);
  subscribe('authkit:session', onMessage);
  onTestFinished(() => void unsubscribe('authkit:session', onMessage));
  const { origin, cookie } = await createTestApp('express5');
  const planted = Array.from({ length: 300 }, (_, i) => `wos-session.${i % 3}=${i}; wos-session=${i}`).join(
    '; ',
  );
  await send(`${origin}/open`, { headers: { ...FETCH, cookie: planted } });
  expect(seen.map(({ why }) => why)).toEqual(['format']);
  await send(`${origin}/open`, {
    headers: { ...FETCH, cookie: `${planted.slice(0, 8000)}; ${await cookie()}` },
  });
  expect(seen).toHaveLength(1);
});
