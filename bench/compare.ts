import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Contender } from './contenders.js';
import { load, quantile } from './load.js';
import { requestsOf, type Requests, type Scenario, takesPart } from './scenarios.js';
import { start, type Server, type ServerOptions } from './server.js';
import type { Sessions } from './sessions.js';

/** One stretch of load over HTTP. */
export interface Sample {
  /** CPU time per request, in microseconds. */
  readonly cpu: number;
  readonly perSecond: number;
  /** In milliseconds. */
  readonly p50: number;
  /** In milliseconds. */
  readonly p99: number;
}

export interface Result {
  readonly contender: Contender;
  /** CPU time per request of each slice in memory, in microseconds. */
  readonly inMemory: readonly number[];
  readonly http: readonly Sample[];
  /** At the end, in bytes. */
  readonly rss: number;
  /** Size of the `Cookie` header that the contender itself makes. */
  readonly cookieBytes: number;
}

export interface CompareOptions {
  contenders: readonly Contender[];
  server: ServerOptions;
  sessions: Sessions;
  /** Number of slices per contender in memory; 0 for none. */
  slices: number;
  /** CPU time of one slice, in milliseconds. */
  sliceTime: number;
  /** Number of stretches per contender over HTTP; 0 for none. */
  stretches: number;
  /** Duration of one stretch, in milliseconds. */
  stretchTime: number;
  connections: number;
}

interface Runner {
  contender: Contender;
  server: Server;
  requests: Requests;
  /** Number of requests in one slice. */
  sliceCount: number;
  inMemory: number[];
  http: Sample[];
}

/**
 * Runs one scenario. All servers run at the same time, each in its own process, and are measured in turn, over and
 * over, so that other load on the machine affects all of them alike.
 */
export async function compare(scenario: Scenario, options: CompareOptions): Promise<Result[]> {
  const { slices, stretches } = options;
  const runners: Runner[] = [];
  for (const contender of options.contenders.filter((one) => takesPart(one, scenario)))
    runners.push(await prepare(contender, scenario, options));
  if (slices > 0) {
    for (const runner of runners) await warmUpInMemory(runner, options);
    for (let round = 0; round < slices; round += 1) {
      for (const runner of runners) await slice(runner, options);
    }
  }
  if (stretches > 0) {
    for (const runner of runners) await warmUpHttp(runner, options);
    for (let round = 0; round < stretches; round += 1) {
      for (const runner of runners) await stretch(runner, options);
    }
  }
  const results: Result[] = [];
  for (const { contender, server, requests, inMemory, http } of runners) {
    const { rss } = await server.usage();
    results.push({ contender, inMemory, http, rss, cookieBytes: requests.cookieBytes });
    await server.stop();
  }
  return results;
}

async function prepare(contender: Contender, scenario: Scenario, options: CompareOptions): Promise<Runner> {
  const server = await start(contender, options.server);
  const requests = await requestsOf(scenario, contender, server, options.sessions);
  return { contender, server, requests, sliceCount: 0, inMemory: [], http: [] };
}

const WARM_UP = 3000;

/** Warms up a server, and measures how many requests make up a slice. */
async function warmUpInMemory(runner: Runner, options: CompareOptions): Promise<void> {
  const { server, requests } = runner;
  const { connections, slices, sliceTime } = options;
  await give(server, requests.list(WARM_UP));
  await server.slice(WARM_UP * 0.8, connections, 200);
  const cpu = await server.slice(WARM_UP * 0.2, connections, 200);
  runner.sliceCount = Math.ceil((sliceTime * 1000) / cpu);
  await give(server, requests.list(Math.ceil(slices * runner.sliceCount * (1 + LEAD_IN))));
}

/** Uncounted requests before each slice, as a share of it, because the processor's caches are full of other data. */
const LEAD_IN = 0.3;

async function slice({ server, sliceCount, inMemory }: Runner, { connections }: CompareOptions) {
  await server.slice(Math.ceil(sliceCount * LEAD_IN), connections, 200);
  inMemory.push(await server.slice(sliceCount, connections, 200));
}

/** Sends the requests to the server's process as a file, because messages would leave garbage in its heap. */
async function give(server: Server, requests: readonly Buffer[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'authkit-express-bench-'));
  const file = join(folder, 'requests');
  writeFileSync(file, Buffer.concat(requests));
  await server.requests(file);
  rmSync(folder, { recursive: true });
}

/** Counts requests, not time: on a busy machine, one second may not be enough to reach each of a thousand sessions. */
async function warmUpHttp({ server, requests }: Runner, { connections, slices }: CompareOptions) {
  const next = cycle(requests.list(WARM_UP));
  // After the slices, only the code that HTTP adds is still cold.
  const atMost = slices > 0 ? WARM_UP / 6 : WARM_UP;
  await load({ port: server.port, next, connections, milliseconds: 5000, expect: 200, atMost });
}

/** Unmeasured time before each stretch, in milliseconds. */
const LEAD_IN_TIME = 50;

async function stretch({ server, requests, http }: Runner, options: CompareOptions): Promise<void> {
  const { stretchTime, connections } = options;
  const perSecond = http.at(-1)?.perSecond ?? 8000;
  const next = cycle(requests.list(Math.ceil((perSecond * 1.3 * (LEAD_IN_TIME + stretchTime)) / 1000)));
  const run = (milliseconds: number) =>
    load({ port: server.port, next, connections, milliseconds, expect: 200 });
  await run(LEAD_IN_TIME);
  const before = await server.usage();
  const done = await run(stretchTime);
  const after = await server.usage();
  http.push({
    cpu: (after.cpu - before.cpu) / done.requests,
    perSecond: done.requests / done.seconds,
    p50: quantile(done, 0.5),
    p99: quantile(done, 0.99),
  });
}

function cycle(requests: readonly Buffer[]): () => Buffer {
  let at = 0;
  return () => requests[(at += 1) % requests.length] as Buffer;
}
