// Mixed traffic over three processes and a Redis, for as long as it is told: `npm run soak -- [seconds]`, default 600.
// Every answer is checked against the cookie that asked, every refresh token is counted, and memory is watched.
import { Agent, request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { createTestWorkOS } from 'authkit-express/testing';
import { account, balance, endMember, startMember } from '../../test/support/cluster.js';
import { startRedis, stop } from '../../test/support/redis.js';

const seconds = Number(process.argv[2] ?? 600);
const mode = process.argv[3] === 'store' ? 'store' : 'cookie';
const PEOPLE = 200;
/** Of an access token, in seconds: short, so that there is always somebody to refresh. */
const LIFETIME = 20;

const [redis, workos] = await Promise.all([
  startRedis(),
  createTestWorkOS({
    users: Array.from({ length: PEOPLE }, (_, index) => ({ email: `person${index}@example.com` })),
    accessTokenLifetime: LIFETIME,
    replayWindow: 0,
  }),
]);
const settings = {
  store: { kind: 'redis', url: redis.url } as const,
  // Little, so that it is full after a minute, and memory that still grows is not this one.
  authkit: {
    ...workos.options,
    session: mode,
    timeout: 20_000,
    sessionMemory: { maxBytes: 4_194_304 },
  } as const,
  webhookSecret: workos.webhookSecret,
};
const members = await Promise.all([startMember(settings), startMember(settings), startMember(settings)]);
const front = await balance(members);
const agent = new Agent({ keepAlive: true, maxSockets: 60 });
const until = Date.now() + seconds * 1000;
const tally = { requests: 0, wrongPerson: 0, signedOut: 0, failed: 0, revoked: 0, servedAfterEnd: 0 };

/** Somebody who uses the application, at times with an older cookie, and whose session is ended now and then. */
async function person(email: string): Promise<void> {
  let cookie = await workos.signIn({ user: email });
  let older = cookie;
  for (let round = 1; Date.now() < until; round += 1) {
    const asked = await Promise.all(
      [cookie, ...(round % 7 === 0 ? [older] : [])].map((one) => account(front.port, agent, one)),
    );
    for (const answer of asked) {
      tally.requests += 1;
      if (answer.status === 401) tally.signedOut += 1;
      else if (answer.status !== 200) {
        tally.failed += 1;
        console.log(`${new Date().toISOString()} ${answer.status} for ${email}: ${answer.said}`);
      } else if (answer.email !== email) tally.wrongPerson += 1;
    }
    const [{ cookie: newer } = { cookie: undefined }] = asked;
    if (newer) [older, cookie] = [cookie, newer];
    if (Math.random() < 0.002) cookie = older = await endAndReturn(email, cookie);
    await wait(40 + Math.random() * 120);
  }
}

/** WorkOS ends the session and tells one process of it; a second later no process may serve it. */
async function endAndReturn(email: string, cookie: string): Promise<string> {
  const { sessionId } = await read<{ sessionId: string }>(front.port, '/account', cookie);
  workos.endSession(sessionId);
  const { body, headers } = workos.webhook('session.revoked', { id: sessionId });
  await post('/webhooks/workos', body, headers);
  await wait(1000);
  for (const { port } of members) {
    if ((await account(port, agent, cookie)).status !== 401) tally.servedAfterEnd += 1;
  }
  tally.revoked += 1;
  return workos.signIn({ user: email });
}

function read<T>(port: number, path: string, cookie = ''): Promise<T> {
  return new Promise((resolve, reject) => {
    const req = request({ port, host: '127.0.0.1', path, headers: { cookie }, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => {
        resolve(JSON.parse(Buffer.concat(chunks).toString()) as T);
      });
    });
    req.on('error', reject).end();
  });
}

async function post(path: string, body: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${front.port}${path}`, { method: 'POST', body, headers });
  await answer.arrayBuffer();
}

/** Megabytes of heap after a collection, process by process. */
async function heaps(): Promise<number[]> {
  const found = await Promise.all(members.map(({ port }) => read<{ heap: number }>(port, '/memory')));
  return found.map(({ heap }) => Math.round(heap / 104_857.6) / 10);
}

const samples: number[][] = [];
async function watch(): Promise<void> {
  for (const every = (seconds * 1000) / 8; Date.now() < until;) {
    await wait(Math.min(every, until - Date.now()));
    samples.push(await heaps());
    console.log(
      `${new Date().toISOString()} heap MB ${samples.at(-1)?.join(' ') ?? ''}  requests ${tally.requests}`,
    );
  }
}

await Promise.all([watch(), ...workos.users().map(({ email }) => person(email))]);

const refreshes = workos.callsTo('refresh');
const tokens = new Set(refreshes.map(({ body }) => body?.['refresh_token']));
const result = {
  seconds,
  mode,
  requestsPerSecond: Math.round(tally.requests / seconds),
  ...tally,
  refreshes: refreshes.length,
  tokensRefreshedTwice: refreshes.length - tokens.size,
  heapMB: { first: samples[1], last: samples.at(-1) },
};
console.log(JSON.stringify(result, null, 2));
agent.destroy();
front.close();
await Promise.all([...members.map(endMember), stop(redis), workos.close()]);
const { wrongPerson, failed, servedAfterEnd, signedOut } = tally;
process.exitCode =
  wrongPerson + failed + servedAfterEnd + signedOut + result.tokensRefreshedTwice > 0 ? 1 : 0;
