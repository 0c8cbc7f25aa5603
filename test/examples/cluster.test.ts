import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createTestWorkOS } from 'authkit-express/testing';
import { FETCH, send } from '../support/browser.js';
import { bundle } from '../support/bundle.js';
import { ROOT } from '../support/documentation.js';
import { environmentOf } from '../support/example.js';
import { hasRedis, redisServer } from '../support/redis.js';
import { freePort } from '../support/free-port.js';

describe.skipIf(!hasRedis)('cluster', () => {
  test('refreshes once across its processes, and signs out of both', async () => {
    const { url: REDIS_URL } = await redisServer();
    const workos = await createTestWorkOS();
    onTestFinished(() => workos.close());
    const port = await freePort();
    const origin = `http://localhost:${port}`;
    const program = await bundle('cluster-example', { entryPoints: ['example/cluster/app.ts'] });
    const child = spawn(process.execPath, [program], {
      cwd: ROOT,
      env: {
        PATH: process.env['PATH'],
        REDIS_URL,
        PORT: String(port),
        ...environmentOf(workos, `${origin}/callback`),
      },
    });
    onTestFinished(async () => {
      child.kill();
      await once(child, 'exit');
    });
    let printed = '';
    child.stderr.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    while (!/worker 1[^]*worker 2|worker 2[^]*worker 1/.test(printed)) {
      await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
      if (child.exitCode !== null) throw new Error(printed);
    }

    const cookie = await workos.signIn({ user: 'ada@example.com', expiresIn: -1 });
    const ask = async (with_: string) => send(`${origin}/`, { headers: { ...FETCH, cookie: with_ } });
    const replies = await Promise.all(Array.from({ length: 12 }, () => ask(cookie)));
    expect(replies.map(({ status }) => status)).toEqual(Array(12).fill(200));
    const workers = replies.map(({ body }) => (JSON.parse(body) as { worker: number }).worker);
    expect(new Set(workers)).toEqual(new Set([1, 2]));
    expect(workos.callsTo('refresh')).toHaveLength(1);

    const renewed = /^wos-session=[^;]+/.exec(replies[0]!.setCookies[0]!)![0];
    const out = await send(`${origin}/logout`, { method: 'POST', headers: { ...FETCH, cookie: renewed } });
    expect(out.status).toBe(200);
    // Each worker reads the store at intervals, not on every request.
    const statuses = async () => {
      const after = await Promise.all(Array.from({ length: 6 }, () => ask(renewed)));
      return [...new Set(after.map(({ status }) => status))];
    };
    await expect.poll(statuses, { timeout: 10_000 }).toEqual([401]);
  });
});
