import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from 'redis';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.js';
import { findProgram } from './programs.js';

/** Whether `redis-server` is installed. Tests that need it are skipped without it, except in CI. */
export const hasRedis = findProgram('redis-server') !== undefined;
if (!hasRedis) console.log('skipped: tests that need Redis. Install redis-server.');

export interface RedisServer {
  port: number;
  url: string;
  process: ChildProcess;
  /** Pauses, resumes or kills the server. */
  signal: (name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL') => void;
}

/** Starts a Redis server that writes nothing to disk. */
export async function startRedis(port?: number, ...args: string[]): Promise<RedisServer> {
  const chosen = port ?? (await freePort());
  const quiet = ['--save', '', '--appendonly', 'no', '--bind', '127.0.0.1', '--loglevel', 'warning'];
  const child = spawn('redis-server', ['--port', String(chosen), ...quiet, ...args], { stdio: 'ignore' });
  await reachable(chosen);
  const server: RedisServer = {
    port: chosen,
    url: `redis://127.0.0.1:${chosen}`,
    process: child,
    signal: (name) => void child.kill(name),
  };
  return server;
}

/** Starts a Redis server that is stopped at the end of the test. */
export async function redisServer(...args: string[]): Promise<RedisServer> {
  const server = await startRedis(undefined, ...args);
  onTestFinished(() => stop(server));
  return server;
}

export async function stop({ process: child }: RedisServer): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Returns a connected node-redis client that is closed at the end of the test. */
export async function connected(url: string) {
  const client = createClient({ url, socket: { reconnectStrategy: 50 } });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => {
    client.destroy();
  });
  return client;
}

/** Waits until the server responds to a command. A client would take longer to create than the server to start. */
async function reachable(port: number): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await responds(port)) return;
    await wait(10);
  }
  throw new Error(`redis-server did not start on port ${port}`);
}

function responds(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.on('data', () => socket.destroy());
    socket.on('error', () => undefined);
    socket.setTimeout(1000, () => socket.destroy());
    // A server that needs a password responds with an error, and one that is loading its data with `-LOADING`.
    socket.on('close', () => {
      resolve(socket.bytesRead > 0);
    });
  });
}
