/**
 * Sends every file of test/corpora through a live server, 50 requests at a time: `npm run test:floods [-- framework
 * …]`, by default on all four frameworks. Prints the requests, response times, memory growth and crashes for each
 * corpus. Exits with 1 if a server crashes, responds with 500, or takes longer than 50 ms of its own time for one in a
 * hundred requests.
 */
import { FRAMEWORKS, type Framework } from '../support/frameworks.js';
import { corpus, type Row } from '../support/corpora.js';
import { createConnection, type Answer, type Connection } from './connection.js';
import { startServer, type LoadServer } from './process.js';
import { cookiePassword, CORPORA, requestsOf, signedIn } from './rows.js';
import { costOf, GOAL, printLine, printTitle, type Cost, type Line } from './table.js';
import { KEYS, startUpstream } from './upstream.js';

const AT_ONCE = 50;
/** Requests per corpus, enough for a 99th percentile. Corpora that mostly wait for WorkOS get fewer. */
const ENOUGH = 4000;
/** WorkOS is slow in these corpora. What is measured is how other users are served in the meantime. */
const SLOW = ['workos-failures'];

const upstream = await startUpstream();
const { clientId, issuer, now } = KEYS;
const api = { apiHostname: '127.0.0.1', apiHttps: false, apiPort: upstream.port };
const authkit = { ...api, clientId, issuer, cookiePassword, apiKey: 'sk_test', timeout: 1000 };
const start = (framework: Framework) => startServer({ framework, authkit, stands: now * 1000 });

interface Flood {
  answers: Answer[];
  /** Responses to a signed-in user, while the other requests wait for WorkOS. */
  meanwhile: Answer[];
}

interface Visitors {
  connections: Connection[];
  beside: Connection;
  leave: () => void;
}

/** Opens the connections in advance: Node accepts one per turn, so new connections would wait for all the others. */
async function visitorsOf({ port }: LoadServer): Promise<Visitors> {
  const connections = Array.from({ length: AT_ONCE }, () => createConnection(port));
  const beside = createConnection(port);
  const all = [...connections, beside];
  const leave = () => {
    for (const connection of all) connection.close();
  };
  await Promise.all(
    all.map((connection) => connection.exchange('GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n')),
  );
  return { connections, beside, leave };
}

/** Sends all requests, 50 at a time. For a slow corpus, it also sends one good request after another alongside them. */
async function flood(visitors: Visitors, requests: readonly string[], isSlow = false): Promise<Flood> {
  const { connections, beside } = visitors;
  const good = await signedIn();
  const done: Flood = { answers: [], meanwhile: [] };
  let next = 0;
  const work = async (connection: Connection) => {
    for (let request = requests[next++]; request !== undefined; request = requests[next++])
      done.answers.push(await (isOdd(request) ? connection.alone(request) : connection.exchange(request)));
  };
  const over = new AbortController();
  const others = async () => {
    while (isSlow && !over.signal.aborted) done.meanwhile.push(await beside.exchange(good));
  };
  const pending = others();
  await Promise.all(connections.map(work));
  over.abort();
  await pending;
  return done;
}

/** Whether a parser might read anything other than one request in it. */
function isOdd(request: string): boolean {
  return /[^\r]\n|\r[^\n]/.test(request) || request.indexOf('\r\n\r\n') + 4 < request.length;
}

function add(total: Flood, { answers, meanwhile }: Flood): void {
  total.answers.push(...answers);
  total.meanwhile.push(...meanwhile);
}

const bad: string[] = [];
function tell(line: Line): void {
  if (!printLine(line)) bad.push(line.name);
}

async function measure(framework: Framework, server: LoadServer, name: string): Promise<void> {
  const isSlow = SLOW.includes(name);
  const once = await requestsOf(name, server.origin, 0);
  // Not counted, because the first requests of each kind include compilation.
  const visitors = await visitorsOf(server);
  if (!isSlow) await flood(visitors, once);
  const before = await server.sample();
  const total: Flood = { answers: [], meanwhile: [] };
  const rounds = isSlow ? 1 : Math.ceil(ENOUGH / once.length);
  for (let round = 1; round <= rounds && server.isAlive(); round += 1)
    add(total, await flood(visitors, await requestsOf(name, server.origin, round), isSlow));
  visitors.leave();
  const { answers, meanwhile } = total;
  const cost = server.isAlive()
    ? costOf(before, await server.sample(), answers.length + meanwhile.length)
    : undefined;
  const line = { cost, hasGoal: !isSlow };
  if (isSlow) {
    tell({ ...line, name: `${framework} ${name}, as long as WorkOS`, answers });
    tell({ ...line, name: `${framework} others meanwhile`, answers: meanwhile, hasGoal: true });
    return;
  }
  const [own, exchanged] = [false, true].map((wanted) =>
    answers.filter(({ head }) => isExchange(head) === wanted),
  );
  tell({ ...line, name: `${framework} ${name}`, answers: own ?? [] });
  if (exchanged?.length)
    tell({ ...line, name: '  with an exchange at WorkOS', answers: exchanged, hasGoal: false });
}

/** Whether the response sets new tokens from WorkOS. */
function isExchange(head: string): boolean {
  return /^set-cookie: wos-session=[^;]/im.test(head);
}

/** Each row needs a server that has no keys yet and therefore may wait for WorkOS. */
async function coldStarts(framework: Framework): Promise<void> {
  const answers: Answer[] = [];
  const costs: (Cost | undefined)[] = [];
  for (const row of corpus<Row & { response: NonNullable<typeof upstream.keys> }>('jwks-failures')) {
    const server = await start(framework);
    upstream.keys = row.response;
    const before = await server.sample();
    const requests = Array.from({ length: AT_ONCE * 2 }, (_, index) => signedIn(`rt_${index}`));
    const visitors = await visitorsOf(server);
    const done = await flood(visitors, await Promise.all(requests));
    visitors.leave();
    answers.push(...done.answers);
    costs.push(server.isAlive() ? costOf(before, await server.sample(), done.answers.length) : undefined);
    server.stop();
  }
  upstream.keys = undefined;
  const cost = costs.reduce((one, other) => one && other && (one.grown > other.grown ? one : other));
  tell({ name: `${framework} jwks-failures, as long as WorkOS`, answers, cost, hasGoal: false });
}

const asked = process.argv.slice(2);
printTitle();
for (const framework of FRAMEWORKS.filter((one) => asked.length === 0 || asked.includes(one))) {
  const server = await start(framework);
  for (const name of CORPORA.filter((x) => (process.env['ONLY'] ?? x).includes(x)))
    if (server.isAlive()) await measure(framework, server, name);
  server.stop();
  await coldStarts(framework);
}
upstream.close();
console.log(bad.length === 0 ? `all within ${GOAL} ms` : `not well: ${bad.join(', ')}`);
process.exitCode = bad.length === 0 ? 0 : 1;
