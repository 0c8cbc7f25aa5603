/**
 * Measures how an application affects WorkOS and its own users while WorkOS has problems: `npm run test:outages [--
 * folder]`. The folder contains a different build of the package to compare with; the default is this one. There are
 * two processes, and 200 users with expired access tokens who request a guarded page every second and a public page
 * every other second. Prints a table, and exits with 1 if a user was signed out.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createTestWorkOS, type Fault, type TestWorkOS } from 'authkit-express/testing';
import { startRedis, stop } from '../support/redis.js';
import type { OutageSettings } from './outage-server.js';

const USERS = 200;
const PROCESSES = 2;
/** Duration of the outage, and how long its end may take to be noticed, in milliseconds. */
const TROUBLE = Number(process.env['OUTAGE_SECONDS'] ?? 12) * 1000;
const RECOVERY = 45_000;
/** Time limit of one call, in milliseconds: the default of the option. */
const TIMEOUT = 5000;

interface Trouble {
  name: string;
  faults: readonly Fault[];
  hasStore?: boolean;
  /** Seconds until the access tokens expire. By default, they have already expired. */
  expiresIn?: number;
}

const refresh = 'refresh';
const TROUBLES: readonly Trouble[] = [
  { name: 'none, tokens valid', faults: [], expiresIn: 300 },
  { name: '503', faults: [{ on: refresh, status: 503 }] },
  { name: '429, Retry-After: 30', faults: [{ on: refresh, status: 429, headers: { 'retry-after': '30' } }] },
  { name: 'hangs', faults: [{ on: refresh, hang: true }] },
  { name: 'no keys (503)', faults: [{ on: 'jwks', status: 503 }], expiresIn: 300 },
  { name: '503, with Redis', faults: [{ on: refresh, status: 503 }], hasStore: true },
  { name: 'hangs, with Redis', faults: [{ on: refresh, hang: true }], hasStore: true },
];

interface User {
  port: number;
  cookie: string;
}

interface Answer {
  status: number;
  milliseconds: number;
  isSignedOut: boolean;
}

const agent = new Agent({ keepAlive: true });

async function ask(user: User, path: string): Promise<Answer> {
  const started = performance.now();
  // A reused connection may be closed just as the request is sent.
  const res = await get(user, path).catch(() => get(user, path, false));
  const set = res.headers['set-cookie']?.find((line) => line.startsWith('wos-session='))?.split(';', 1)[0];
  if (set !== undefined && set !== 'wos-session=') user.cookie = set;
  const status = res.statusCode ?? 0;
  return {
    status,
    milliseconds: performance.now() - started,
    isSignedOut: status === 401 || set === 'wos-session=',
  };
}

function get({ port, cookie }: User, path: string, isKept = true): Promise<IncomingMessage> {
  const headers = { cookie, accept: 'application/json' };
  return new Promise((resolve, reject) => {
    const req = request({ port, host: '127.0.0.1', path, headers, agent: isKept && agent }, (response) => {
      response.resume().on('error', reject);
      response.on('end', () => {
        resolve(response);
      });
    });
    req.on('error', reject).end();
  });
}

/**
 * Requests a page repeatedly, at most once every `every` milliseconds, starting at a random time within the first
 * interval.
 */
async function visit(user: User, path: string, every: number, signal: AbortSignal): Promise<Answer[]> {
  const answers: Answer[] = [];
  const pause = (ms: number) => wait(ms, undefined, { signal }).catch(() => undefined);
  await pause(Math.random() * every);
  while (!signal.aborted) {
    const answer = await ask(user, path);
    answers.push(answer);
    await pause(Math.max(0, every - answer.milliseconds));
  }
  return answers;
}

async function startProcess(settings: OutageSettings): Promise<{ child: ChildProcess; port: number }> {
  const file = fileURLToPath(new URL('outage-server.ts', import.meta.url));
  const child = fork(file, [JSON.stringify(settings)], {
    execArgv: ['--import', 'tsx', '--no-warnings'],
    env: { ...process.env, DEBUG: '' },
  });
  const [port] = (await once(child, 'message')) as [number];
  return { child, port };
}

/** Samples the number of calls that wait for WorkOS, and returns the maximum. */
async function watchInFlight(workos: TestWorkOS, signal: AbortSignal): Promise<number> {
  let most = 0;
  while (!signal.aborted) {
    await wait(50);
    // An older call without a response has timed out.
    const since = workos.clock.now() - TIMEOUT;
    most = Math.max(most, workos.calls.filter(({ status, at }) => status === undefined && at > since).length);
  }
  return most;
}

