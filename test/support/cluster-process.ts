// One process of a cluster. test/support/cluster.ts starts it over IPC, with its settings as an argument.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { authkit, requireAuth, signedIn, type AuthKitOptions } from 'authkit-express';
import { connectStore, type StoreSettings } from './cluster-store.js';

export interface ProcessSettings {
  store: StoreSettings;
  authkit: AuthKitOptions;
  webhookSecret: string;
  /** How far the clock of this process is ahead, in milliseconds; negative if it is behind. Default 0. */
  clockOffset?: number;
}

const settings = JSON.parse(process.argv[2] ?? '{}') as ProcessSettings;
const { clockOffset = 0, webhookSecret } = settings;

const { store, close } = await connectStore(settings.store);
const clock = clockOffset === 0 ? {} : { now: () => Date.now() + clockOffset };
const auth = authkit({ ...settings.authkit, ...clock, store });
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
// In a rolling deploy, the old process ends after it has responded to its last request.
process.on('message', () => {
  server.close(() => {
    void close();
    process.disconnect();
  });
  setInterval(() => {
    server.closeIdleConnections();
  }, 20).unref();
});
process.on('disconnect', () => process.exit());
