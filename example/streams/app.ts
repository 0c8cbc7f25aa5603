// Server-sent events and a WebSocket that end with the session. Both stay open for hours, but a guard runs only when
// they begin, so each of them rechecks its session at intervals.
import type { IncomingMessage } from 'node:http';
import express from 'express';
import { WebSocketServer } from 'ws';
import { authkit, signedIn } from 'authkit-express';

const { PORT = '3000', CHECK_EVERY = '10000' } = process.env;

const app = express();
const auth = authkit();
app.use(auth);

/**
 * Calls `end` when a request's session has ended, its access token has expired, or its user has changed.
 *
 * @returns A function that stops the checks.
 */
function watchSession(req: IncomingMessage, end: () => void): () => void {
  const timer = setInterval(() => {
    void auth.authenticate(req).then((result) => {
      // An outage of WorkOS or of the store does not end a session.
      if (result.type !== null || result.reason === 'unavailable') return;
      clearInterval(timer);
      end();
    });
  }, Number(CHECK_EVERY));
  return () => {
    clearInterval(timer);
  };
}

app.get('/events', auth.requireAuth(), (req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  res.write(`data: Hello ${signedIn(req).user.email}\n\n`);
  // The browser opens the stream again by itself, and that request refreshes the session or is denied.
  res.on(
    'close',
    watchSession(req, () => res.end()),
  );
});

export const server = app.listen(PORT);

const sockets = new WebSocketServer({ noServer: true });
server.on('upgrade', (req, socket, head) => {
  void auth.authenticate(req).then(({ user }) => {
    if (user === null) return socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
    sockets.handleUpgrade(req, socket, head, (ws) => {
      ws.send(`Hello ${user.email}`);
      ws.on(
        'close',
        watchSession(req, () => {
          // 3000: "Unauthorized", as registered at IANA. The page requests /events or any other URL, and then connects again.
          ws.close(3000);
        }),
      );
    });
    return undefined;
  });
});
