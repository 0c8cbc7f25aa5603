import { WebSocket } from 'ws';

/**
 * Opens a WebSocket and returns its first message, or the status of the response that refuses it. Like a browser, it
 * sends the address's own origin as `Origin`, unless `headers` contains a different one.
 */
export function firstMessage(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<string | number> {
  const address = new URL(url);
  const socket = new WebSocket(`ws://${address.host}${address.pathname}${address.search}`, {
    headers: { origin: address.origin, ...headers },
  });
  return new Promise<string | number>((resolve, reject) => {
    socket.on('message', (data: Buffer) => {
      resolve(data.toString());
      socket.close();
    });
    socket.on('unexpected-response', (_req, res) => {
      res.resume();
      resolve(res.statusCode ?? 0);
      socket.terminate();
    });
    socket.on('error', reject);
  });
}
