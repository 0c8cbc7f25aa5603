import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'vitest';
import {
  expectAllSignedIn,
  refreshesPerToken,
  signedOut,
  type ClusterApp,
  type UserAnswer,
} from '../support/cluster-app.js';

/** Number of sessions whose tokens have expired, and of simultaneous requests for each. */
const USERS = 60;
const TIMES = 6;

/**
 * Expects that all processes refresh through the store: once per session, even if WorkOS never repeats a response.
 *
 * @param meanwhile Runs during the requests, which continue until it has finished.
 */
export async function expectOneRefreshEach(
  app: ClusterApp,
  meanwhile: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const { workos } = app;
  workos.replayWindow = 0;
  const calls = workos.callsTo('refresh').length;
  const rounds = await requestUntil(app, TIMES, meanwhile());
  for (const answers of rounds) expectAllSignedIn(answers);
  const counts = refreshesPerToken(workos, calls);
  expect(counts.size).toBe(USERS * rounds.length);
  expect([...counts.values()].filter((count) => count !== 1)).toEqual([]);
}

/** Sends rounds of requests from users with expired tokens until `over` has settled, but at least one round. */
async function requestUntil(app: ClusterApp, times: number, over: Promise<unknown>): Promise<UserAnswer[][]> {
  const state = { isOver: false };
  const done = over.finally(() => (state.isOver = true));
  const rounds: UserAnswer[][] = [];
  do {
    rounds.push(await app.request(await app.expired(USERS), times));
    await wait(100);
  } while (!state.isOver);
  await done;
  return rounds;
}

/**
 * Sends requests from users with expired tokens while something happens to the store, and for a while afterwards.
 * WorkOS repeats responses for 30 seconds, as the real one does, because a process without a store refreshes by itself.
 */
export async function expectNoSignOut(app: ClusterApp, happens: () => Promise<unknown>): Promise<void> {
  app.workos.replayWindow = 30;
  const calls = app.workos.callsTo('refresh').length;
  const answers = (await requestUntil(app, 2, happens())).flat();
  expect(signedOut(answers)).toEqual([]);
  expect(answers.filter(({ user, email, status }) => status === 200 && email !== user)).toEqual([]);
  // With sessions in cookies, no request fails.
  expectAllSignedIn(answers);
  const counts = [...refreshesPerToken(app.workos, calls).values()];
  expect(Math.max(...counts)).toBeLessThanOrEqual(app.members.length);
  const twice = counts.filter((count) => count > 1).length;
  console.log(
    `  ${answers.length} requests: ${counts.length} sessions refreshed, ${twice} of them more than once`,
  );
}

/** Expects that a webhook received by one process ends the session in all of them. */
export async function expectRevocationEverywhere({ workos, statuses, revoke }: ClusterApp): Promise<void> {
  const cookie = await workos.signIn({ user: 'user0@example.com' });
  expect(await statuses(cookie)).toEqual([200, 200, 200]);
  await expect.poll(() => revoke(cookie), { timeout: 20_000 }).toBe(200);
  await expect.poll(() => statuses(cookie), { timeout: 5000 }).toEqual([401, 401, 401]);
}

/**
 * Expects that all processes use the store again after an outage. The first requests after the pause in which they do
 * not call it (one second) already have to use it, although they all arrive at once.
 */
export async function expectRecovery(app: ClusterApp): Promise<void> {
  await wait(1500);
  await expectOneRefreshEach(app);
  await expectRevocationEverywhere(app);
}
