/**
 * Sends many guarded requests and sign-ins through one process, whose memory has to stay flat: `npm run test:leaks [--
 * requests|sign-ins [how many]]`, by default 1,000,000 and then 100,000, which takes a few minutes each. Exits with 1
 * if the heap grows steadily, a response is wrong, or Node warns about listeners.
 */
import { createTestWorkOS } from 'authkit-express/testing';
import { createConnection, type Connection } from './connection.js';
import { startServer, type LoadServer } from './process.js';

const TIMES: Readonly<Record<string, number>> = { requests: 1_000_000, 'sign-ins': 100_000 };
const AT_ONCE = 50;
const SAMPLES = 10;
/** How much the heap may grow from the middle of a run to its end before it counts as a leak, in megabytes. */
const ALLOWED = 10;

const [, , only, count] = process.argv;
const runs = Object.entries(TIMES).filter(([name]) => only === undefined || only === name);
if (runs.length === 0) throw new Error(`there is no "${only ?? ''}": ${Object.keys(TIMES).join(' or ')}`);

const workos = await createTestWorkOS({ accessTokenLifetime: 86_400 });
const apiPort = Number(new URL(workos.url).port);
const cookie = await workos.signIn();

const get = (target: string, more = '') =>
  `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\n${more}\r\n`;
const field = (head: string, name: string) =>
  [...head.matchAll(new RegExp(`^${name}: (.*)$`, 'gim'))].map((match) => (match[1] as string).trim());

type Act = (server: Connection, workos: Connection) => Promise<void>;

const guarded: Act = async (server) => {
  const { status } = await server.exchange(get('/account', `Cookie: ${cookie}\r\n`));
  if (status !== 200) throw new Error(`the guarded page answers ${status}`);
};

/** Requests the login route, WorkOS's sign-in page and the callback. */
const signIn: Act = async (server, atWorkOS) => {
  const login = await server.exchange(get('/auth/login?returnTo=/account'));
  const page = new URL(field(login.head, 'location')[0] ?? '');
  const form = `user=ada%40example.com&request=${encodeURIComponent(page.search.slice(1))}`;
  const choice = await atWorkOS.exchange(
    `POST ${page.pathname}/choose HTTP/1.1\r\nHost: ${page.host}\r\nContent-Length: ${form.length}\r\n` +
      `Content-Type: application/x-www-form-urlencoded\r\n\r\n${form}`,
  );
  const callback = new URL(field(choice.head, 'location')[0] ?? '');
  const verifier = field(login.head, 'set-cookie').map((line) => line.split(';', 1)[0]);
  const back = await server.exchange(
    get(callback.pathname + callback.search, `Cookie: ${verifier.join('; ')}\r\n`),
  );
  const isIn = field(back.head, 'set-cookie').some((line) => /^wos-session=[^;]/.test(line));
  if (back.status !== 302 || !isIn) throw new Error(`the callback answers ${back.status}`);
};

/** Runs `act` this many times, 50 at once, and prints the memory of the process after each tenth. */
async function measure(server: LoadServer, name: string, times: number, act: Act): Promise<number> {
  const heaps: number[] = [];
  const started = Date.now();
  const connections = Array.from({ length: AT_ONCE }, () => [server.port, apiPort].map(createConnection));
  for (let sample = 1; sample <= SAMPLES; sample += 1) {
    let left = Math.ceil(times / SAMPLES);
    const work = async ([toServer, toWorkOS]: Connection[]) => {
      while (left-- > 0) await act(toServer as Connection, toWorkOS as Connection);
    };
    await Promise.all(connections.map(work));
    const { heap, rss } = await server.sample();
    heaps.push(heap);
    const done = ((times / SAMPLES) * sample).toLocaleString('en');
    console.log(`${name}: ${done.padStart(9)}, heap ${heap.toFixed(1)} MB, RSS ${rss.toFixed(0)} MB`);
    // The calls that the test WorkOS records are not needed here.
    (workos.calls as unknown[]).length = 0;
  }
  for (const connection of connections.flat()) connection.close();
  const growth = heaps.at(-1)! - heaps[SAMPLES / 2 - 1]!;
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(`${name}: ${times} in ${seconds} s, heap in the second half ${growth.toFixed(1)} MB`);
  return growth;
}

let isFlat = true;
for (const [name, times] of runs) {
  const server = await startServer({ framework: 'express5', authkit: { ...workos.options } });
  const before = await server.sample();
  console.log(`${name}: at start, heap ${before.heap.toFixed(1)} MB, RSS ${before.rss.toFixed(0)} MB`);
  const act = name === 'requests' ? guarded : signIn;
  const growth = await measure(server, name, Number(count ?? times), act);
  const { listenerWarnings } = await server.sample();
  console.log(`${name}: listener warnings ${listenerWarnings}`);
  isFlat &&= growth <= ALLOWED && listenerWarnings === 0;
  server.stop();
}
await workos.close();
process.exitCode = isFlat ? 0 : 1;
