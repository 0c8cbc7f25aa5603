import { fork, type ChildProcess } from 'node:child_process';
import type { Contender } from './contenders.js';

export interface Usage {
  /** Microseconds of the whole process, threads of its pool included. */
  readonly cpu: number;
  /** Bytes. */
  readonly rss: number;
  /** Bytes. */
  readonly heap: number;
}

/** A contender at work in a process of its own. */
export interface Server {
  readonly port: number;
  usage: (collect?: boolean) => Promise<Usage>;
  /** `Cookie` headers of so many people, signed in by the contender's own means. */
  cookies: (count: number) => Promise<string[]>;
  stop: () => Promise<void>;
}

export interface ServerOptions {
  /** Path of the node to run on. */
  node: string;
  /** Path of the JSON that all contenders read. */
  fixture: string;
  /** Core of its own, where the system can pin a process. */
  core: number | undefined;
  execArgv?: readonly string[];
  env?: Readonly<Record<string, string>>;
}

export async function start(contender: Contender, options: ServerOptions): Promise<Server> {
  const file = new URL(`contenders/${contender.file}.mjs`, import.meta.url).pathname;
  const { node, core } = options;
  const before = core === undefined ? [] : ['-c', String(core), node];
  const child = fork(file, [], {
    execPath: core === undefined ? node : 'taskset',
    execArgv: [...before, '--expose-gc', ...(options.execArgv ?? [])],
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      BENCH_FIXTURE: options.fixture,
      ...contender.env,
      ...options.env,
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
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
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => {
          resolve();
        });
        child.disconnect();
      }),
  };
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
