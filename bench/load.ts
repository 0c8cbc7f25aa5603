import { connect, type Socket } from 'node:net';
import { cpus } from 'node:os';

/** The results of a stretch of load. */
export interface Stretch {
  readonly requests: number;
  readonly seconds: number;
  /** In milliseconds, sorted. */
  readonly latencies: Float64Array;
}

export interface LoadOptions {
  port: number;
  /** Returns the bytes of the next request. */
  next: () => Buffer;
  connections: number;
  milliseconds: number;
  /** The expected status. Any other ends the benchmark, because the measurement would be of something else. */
  expect: number;
  /** Ends after this many requests, if that is sooner. */
  atMost?: number;
}

/**
 * Keeps `connections` busy, each with one request at a time, and counts complete responses.
 *
 * It uses bare sockets and prepared requests, because a client that parses headers would use more of the machine than
 * the servers it measures.
 */
export async function load(options: LoadOptions): Promise<Stretch> {
  const latencies: number[] = [];
  const start = performance.now();
  const until = start + options.milliseconds;
  let left = options.atMost ?? Infinity;
  const mayGoOn = () => (left -= 1) >= 0 && performance.now() < until;
  const rest = stayAwake();
  await Promise.all(Array.from({ length: options.connections }, () => drive(options, mayGoOn, latencies)));
  rest();
  const seconds = (performance.now() - start) / 1000;
  return { requests: latencies.length, seconds, latencies: Float64Array.from(latencies).sort() };
}

/**
 * Keeps this process from sleeping while it waits for responses. Waking another process costs a server as much as a
 * tenth of a request, and only the slower servers would ever find this one asleep.
 */
function stayAwake(): () => void {
  let isAwake = cpus().length > 1;
  const look = () => {
    if (isAwake) setImmediate(look);
  };
  look();
  return () => {
    isAwake = false;
  };
}

export function quantile({ latencies }: Stretch, share: number): number {
  return latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? NaN;
}

function drive(
  { port, next, expect }: LoadOptions,
  mayGoOn: () => boolean,
  latencies: number[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let received = '';
    let sentAt = 0;
    const send = () => {
      if (!mayGoOn()) {
        socket.end();
        return;
      }
      sentAt = performance.now();
      socket.write(next());
    };
    socket.on('connect', send);
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      if (!isComplete(received)) return;
      if (received.slice(9, 12) !== String(expect)) {
        fail(socket, reject, received);
        return;
      }
      latencies.push(performance.now() - sentAt);
      received = '';
      send();
    });
    socket.on('close', () => {
      resolve();
    });
    socket.on('error', reject);
  });
}

function fail(socket: Socket, reject: (error: Error) => void, received: string): void {
  socket.destroy();
  reject(new Error(`unexpected answer: ${received.slice(0, 500)}`));
}

/** All contenders send a `Content-Length`. */
function isComplete(answer: string): boolean {
  const end = answer.indexOf('\r\n\r\n');
  if (end === -1) return false;
  const head = answer.slice(0, end).toLowerCase();
  const at = head.indexOf('content-length: ');
  const length = at === -1 ? 0 : Number.parseInt(head.slice(at + 16, at + 26), 10);
  return answer.length >= end + 4 + length;
}
