import { Agent } from 'node:http';
import { expect } from 'vitest';
import { createTestWorkOS, type TestWorkOS } from 'authkit-express/testing';
import { FETCH, send } from './browser.js';
import { account, balance, endMember, startMember, type Answered, type Member } from './cluster.js';
import type { ProcessSettings } from './cluster-process.js';
import type { StoreSettings } from './cluster-store.js';

export interface ClusterOptions {
  store: StoreSettings;
  /** Number of users: `user0@example.com` and so on. */
  users: number;
  cookiePassword: string;
  session?: 'cookie' | 'store';
  /** How far the clock of each process is ahead, in milliseconds. */
  clockOffsets?: readonly number[];
}

/** A user whose access token has expired. */
export interface ExpiredUser {
  user: string;
  cookie: string;
}

export type UserAnswer = Answered & { user: string };

export interface ClusterApp {
  workos: TestWorkOS;
  port: number;
  agent: Agent;
  members: Member[];
  start: (cookiePassword?: string | string[], clockOffset?: number) => Promise<Member>;
  /** Cookies of the first users, whose access tokens have all expired. */
  expired: (count: number) => Promise<ExpiredUser[]>;
  /** Sends this many requests for each user, all at once, each on a free connection. */
  request: (
    users: ExpiredUser[],
    times: number,
    onAnswer?: (count: number) => unknown,
  ) => Promise<UserAnswer[]>;
  /** The status with which each process answers a request with this cookie. */
  statuses: (cookie: string) => Promise<number[]>;
  /** Delivers `session.revoked` for the session of this cookie to one process, and returns the status. */
  revoke: (cookie: string) => Promise<number>;
  close: () => Promise<void>;
}

/** Starts three processes of an application that share a store, behind one address. */
export async function startCluster(options: ClusterOptions): Promise<ClusterApp> {
  const { store, users, cookiePassword, session = 'cookie', clockOffsets = [0, 0, 0] } = options;
  const emails = Array.from({ length: users }, (_, index) => `user${index}@example.com`);
  const people = emails.map((email) => ({ email }));
  const workos = await createTestWorkOS({ users: people, cookiePassword, replayWindow: 0 });
  const start = (passwords: string | string[] = cookiePassword, clockOffset = 0) => {
    // Two cores may be busy with other work, so a slow response is not a failure.
    const authkit = { ...workos.options, session, cookiePassword: passwords, timeout: 20_000 };
    const settings: ProcessSettings = { store, authkit, webhookSecret: workos.webhookSecret, clockOffset };
    return startMember(settings);
  };
  const members = await Promise.all(clockOffsets.map((offset) => start(cookiePassword, offset)));
  const front = await balance(members);
  const agent = new Agent({ keepAlive: true, maxSockets: 120 });
  const ask = ({ port }: Member, cookie: string) =>
    send(`http://127.0.0.1:${port}/account`, { headers: { ...FETCH, cookie } });
  return {
    workos,
    port: front.port,
    agent,
    members,
    start,
    expired: (count) =>
      Promise.all(
        emails.slice(0, count).map(async (user) => ({
          user,
          // Expired by the clock of every process.
          cookie: await workos.signIn({ user, expiresIn: -60 }),
        })),
      ),
    async request(asking, times, onAnswer) {
      let count = 0;
      const one = async ({ user, cookie }: ExpiredUser) => {
        const answered = await account(front.port, agent, cookie);
        onAnswer?.((count += 1));
        return { user, ...answered };
      };
      return Promise.all(asking.flatMap((each) => Array.from({ length: times }, () => one(each))));
    },
    statuses: async (cookie) =>
      (await Promise.all(members.map((member) => ask(member, cookie)))).map(({ status }) => status),
    async revoke(cookie) {
      const { sessionId } = JSON.parse((await ask(members[0]!, cookie)).body) as { sessionId: string };
      const { body, headers } = workos.webhook('session.revoked', { id: sessionId });
      const url = `http://127.0.0.1:${members[1]!.port}/webhooks/workos`;
      return (await send(url, { method: 'POST', headers: { ...headers }, body })).status;
    },
    async close() {
      agent.destroy();
      front.close();
      await Promise.all([...members.map(endMember), workos.close()]);
    },
  };
}

/** Expects that each request was answered with its own user's page and that no cookie was cleared. */
export function expectAllSignedIn(answers: readonly UserAnswer[]): void {
  const tally: Record<string, number> = {};
  for (const { status } of answers) tally[status] = (tally[status] ?? 0) + 1;
  expect(tally).toEqual({ 200: answers.length });
  expect(answers.filter(({ user, email }) => user !== email)).toEqual([]);
  expect(signedOut(answers)).toEqual([]);
}

/** The answers by which a user was signed out: a 401, or a cleared session cookie. */
export function signedOut(answers: readonly UserAnswer[]): UserAnswer[] {
  return answers.filter(({ status, cookie }) => status === 401 || cookie === '');
}

/** How often each refresh token was sent to WorkOS, not counting the first `since` calls. */
export function refreshesPerToken(workos: TestWorkOS, since = 0): Map<unknown, number> {
  const counts = new Map<unknown, number>();
  for (const { body } of workos.callsTo('refresh').slice(since)) {
    const token = body?.['refresh_token'];
    counts.set(token, (counts.get(token) ?? 0) + 1);
  }
  return counts;
}
