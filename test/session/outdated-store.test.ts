import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { AuthKitEvents } from 'authkit-express';
import { mapStore } from '../support/map-store.js';
import { createTestApp } from '../support/app.js';

/** Longer than a stored session is cached, in milliseconds of real time. */
const CHECKED = 550;

/** Records the `why` of each session that was rejected or is outdated. */
function listen(): string[] {
  const seen: string[] = [];
  const onMessage = (message: unknown) => {
    seen.push((message as AuthKitEvents['authkit:session']).why);
  };
  subscribe('authkit:session', onMessage);
  onTestFinished(() => void unsubscribe('authkit:session', onMessage));
  return seen;
}

/** A user whose session was refreshed, and a store that has lost that write, as in a Redis failover. */
async function failedOver() {
  const map = new Map<string, string>();
  const at = await createTestApp('express5', {
    workos: { replayWindow: 0 },
    authkit: { store: mapStore(map), session: 'store' },
  });
  await at.signIn();
  const before = [...map];
  at.workos.clock.advance(600_000);
  const account = () => at.browser.fetch(`${at.origin}/account`);
  expect((await account()).status).toBe(200);
  const after = new Map(map);
  map.clear();
  for (const [key, value] of before) map.set(key, value);
  await wait(CHECKED);
  return { at, map, account, after };
}

test('19D a store that has lost the newest tokens gets them back from the process that knows them', async () => {
  const { at, map, account, after } = await failedOver();
  const seen = listen();
  expect((await account()).status).toBe(200);
  expect(seen).toEqual(['store_older']);
  const [session] = [...map].filter(([key]) => key.startsWith('session:'));
  expect(session![1]).toBe(after.get(session![0]));

  // WorkOS no longer accepts the old refresh token, so a different process needs the new one.
  at.workos.clock.advance(600_000);
  const other = await at.sibling();
  const cookie = await at.browser.jar.getCookieString(at.origin);
  const reply = await at.browser.fetch(`${other.origin}/account`, { headers: { cookie } });
  expect(reply.status).toBe(200);
  expect(seen).toEqual(['store_older']);
  expect(at.workos.callsTo('refresh').map(({ status }) => status)).toEqual([200, 200]);
});

test('19D requests at the same time restore a session once, and all of them are signed in', async () => {
  const { map, account, after } = await failedOver();
  const replies = await Promise.all([1, 2, 3, 4].map(account));
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  for (const [key, value] of map) if (key.startsWith('session:')) expect(value).toBe(after.get(key));
});

test('19D a process that does not know the newer tokens uses the older session while its token is valid', async () => {
  const map = new Map<string, string>();
  const at = await createTestApp('express5', { authkit: { store: mapStore(map), session: 'store' } });
  await at.signIn();
  const before = [...map];
  at.workos.clock.advance(290_000);
  expect((await at.browser.fetch(`${at.origin}/account`)).status).toBe(200);
  map.clear();
  for (const [key, value] of before) map.set(key, value);
  const other = await at.sibling();
  const seen = listen();
  const cookie = await at.browser.jar.getCookieString(at.origin);
  const reply = await at.browser.fetch(`${other.origin}/account`, { headers: { cookie } });
  expect(reply.status).toBe(200);
  expect(seen).toEqual(['store_older']);
});
