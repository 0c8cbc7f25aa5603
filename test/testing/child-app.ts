// An application that is configured by its environment, and that clock.test.ts runs in a process of its own.
import { statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import express from 'express';
import { authkit, requireAuth, signedIn } from 'authkit-express';

const app = express();
app.use(authkit());
app.get('/account', requireAuth(), (req, res) => {
  res.send(signedIn(req).user.email);
});

/** What code asks of `Date`. */
app.get('/dates', (_req, res) => {
  class Appointment extends Date {}
  const { mtime } = statSync(fileURLToPath(import.meta.url));
  res.json({
    now: Date.now(),
    date: new Date().getTime(),
    subclass: new Appointment().getTime(),
    text: Date.parse((Date as unknown as () => string)()),
    given: [new Date(5).getTime(), new Date('1970-01-01').getTime(), new Date(2020, 1, 2, 3).getFullYear()],
    parsed: [Date.parse('1970-01-02'), Date.UTC(1970, 0, 3)],
    isDate: [new Date(), new Appointment(), mtime].map((date) => date instanceof Date),
    isAppointment: new Appointment() instanceof Appointment,
    isOfDate: [new Date().constructor === Date, mtime.constructor === Date, Date.name === 'Date'],
    clone: structuredClone(new Date(7)) instanceof Date,
  });
});
app.get('/worker', (_req, res) => {
  const code = 'import { parentPort } from "node:worker_threads"; parentPort.postMessage(Date.now());';
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  worker.once('message', (now) => res.json({ now: now as number }));
});

const server = app.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
// The application ends with the test.
process.stdin.resume().once('end', () => process.exit());
