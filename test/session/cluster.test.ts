import { Agent } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestWorkOS, type TestWorkOS } from 'authkit-express/testing';
import { FETCH, send } from '../support/browser.js';
import {
  account,
  balance,
  buildProcess,
  endMember,
  startMember,
  type Answered,
  type Member,
} from '../support/cluster.js';
import { hasRedis, startRedis, stop, type RedisServer } from '../support/redis.js';
import type { ProcessSettings } from '../support/cluster-process.js';

/** A real Redis and three processes behind one address. */
describe.runIf(hasRedis)('three processes and a Redis', () => {
  const old = 'an-older-password-of-this-application';
  const fresh = 'the-newer-password-of-this-application';
  const people = Array.from({ length: 300 }, (_, index) => `person${index}@example.com`);
  let redis: RedisServer;
  let workos: TestWorkOS;
  let front: { port: number; close: () => unknown };
  let agent: Agent;
  const members: Member[] = [];

  const settings = (cookiePassword: string | string[]): ProcessSettings => {
    const redirectUri = 'http://localhost:3000/callback';
    // Two cores may be busy with other things: a slow response is not a failure.
    // The clock is the real one, so it is not passed on.
    const authkit = { ...workos.options, redirectUri, cookiePassword, timeout: 20_000 };
    return { redis: redis.url, authkit, webhookSecret: workos.webhookSecret };
  };
  const start = (cookiePassword: string | string[] = old) => startMember(settings(cookiePassword));

  beforeAll(async () => {
    [redis, workos] = await Promise.all([
      startRedis(),
      createTestWorkOS({ users: people.map((email) => ({ email })), cookiePassword: old, replayWindow: 0 }),
      buildProcess(),
    ]);
    members.push(...(await Promise.all([start(), start(), start()])));
    front = await balance(members);
    agent = new Agent({ keepAlive: true, maxSockets: 120 });
  });
  afterAll(async () => {
    agent.destroy();
    front.close();
    await Promise.all([...members.map(endMember), stop(redis), workos.close()]);
  });

  /** Cookies of users whose tokens have all expired at the same moment. */
  const expired = (count: number) =>
    Promise.all(
      people
        .slice(0, count)
        .map(async (user) => ({ user, cookie: await workos.signIn({ user, expiresIn: -1 }) })),
    );

  /** Ten requests for each user, all at once, each on a free connection. */
  async function tenEach(
    asking: Awaited<ReturnType<typeof expired>>,
    onAnswer = (_count: number) => undefined as unknown,
  ) {
    let count = 0;
    return Promise.all(
      asking.flatMap(({ user, cookie }) =>
        Array.from({ length: 10 }, async () => {
          const answered = await account(front.port, agent, cookie);
          onAnswer((count += 1));
          return { user, ...answered };
        }),
      ),
    );
  }

  function expectAllSignedIn(answers: (Answered & { user: string })[]): void {
    const tally: Record<string, number> = {};
    for (const { status } of answers) tally[status] = (tally[status] ?? 0) + 1;
    expect(tally).toEqual({ 200: answers.length });
    expect(answers.filter(({ user, email }) => user !== email)).toEqual([]);
    expect(answers.filter(({ cookie }) => cookie === '')).toEqual([]);
  }

  test('300 users with 10 simultaneous requests each: one refresh for each user without a replay window, and status 200 for all', async () => {
    const asking = await expired(300);
    const answers = await tenEach(asking);
    expectAllSignedIn(answers);
    expect(answers).toHaveLength(3000);
    expect(workos.callsTo('refresh')).toHaveLength(300);
  }, 120_000);

  test('a session.revoked event delivered to one process ends the session in all of them', async () => {
    const cookie = await workos.signIn({ user: people[0]! });
    const ask = ({ port }: Member) =>
      send(`http://127.0.0.1:${port}/account`, { headers: { ...FETCH, cookie } });
    const statuses = async () => (await Promise.all(members.map(ask))).map(({ status }) => status);
    expect(await statuses()).toEqual([200, 200, 200]);
    const { sessionId } = JSON.parse((await ask(members[0]!)).body) as { sessionId: string };
    const { body, headers } = workos.webhook('session.revoked', { id: sessionId });
    const hook = `http://127.0.0.1:${members[1]!.port}/webhooks/workos`;
    expect((await send(hook, { method: 'POST', headers: { ...headers }, body })).status).toBe(200);
    await wait(600);
    expect(await statuses()).toEqual([401, 401, 401]);
  });

  test('killing one process under load signs no user out', async () => {
    workos.replayWindow = 30;
    const answers = await tenEach(
      await expired(150),
      (count) => count === 200 && members[0]!.child.kill('SIGKILL'),
    );
    expectAllSignedIn(answers);
    await endMember(members[0]!);
    members[0] = await start();
  }, 60_000);

  test('stopping Redis under load and continuing it signs no user out', async () => {
    workos.replayWindow = 30;
    const asking = await expired(150);
    const answers = await tenEach(asking, (count) => {
      if (count === 200) redis.signal('SIGSTOP');
      if (count === 1200) redis.signal('SIGCONT');
    });
    redis.signal('SIGCONT');
    expectAllSignedIn(answers);
    expectAllSignedIn(await tenEach(asking.slice(0, 20)));
  }, 60_000);

  test('rotating the password under load, one process at a time, causes no 401 and no 5xx', async () => {
    workos.replayWindow = 30;
    // Tokens are refreshed all the while, so that every password seals; a slow machine still verifies them in time.
    workos.accessTokenLifetime = 10;
    let refreshed = 0;
    let isOver = false;
    const bad: Answered[] = [];
    let served = 0;
    const visitors = (await expired(40)).map(async ({ user, cookie }) => {
      let own = cookie;
      while (!isOver) {
        const answered = await account(front.port, agent, own);
        if (answered.status !== 200 || answered.email !== user) bad.push(answered);
        if (answered.cookie !== undefined) refreshed += 1;
        own = answered.cookie ?? own;
        served += 1;
        await wait(10);
      }
    });
    for (const passwords of [
      [old, fresh],
      [fresh, old],
    ]) {
      for (const index of [0, 1, 2]) {
        const [next, before] = [await start(passwords), members[index]!];
        members[index] = next;
        await before.retire();
      }
    }
    isOver = true;
    await Promise.all(visitors);
    workos.accessTokenLifetime = 300;
    expect(bad).toEqual([]);
    expect(served).toBeGreaterThan(400);
    // Each user has been given a new session more than once.
    expect(refreshed).toBeGreaterThan(80);
  }, 60_000);
});
