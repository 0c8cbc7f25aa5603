import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LoadSettings, Sample } from './server.js';

/** An application in a separate process. */
export interface LoadServer {
  port: number;
  origin: string;
  /** Whether the process is still running; a request without a response may have crashed it. */
  isAlive: () => boolean;
  sample: () => Promise<Sample>;
  stop: () => void;
}

export async function startServer(settings: LoadSettings): Promise<LoadServer> {
  const file = fileURLToPath(new URL('server.ts', import.meta.url));
  const execArgv = ['--expose-gc', '--import', 'tsx'];
  const child = fork(file, [JSON.stringify(settings)], { execArgv, env: { ...process.env, DEBUG: '' } });
  const [port] = (await once(child, 'message')) as [number];
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    async sample() {
      child.send('sample');
      const [taken] = (await once(child, 'message')) as [Sample];
      return taken;
    },
    stop: () => void child.kill(),
  };
}
