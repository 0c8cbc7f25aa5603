import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** How the network treats a connection. */
export type NetworkCondition =
  | 'fine'
  /** In milliseconds, each way. */
  | { latency: number }
  | 'reset'
  | 'hang'
  /** Headers that announce more than is sent, followed by the end of the stream. */
  | 'half-closed'
  /** Sends the response one byte at a time, with this pause between bytes in milliseconds. */
  | { bytePause: number }
  /** Responds with an error page of the proxy. */
  | 'html';

export interface Proxy {
  readonly port: number;
  /** The number of connections so far. */
  readonly connections: () => number;
  /** Changes the condition and drops all connections, as an outage does. */
  set: (condition: NetworkCondition) => void;
  close: () => Promise<void>;
}

const HTML = '<html><h1>502 Bad Gateway</h1></html>';
const PAGE = `HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: ${HTML.length}\r\n\r\n${HTML}`;
const HALF = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"user":';

/** A TCP proxy to a local port that can simulate network failures. */
export async function createProxy(target: number): Promise<Proxy> {
  let condition: NetworkCondition = 'fine';
  let count = 0;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((near) => {
    count += 1;
    keep(near);
    if (condition === 'reset') near.resetAndDestroy();
    else if (condition === 'html') near.on('data', () => near.write(PAGE));
    else if (condition === 'half-closed') near.once('data', () => near.end(HALF));
    else if (condition === 'hang') near.resume();
    else pass(near, keep(connect(target, '127.0.0.1')), condition);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => count,
    set(next) {
      condition = next;
      for (const socket of sockets) socket.destroy();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function pass(near: Socket, far: Socket, condition: Extract<NetworkCondition, object> | 'fine'): void {
  const latency = condition !== 'fine' && 'latency' in condition ? condition.latency : 0;
  const pause = condition !== 'fine' && 'bytePause' in condition ? condition.bytePause : 0;
  near.on('data', (chunk) => {
    setTimeout(() => far.writable && far.write(chunk), latency);
  });
  let at = 0;
  far.on('data', (chunk) => {
    const pieces = pause === 0 ? [chunk] : Array.from(chunk, (byte) => Buffer.of(byte));
    for (const piece of pieces) {
      at += pause;
      setTimeout(() => near.writable && near.write(piece), latency + at).unref();
    }
  });
  near.on('close', () => far.destroy());
  far.on('close', () => {
    near.destroySoon();
  });
}
