import { expect } from 'vitest';
import { ADA, type TestApp } from './app.js';
import { NAVIGATION } from './browser.js';

export type SessionState = 'signed in' | 'expired' | 'signed out';

/**
 * Takes a session through its life: a user signs in, the session expires, a page refreshes it, and the user signs out.
 * `check` runs at each step, and must not refresh the session.
 *
 * @param origin The origin at which the browser reaches the application.
 * @param page A guarded page.
 */
export async function liveThroughSession(
  { workos, browser }: Pick<TestApp, 'workos' | 'browser'>,
  origin: string,
  page: string,
  check: (state: SessionState) => Promise<void>,
): Promise<void> {
  await check('signed out');
  const away = await browser.follow(origin + page);
  const back = await browser.follow(await workos.authorize(away.location!, { user: ADA }));
  expect(back).toMatchObject({ status: 200, url: origin + page });
  await check('signed in');
  workos.clock.advance(600_000);
  await check('expired');
  expect(workos.callsTo('refresh')).toEqual([]);
  expect((await browser.go(origin + page)).status).toBe(200);
  expect(workos.callsTo('refresh')).toHaveLength(1);
  await check('signed in');
  const headers = { ...NAVIGATION, 'sec-fetch-site': 'same-origin', origin };
  expect((await browser.go(`${origin}/logout`, { method: 'POST', headers })).status).toBe(200);
  await check('signed out');
}
