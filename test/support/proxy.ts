import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What the network does to a connection. */
export type Weather =
  | 'fine'
  /** Milliseconds each way. */
  | { latency: number }
  | 'reset'
  | 'hang'
  /** A head that promises more than comes, and the end of the stream. */
  | 'half-closed'
  /** The answer, one byte at a time: milliseconds between two. */
  | { bytePause: number }
  /** A page of the proxy's own. */
  | 'html';

export interface Proxy {
  readonly port: number;
  /** Connections so far. */
  readonly connections: () => number;
  /** Changes the weather, and drops what is connected: pooled connections die with it, as they do in an outage. */
  set: (weather: Weather) => void;
  close: () => Promise<void>;
}

const HTML = '<html><h1>502 Bad Gateway</h1></html>';
const PAGE = `HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: ${HTML.length}\r\n\r\n${HTML}`;
const HALF = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"user":';

/** A TCP proxy before a port of this machine, with weather. */
export async function createProxy(target: number): Promise<Proxy> {
  let weather: Weather = 'fine';
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
    if (weather === 'reset') near.resetAndDestroy();
    else if (weather === 'html') near.on('data', () => near.write(PAGE));
    else if (weather === 'half-closed') near.once('data', () => near.end(HALF));
    else if (weather === 'hang') near.resume();
    else pass(near, keep(connect(target, '127.0.0.1')), weather);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => count,
    set(next) {
      weather = next;
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

function pass(near: Socket, far: Socket, weather: Extract<Weather, object> | 'fine'): void {
  const latency = weather !== 'fine' && 'latency' in weather ? weather.latency : 0;
  const pause = weather !== 'fine' && 'bytePause' in weather ? weather.bytePause : 0;
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
