import { BARE, CONTENDERS, type Contender } from './contenders.js';
import { load, quantile } from './load.js';
import { start, type Server, type ServerOptions } from './server.js';
import type { Sessions } from './sessions.js';

export const SCENARIOS = ['hot', 'many', 'cold', 'anonymous', 'foreign', 'static'] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** One stretch of load at one contender. */
export interface Sample {
  /** Microseconds of CPU a request. */
  readonly cpu: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  /** Milliseconds. */
  readonly p99: number;
}

export interface Result {
  readonly contender: Contender;
  readonly samples: readonly Sample[];
  /** Bytes, at the end. */
  readonly rss: number;
  /** Of the `Cookie` header that its own session makes. */
  readonly cookieBytes: number;
}

export interface CompareOptions {
  server: ServerOptions;
  sessions: Sessions;
  only: (contender: Contender) => boolean;
  rounds: number;
  /** Of one stretch. */
  milliseconds: number;
  connections: number;
}

interface Runner {
  contender: Contender;
  server: Server;
  requests: Requests;
  samples: Sample[];
  cookieBytes: number;
}

/** A source of requests. `prepare` makes them beforehand, outside of what is measured. */
interface Requests {
  prepare: (count: number) => void;
  next: () => Buffer;
}

/**
 * Runs one scenario: all contenders at once, each in a process of its own, and one after the other under load, again
 * and again, so that what else the machine does falls on all of them alike.
 */
export async function compare(scenario: Scenario, options: CompareOptions): Promise<Result[]> {
  const { rounds, only } = options;
  const runners: Runner[] = [];
  for (const contender of CONTENDERS.filter((one) => one === BARE || only(one))) {
    if (takesPart(contender, scenario)) runners.push(await prepare(contender, scenario, options));
  }
  for (const runner of runners) await warmUp(runner, options);
  for (let round = 0; round < rounds; round += 1) {
    for (const runner of runners) await stretch(runner, options);
  }
  const results = [];
  for (const { contender, server, samples, cookieBytes } of runners) {
    const { rss } = await server.usage();
    results.push({ contender, samples, rss, cookieBytes });
    await server.stop();
  }
  return results;
}

/** Where a scenario would say nothing of a contender. */
function takesPart({ by, file }: Contender, scenario: Scenario): boolean {
  // A session that is looked up is in the store or does not exist.
  if (scenario === 'cold') return by !== 'store' && file !== 'express4';
  if (scenario === 'static' || scenario === 'foreign')
    return file === 'express5' || file === 'authkit-express';
  return true;
}

async function prepare(contender: Contender, scenario: Scenario, options: CompareOptions): Promise<Runner> {
  const { sessions } = options;
  const server = await start(contender, options.server);
  const count = scenario === 'hot' || scenario === 'static' ? 1 : 1000;
  const own = contender.session === 'own' ? await server.cookies(count) : sessions.cookies.slice(0, count);
  // Everybody receives as many bytes: where a session is smaller, the rest is what other cookies a site has.
  const size = sessions.cookies[0]?.length ?? 0;
  const cookies = own.map((cookie) => padded(cookie, size));
  const requests = requestsOf(scenario, contender, cookies, sessions);
  return { contender, server, requests, samples: [], cookieBytes: own[0]?.length ?? 0 };
}

function padded(cookie: string, size: number): string {
  const room = size - cookie.length - '; other='.length;
  return room > 0 ? `${cookie}; other=${'x'.repeat(room)}` : cookie;
}

function requestsOf(
  scenario: Scenario,
  contender: Contender,
  cookies: readonly string[],
  sessions: Sessions,
): Requests {
  switch (scenario) {
    case 'hot':
    case 'many':
      return cycle(cookies.map((cookie) => request('/me', cookie)));
    case 'static':
      return cycle(cookies.map((cookie) => request('/static/cookie.mjs', cookie)));
    case 'anonymous':
      return cycle([request('/open')]);
    case 'foreign':
      return cycle([request('/open', padded('_ga=GA1.1.1', cookies[0]?.length ?? 0))]);
    case 'cold':
      // Contenders with sessions of their own remember nothing between two requests: a thousand do for them.
      return contender.session === 'own'
        ? cycle(cookies.map((cookie) => request('/me', cookie)))
        : pool(() => request('/me', sessions.fresh()));
  }
}

export function request(path: string, cookie?: string): Buffer {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Accept: */*'];
  if (cookie !== undefined) lines.push(`Cookie: ${cookie}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

function cycle(requests: readonly Buffer[]): Requests {
  let at = 0;
  return { prepare: () => undefined, next: () => requests[(at += 1) % requests.length] as Buffer };
}

/** Each request once. */
function pool(make: () => Buffer): Requests {
  const ready: Buffer[] = [];
  return {
    prepare: (count) => {
      while (ready.length < count) ready.push(make());
    },
    next: () => ready.pop() ?? make(),
  };
}

/** By requests, not by time: on a busy machine a second may not even show each of a thousand sessions once. */
async function warmUp(
  { server: { port }, requests }: Runner,
  { connections }: CompareOptions,
): Promise<void> {
  const atMost = 8000;
  requests.prepare(atMost);
  await load({ port, next: requests.next, connections, milliseconds: 5000, expect: 200, atMost });
}

/**
 * Before each stretch, unmeasured, in milliseconds: a process that has waited for all the others finds its caches full of
 * their data, and its heap shrunk.
 */
const LEAD_IN = 100;

async function stretch(runner: Runner, options: CompareOptions): Promise<void> {
  const { server, requests, samples } = runner;
  const { milliseconds, connections } = options;
  const perSecond = samples.at(-1)?.perSecond ?? 5000;
  requests.prepare(Math.ceil((perSecond * 1.3 * (LEAD_IN + milliseconds)) / 1000));
  const run = (time: number) =>
    load({ port: server.port, next: requests.next, connections, milliseconds: time, expect: 200 });
  await run(LEAD_IN);
  const before = await server.usage();
  const done = await run(milliseconds);
  const after = await server.usage();
  samples.push({
    cpu: (after.cpu - before.cpu) / done.requests,
    perSecond: done.requests / done.seconds,
    p50: quantile(done, 0.5),
    p99: quantile(done, 0.99),
  });
}
