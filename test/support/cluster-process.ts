// One process of a cluster: started by test/support/cluster.ts with its settings as an argument, over IPC.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { createClient } from 'redis';
import { authkit, requireAuth, signedIn, type AuthKitOptions } from 'authkit-express';
import { redisStore } from 'authkit-express/redis';

export interface ProcessSettings {
  redis: string;
  authkit: AuthKitOptions;
  webhookSecret: string;
}

const { redis, authkit: options, webhookSecret } = JSON.parse(process.argv[2] ?? '{}') as ProcessSettings;

const client = createClient({ url: redis, socket: { reconnectStrategy: 100 } });
const store = redisStore(client);
await client.connect();
const auth = authkit({ ...options, store });
const app = express();
app.use(auth);
app.post('/webhooks/workos', auth.webhooks({ secret: webhookSecret }));
app.get('/account', requireAuth(), (req, res) => {
  const { user, sessionId } = signedIn(req) as { user: { email: string }; sessionId: string };
  res.json({ email: user.email, sessionId });
});
app.get('/memory', (_req, res) => {
  globalThis.gc?.();
  res.json({ pid: process.pid, heap: process.memoryUsage().heapUsed });
});

const server = createServer(app).listen(0, '127.0.0.1', () => {
  process.send?.((server.address() as AddressInfo).port);
});
// The old process of a rolling deploy ends when it has responded to its last request.
process.on('message', () => {
  server.close(() => {
    client.destroy();
    process.disconnect();
  });
  setInterval(() => {
    server.closeIdleConnections();
  }, 20).unref();
});
process.on('disconnect', () => process.exit());
