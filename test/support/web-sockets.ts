import { WebSocket, WebSocketServer } from 'ws';
import type { TestApp } from './app.js';

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

/** Accepts the WebSockets of signed-in users, and sends each user's email address as the first message. */
export function greetSockets({ auth, site }: Pick<TestApp, 'auth' | 'site'>): void {
  const sockets = new WebSocketServer({ noServer: true });
  site.server.on('upgrade', (req, socket, head) => {
    void auth.authenticate(req).then(({ user }) => {
      if (user === null) socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
      else
        sockets.handleUpgrade(req, socket, head, (ws) => {
          ws.send(user.email);
        });
    });
  });
}
