// What all contenders share: the answers, and how the benchmark talks to a contender's process.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

/** Credentials, a user, tokens: made by the benchmark, the same for everybody. */
export const fixture = JSON.parse(readFileSync(process.env.BENCH_FIXTURE, 'utf8'));

/** The profile of one of many people. */
export function person(req) {
  const number = new URL(req.url, 'http://localhost').searchParams.get('person') ?? '0';
  return { ...fixture.user, id: `user_${number}`, email: `person${number}@example.com` };
}

export const open = (_req, res) => {
  res.json({ ok: true });
};

/** Serves the application, and tells the benchmark what it asks. */
export function contend(app) {
  const server = createServer(app).listen(0, '127.0.0.1', () => {
    process.send({ port: server.address().port });
  });
  process.on('message', async ({ id, ask, count }) => {
    const answer = ask === 'cookies' ? await cookies(server.address().port, count) : usage(ask);
    process.send({ id, answer });
  });
  process.on('disconnect', () => process.exit());
}

function usage(ask) {
  if (ask === 'memory') globalThis.gc?.();
  return { cpu: process.cpuUsage(), rss: process.memoryUsage.rss(), heap: process.memoryUsage().heapUsed };
}

/** Signs people in by the contender's own means, as a browser would see it. */
async function cookies(port, count) {
  const headers = [];
  for (let number = 0; number < count; number += 1) {
    const response = await fetch(`http://127.0.0.1:${port}/sign-in?person=${number}`);
    const set = response.headers.getSetCookie().map((line) => line.split(';', 1)[0]);
    headers.push(set.join('; '));
  }
  return headers;
}
