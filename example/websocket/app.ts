// A WebSocket for signed-in users. An upgrade request has no response object, so the application authenticates it
// itself. authenticate() does not accept a request from a different origin, even with a valid session cookie
// (cross-site WebSocket hijacking).
import express from 'express';
import { WebSocketServer, type WebSocket } from 'ws';
import { authkit, type SignedIn } from 'authkit-express';

const app = express();
const auth = authkit();
app.use(auth);
app.get('/', auth.requireAuth(), (_req, res) => {
  res.send('<script>new WebSocket("/").onmessage = (event) => document.write(event.data)</script>');
});

export const server = app.listen(process.env['PORT'] ?? 3000);

const sockets = new WebSocketServer({ noServer: true });
server.on('upgrade', (req, socket, head) => {
  void auth.authenticate(req).then((result) => {
    if (result.type !== 'session')
      return socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
    sockets.handleUpgrade(req, socket, head, (webSocket) => {
      greet(webSocket, result);
    });
    return undefined;
  });
});

function greet(webSocket: WebSocket, { user }: SignedIn): void {
  webSocket.send(`Hello ${user.email}`);
  webSocket.on('message', (data: Buffer) => {
    webSocket.send(`${user.email}: ${data.toString()}`);
  });
}
