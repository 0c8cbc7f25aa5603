// What all contenders share: the responses, and how the benchmark controls the process of a contender.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInMemoryClient } from './in-memory.mjs';

/** Credentials, a user and tokens, which are the same for all contenders. */
export const fixture = JSON.parse(readFileSync(process.env.BENCH_FIXTURE, 'utf8'));

/** The profile of one of many users. */
export function person(req) {
  const number = new URL(req.url, 'http://localhost').searchParams.get('person') ?? '0';
  return { ...fixture.user, id: `user_${number}`, email: `person${number}@example.com` };
}

export const open = (_req, res) => {
  res.json({ ok: true });
};

/** Serves the app, and does what the benchmark asks for. */
export function contend(app) {
  const server = createServer(app);
  const send = createInMemoryClient(server);
  if (process.env.BENCH_FIRST_REQUEST) {
    void answerFirst(send, Buffer.from(process.env.BENCH_FIRST_REQUEST, 'latin1'));
    return;
  }
  let requests = [];
  let at = 0;
  const next = () => requests[at++ % requests.length];
  const answers = {
    usage: () => usage(),
    memory: () => {
      globalThis.gc?.();
      return usage();
    },
    cookies: ({ count }) => cookies(server.address().port, count),
    requests: ({ file }) => {
      requests = split(readFileSync(file));
      at = 0;
    },
    slice: async ({ count, concurrency, status }) => {
      const before = process.cpuUsage();
      await send({ next, count, concurrency, status });
      const { user, system } = process.cpuUsage(before);
      return (user + system) / count;
    },
  };
  server.listen(0, '127.0.0.1', () => {
    process.send({ port: server.address().port });
  });
  process.on('message', async ({ id, ask, ...options }) => {
    try {
      process.send({ id, answer: (await answers[ask](options)) ?? null });
    } catch (error) {
      console.error(error);
      process.exit(1);
    }
  });
  process.on('disconnect', () => process.exit());
}

/** For a process that is started for a single request: see start.mjs. */
async function answerFirst(send, request) {
  await send({ next: () => request, count: 1, concurrency: 1, status: 200 });
  globalThis.benchAnswered();
}

/** Requests without bodies, one after the other. */
function split(bytes) {
  const requests = [];
  for (let start = 0, end; start < bytes.length; start = end) {
    end = bytes.indexOf('\r\n\r\n', start) + 4;
    requests.push(bytes.subarray(start, end));
  }
  return requests;
}

function usage() {
  const { rss, heapUsed } = process.memoryUsage();
  return { cpu: process.cpuUsage(), rss, heap: heapUsed };
}

/** Signs users in by the contender's own means, as a browser would. */
async function cookies(port, count) {
  const headers = [];
  for (let number = 0; number < count; number += 1) {
    const response = await fetch(`http://127.0.0.1:${port}/sign-in?person=${number}`);
    const set = response.headers.getSetCookie().map((line) => line.split(';', 1)[0]);
    headers.push(set.join('; '));
  }
  return headers;
}
