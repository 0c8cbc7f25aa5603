/**
 * Measures what a session costs in Redis, in commands and bytes, with sessions in cookies and in the store: `npm run
 * test:capacity`. Prints a table. docs/cluster.md quotes its figures.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import express from 'express';
import { createClient } from 'redis';
import { authkit, requireAuth } from 'authkit-express';
import { redisStore } from 'authkit-express/redis';
import { createTestWorkOS } from 'authkit-express/testing';
import { startRedis, stop } from '../support/redis.js';

const USERS = 500;
const SECONDS = 5;

for (const session of ['cookie', 'store'] as const) {
  const users = Array.from({ length: USERS }, (_, index) => ({ email: `user${index}@example.com` }));
  const [redis, workos] = await Promise.all([startRedis(), createTestWorkOS({ users })]);
  const client = createClient({ url: redis.url });
  await client.connect();
  const { options } = workos;
  const auth = authkit({ ...options, store: redisStore(client), session, timeout: 20_000 });
  const app = express().use(auth);
  app.get('/', requireAuth(), (_req, res) => void res.send('ok'));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cookies = new Map(
    await Promise.all(
      users.map(async ({ email }) => [email, await workos.signIn({ user: email, expiresIn: -1 })] as const),
    ),
  );

  /** Requests a page for each user, fifty at a time. */
  const requestAll = async () => {
    const waiting = [...cookies];
    const work = async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) {
        const [email, cookie] = next;
        const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie } });
        if ((await answer.text()) !== 'ok') throw new Error(`status ${answer.status}`);
        const set = answer.headers.getSetCookie().find((line) => line.startsWith('wos-session='));
        if (set) cookies.set(email, set.split(';', 1)[0] ?? '');
      }
    };
    await Promise.all(Array.from({ length: 50 }, work));
  };
  const bytes = async () => Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
  /** The commands and bytes that an action takes, per user. */
  const costOf = async (act: () => Promise<unknown>) => {
    await client.configResetStat();
    const before = await bytes();
    await act();
    const stats = await client.info('commandstats');
    const counts = ['get', 'set', 'eval', 'del'].map((name) => {
      const calls = Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
      return `${(calls / USERS).toFixed(1)} ${name.toUpperCase()}`;
    });
    return { commands: counts.join(', '), bytes: Math.round(((await bytes()) - before) / USERS) };
  };

  await requestAll();
  await wait(600);
  // The first refresh also counted the growth of tables, so the second shows what a session costs.
  workos.clock.advance(301_000);
  const refresh = await costOf(requestAll);
  const active = await costOf(async () => {
    for (let second = 0; second < SECONDS; second += 1) await Promise.all([requestAll(), wait(1000)]);
  });
  const ended = await costOf(async () => {
    for (const { id } of workos.users()) await auth.revokeUserSessions(id);
  });
  console.log(`sessions in the ${session}:`);
  console.log(`  a refresh                     ${refresh.commands}; ${refresh.bytes} bytes`);
  console.log(`  ${SECONDS} s of a request a second      ${active.commands}; ${active.bytes} bytes`);
  console.log(`  revokeUserSessions()          ${ended.commands}; ${ended.bytes} bytes`);
  console.log(`  in all                        ${Math.round((await bytes()) / USERS)} bytes`);
  server.closeAllConnections();
  server.close();
  client.destroy();
  await Promise.all([stop(redis), workos.close()]);
}