/** Requests the guarded page for every user until all of them are served. */
async function recover(users: readonly User[]): Promise<{ seconds: number; answers: Answer[] }> {
  const started = performance.now();
  const answers: Answer[] = [];
  let waiting = [...users];
  while (waiting.length > 0 && performance.now() - started < RECOVERY) {
    const round = await Promise.all(
      waiting.map(async (user) => ({ user, answer: await ask(user, '/account') })),
    );
    answers.push(...round.map(({ answer }) => answer));
    waiting = round.filter(({ answer }) => answer.status !== 200).map(({ user }) => user);
    if (waiting.length > 0) await wait(250);
  }
  return { seconds: waiting.length > 0 ? Infinity : (performance.now() - started) / 1000, answers };
}

function percentile(answers: readonly Answer[], part: number): number {
  const times = answers.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b);
  return times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? NaN;
}

interface Row {
  name: string;
  callsPerSecond: number;
  mostInFlight: number;
  guarded: { median: number; slowest: number };
  publicPage: { median: number; p99: number };
  recoverySeconds: number;
  signedOut: number;
}

async function measure(
  { name, faults, hasStore, expiresIn = -1 }: Trouble,
  packageFolder: string,
): Promise<Row> {
  const emails = Array.from({ length: USERS }, (_, index) => `user${index}@example.com`);
  const [workos, redis] = await Promise.all([
    createTestWorkOS({ users: emails.map((email) => ({ email })) }),
    hasStore === true ? startRedis() : undefined,
  ]);
  for (const fault of faults) workos.fail(fault);
  const settings = { packageFolder, authkit: workos.options, redis: redis?.url };
  const processes = await Promise.all(Array.from({ length: PROCESSES }, () => startProcess(settings)));
  const users = await Promise.all(
    emails.map(async (email, index): Promise<User> => ({
      port: processes[index % PROCESSES]!.port,
      cookie: await workos.signIn({ user: email, expiresIn }),
    })),
  );
  // A process's first response has to wait for code to load.
  for (const { port } of processes) await ask({ port, cookie: '' }, '/');

  const calls = workos.calls.length;
  const over = new AbortController();
  const { signal } = over;
  setMaxListeners(0, signal);
  const inFlight = watchInFlight(workos, signal);
  const guarded = users.map((user) => visit(user, '/account', 1000, signal));
  const unguarded = users.map((user) => visit(user, '/', 2000, signal));
  await wait(TROUBLE);
  const callsPerSecond = (workos.calls.length - calls) / (TROUBLE / 1000);
  over.abort();
  const mostInFlight = await inFlight;
  // Finished before WorkOS recovers, so that slow responses are measured in full.
  const [slow, open] = await Promise.all([Promise.all(guarded), Promise.all(unguarded)]);
  workos.recover();
  const recovery = await recover(users);

  for (const { child } of processes) {
    child.kill();
    await once(child, 'exit');
  }
  await Promise.all([workos.close(), redis && stop(redis)]);
  const [guardedAnswers, publicAnswers] = [slow.flat(), open.flat()];
  const all = [...guardedAnswers, ...publicAnswers, ...recovery.answers];
  return {
    name,
    callsPerSecond,
    mostInFlight,
    guarded: {
      median: percentile(guardedAnswers, 0.5) / 1000,
      slowest: percentile(guardedAnswers, 1) / 1000,
    },
    publicPage: { median: percentile(publicAnswers, 0.5), p99: percentile(publicAnswers, 0.99) },
    recoverySeconds: recovery.seconds,
    signedOut: all.filter(({ isSignedOut }) => isSignedOut).length,
  };
}

const [, , folder = fileURLToPath(new URL('../..', import.meta.url))] = process.argv;
const only = process.env['ONLY'] ?? '';
console.log(`${USERS} users, ${PROCESSES} processes, trouble for ${TROUBLE / 1000} s\n`);
console.log(
  '| WorkOS | calls a second | waiting for WorkOS, most | guarded answer, median and slowest | public page, median and p99 | all served again after | signed out |\n' +
    '| --- | --: | --: | --: | --: | --: | --: |',
);
let signedOut = 0;
for (const trouble of TROUBLES.filter(({ name }) => name.includes(only))) {
  const row = await measure(trouble, folder);
  signedOut += row.signedOut;
  const cells = [
    row.name,
    row.callsPerSecond.toFixed(1),
    String(row.mostInFlight),
    `${row.guarded.median.toFixed(2)} s, ${row.guarded.slowest.toFixed(1)} s`,
    `${row.publicPage.median.toFixed(0)} ms, ${row.publicPage.p99.toFixed(0)} ms`,
    `${row.recoverySeconds.toFixed(1)} s`,
    String(row.signedOut),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
agent.destroy();
process.exitCode = signedOut === 0 ? 0 : 1;
