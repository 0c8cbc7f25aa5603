import { expect, test } from 'vitest';
import { FETCH, send } from '../support/browser.js';
import { createTestApp } from '../support/app.js';
import { messagesOn } from '../support/events.js';

test('T44 a request publishes authkit:session once, however many cookies are planted', async () => {
  const seen = messagesOn('authkit:session');
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
