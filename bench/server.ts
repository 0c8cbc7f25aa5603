import { fork, type ChildProcess } from 'node:child_process';
import type { Contender } from './contenders.js';
import { load, type LoadOptions } from './load.js';

export interface Usage {
  /** CPU time of the whole process, including its thread pool, in microseconds. */
  readonly cpu: number;
  /** In bytes. */
  readonly rss: number;
  /** In bytes. */
  readonly heap: number;
}

/** A contender in its own process. */
export interface Server {
  readonly port: number;
  usage: (collect?: boolean) => Promise<Usage>;
  /** Returns the `Cookie` headers of this many users, signed in by the contender's own means. */
  cookies: (count: number) => Promise<string[]>;
  /** Loads the requests of a file for slices, which send them in turn. */
  requests: (file: string) => Promise<void>;
  /** Sends this many requests in memory, and returns the CPU time per request in microseconds. */
  slice: (count: number, concurrency: number, status: number) => Promise<number>;
  stop: () => Promise<void>;
}

export interface ServerOptions {
  /** Path of the Node binary to run. */
  node: string;
  /** Path of the JSON file that all contenders read. */
  fixture: string;
  /** A core reserved for the server, where the system can pin a process. */
  core: number | undefined;
  execArgv?: readonly string[];
  env?: Readonly<Record<string, string>>;
}

export async function start(contender: Contender, options: ServerOptions): Promise<Server> {
  const child = forkContender(`${contender.file}.mjs`, [], contender, options);
  const { port } = (await message(child, (said) => 'port' in said)) as { port: number };
  const ask = async (request: object): Promise<unknown> => {
    const id = Math.random();
    child.send({ id, ...request });
    return (await message(child, (said) => said['id'] === id))['answer'];
  };
  return {
    port,
    usage: async (collect = false) => {
      const answer = (await ask({ ask: collect ? 'memory' : 'usage' })) as Answer;
      return { cpu: answer.cpu.user + answer.cpu.system, rss: answer.rss, heap: answer.heap };
    },
    cookies: (count) => ask({ ask: 'cookies', count }) as Promise<string[]>,
    requests: (file) => ask({ ask: 'requests', file }) as Promise<void>,
    slice: (count, concurrency, status) =>
      ask({ ask: 'slice', count, concurrency, status }) as Promise<number>,
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => {
          resolve();
        });
        child.disconnect();
      }),
  };
}

/** CPU time per request over a stretch of HTTP load, in microseconds. */
export async function cpuOf(
  server: Server,
  part: Partial<LoadOptions> & Pick<LoadOptions, 'next'>,
): Promise<number> {
  const before = await server.usage();
  const options = { connections: 16, milliseconds: 1500, expect: 200, ...part };
  const { requests } = await load({ port: server.port, ...options });
  return ((await server.usage()).cpu - before.cpu) / requests;
}

export interface FirstAnswer {
  readonly milliseconds: number;
  /** In milliseconds. */
  readonly cpu: number;
}

/** Starts a process that imports a contender, responds to this request and exits. */
export async function startForOneRequest(
  contender: Contender,
  request: Buffer,
  options: ServerOptions,
): Promise<FirstAnswer> {
  const env = { ...options.env, BENCH_FIRST_REQUEST: request.toString('latin1') };
  const child = forkContender('start.mjs', [contender.file], contender, { ...options, env });
  return (await message(child, (said) => 'milliseconds' in said)) as unknown as FirstAnswer;
}

function forkContender(
  file: string,
  args: readonly string[],
  contender: Contender,
  { node, core, fixture, execArgv = [], env }: ServerOptions,
): ChildProcess {
  const before = core === undefined ? [] : ['-c', String(core), node];
  return fork(new URL(`contenders/${file}`, import.meta.url).pathname, args, {
    execPath: core === undefined ? node : 'taskset',
    execArgv: [...before, '--expose-gc', ...execArgv],
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      BENCH_FIXTURE: fixture,
      ...contender.env,
      ...env,
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

interface Answer {
  cpu: NodeJS.CpuUsage;
  rss: number;
  heap: number;
}

type Said = Record<string, unknown>;

function message(child: ChildProcess, isIt: (said: Said) => boolean): Promise<Said> {
  return new Promise((resolve, reject) => {
    const hear = (said: Said) => {
      if (!isIt(said)) return;
      child.off('message', hear).off('exit', gone);
      resolve(said);
    };
    const gone = (code: number | null) => {
      reject(new Error(`${child.spawnargs.join(' ')} ended with ${String(code)}`));
    };
    child.on('message', hear).on('exit', gone);
  });
}
