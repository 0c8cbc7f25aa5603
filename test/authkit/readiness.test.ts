import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { authkit, type Readiness } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { createJWKS } from '../../src/workos/jwks.js';
import { FETCH, send } from '../support/browser.js';
import { mapStore } from '../support/map-store.js';
import { createTestApp, json, type TestAppOptions } from '../support/app.js';

vi.unmock('../../src/workos/preload-keys.js');

const PROBE: TestAppOptions['routes'] = (app, auth) => {
  app.route('/readyz', async (_req, res) => {
    const readiness = await auth.ready();
    res.statusCode = readiness.ready ? 200 : 503;
    json(res, readiness);
  });
};

async function probe({ origin }: { origin: string }): Promise<{ status: number; body: Readiness }> {
  const { status, body } = await send(`${origin}/readyz`);
  return { status, body: JSON.parse(body) as Readiness };
}

test('19E a process is ready once its keys are loaded, its store works and its clock is right', async () => {
  const map = new Map<string, string>();
  const at = await createTestApp('express5', { authkit: { store: mapStore(map) }, routes: PROBE });
  // A probe does not wait long for the keys, and the machine may be busy.
  await expect.poll(async () => (await probe(at)).status, { timeout: 30_000 }).toBe(200);
  const { status, body } = await probe(at);
  expect({ status, body }).toEqual({
    status: 200,
    body: {
      ready: true,
      checks: {
        keys: { ok: true, age: expect.any(Number) as number },
        store: { ok: true },
        clock: { ok: true, offset: 0 },
      },
      workos: { circuit: 'closed' },
    },
  });
  expect(map.size).toBe(1);
  // Probes do not fetch the keys again, and the store holds one entry per process.
  for (let count = 0; count < 5; count += 1) expect((await probe(at)).status).toBe(200);
  expect(at.workos.callsTo('jwks')).toHaveLength(1);
  expect(map.size).toBe(1);
});

test('19E an outage of WorkOS is reported, and a process that has keys stays ready', async () => {
  const at = await createTestApp('express5', { routes: PROBE });
  await expect.poll(async () => (await probe(at)).status, { timeout: 30_000 }).toBe(200);
  at.workos.fail({ on: 'refresh', status: 429, headers: { 'retry-after': '60' } });
  at.workos.fail({ on: 'jwks', status: 503 });
  const cookie = await at.cookie();
  at.workos.clock.advance(601_000);
  await send(`${at.origin}/account`, { headers: { ...FETCH, cookie } });
  const { status, body } = await probe(at);
  expect(status).toBe(200);
  expect(body.workos).toEqual({ circuit: 'open' });
  expect(body.checks.keys).toMatchObject({ ok: true });
  expect(body.checks.keys.age).toBeGreaterThan(600_000);
});

test.each<[string, TestAppOptions, keyof Readiness['checks'], string]>([
  [
    'the store is down',
    { authkit: { store: { ...mapStore(), set: () => Promise.reject(new Error('down')) } } },
    'store',
    'writes',
  ],
  [
    'the store cannot be read',
    { authkit: { store: { ...mapStore(), get: () => Promise.reject(new Error('down')) } } },
    'store',
    'reads',
  ],
  [
    'the store forgets',
    { authkit: { store: { ...mapStore(), get: async () => undefined } } },
    'store',
    'primary',
  ],
  [
    'the store answers with something else',
    { authkit: { store: { ...mapStore(), get: async () => '1.x.other' } } },
    'store',
    'primary',
  ],
  [
    'the store answers with another type',
    { authkit: { store: { ...mapStore(), get: async () => ({ then: 7 }) as never } } },
    'store',
    'primary',
  ],
  [
    'the store never answers',
    { authkit: { timeout: 500, store: { ...mapStore(), set: () => new Promise(() => undefined) } } },
    'store',
    'store',
  ],
  ['the clock is ahead', { authkit: { now: () => Date.now() + 120_000 } }, 'clock', ' s ahead of'],
  ['the clock is behind', { authkit: { now: () => Date.now() - 3_600_000 } }, 'clock', ' s behind'],
  ['there are no keys', { authkit: { apiPort: 1 } }, 'keys', 'signing keys'],
])('19E a process is not ready if %s', async (_, options, check, problem) => {
  const at = await createTestApp('express5', { ...options, routes: PROBE });
  const { status, body } = await probe(at);
  expect(status).toBe(503);
  const wrong = Object.entries(body.checks).filter(([, { ok }]) => !ok);
  expect(wrong.map(([name]) => name)).toEqual([check]);
  expect(body.checks[check].problem).toContain(problem);
});

test('19E a process whose keys are garbage or never come is not ready, and answers in time', async () => {
  const at = await createTestApp('express5', { authkit: { timeout: 500 }, routes: PROBE });
  at.workos.fail({ on: 'jwks', hang: true });
  const { status, body } = await probe(at);
  expect(status).toBe(503);
  expect(body.checks.keys.ok).toBe(false);
});

test('19E a clock that was set is compared with that of WorkOS again', async () => {
  let skew = 0;
  const at = await createTestApp('express5', { authkit: { now: () => Date.now() + skew }, routes: PROBE });
  expect((await probe(at)).status).toBe(200);
  skew = 300_000;
  expect((await probe(at)).body.checks.clock).toMatchObject({ ok: false });
  skew = 0;
  expect((await probe(at)).body.checks.clock.ok).toBe(true);
});

test('19E the keys are fetched at start, before any request', async () => {
  const at = await createTestApp('express5');
  await expect.poll(() => at.workos.callsTo('jwks').length).toBe(1);
  expect(
    (await send(`${at.origin}/account`, { headers: { ...FETCH, cookie: await at.cookie() } })).status,
  ).toBe(200);
  expect(at.workos.callsTo('jwks')).toHaveLength(1);
});

test('19E keys that cannot be fetched at start do not fail the first request', async () => {
  const workos = await createTestWorkOS();
  onTestFinished(() => workos.close());
  workos.fail({ on: 'jwks', status: 500, times: 1 });
  const at = await createTestApp('express5', {
    authkit: { apiPort: workos.options.apiPort },
  });
  await expect.poll(() => workos.callsTo('jwks').length).toBe(1);
  expect((await at.auth.ready()).checks.keys.ok).toBe(false);
});

test('19E a request does not share the end of a fetch that failed because the process was frozen', async () => {
  const workos = await createTestWorkOS();
  onTestFinished(() => workos.close());
  let calls = 0;
  const keys = createJWKS({
    clientId: 'client_1',
    fetchKeys: async () => {
      calls += 1;
      if (calls === 1) {
        await wait(100);
        throw new Error('frozen');
      }
      return { keys: [] };
    },
    now: Date.now,
    softTimeout: 1000,
  });
  void keys.load();
  expect((await keys.find('kid')).kind).toBe('unavailable');
  expect(calls).toBe(2);
});

test('19E an instance that is created and not used keeps no process alive', async () => {
  const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  authkit({
    clientId: 'client_1',
    apiKey: 'sk_1',
    redirectUri: 'http://localhost:1/callback',
    cookiePassword: 'correct-horse-battery-staple-0123456789',
    apiHostname: '127.0.0.1',
    apiHttps: false,
    apiPort: 1,
  });
  expect(process.getActiveResourcesInfo().filter((name) => name === 'Timeout')).toHaveLength(before);
  await wait(100);
});
