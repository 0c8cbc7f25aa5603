import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import request from 'supertest';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type * as testing from '../../src/testing/index.js';
import { createTestWorkOS, type TestWorkOS } from '../../src/testing/index.js';
import { ROOT } from '../support/documentation.js';
import { start } from './application.js';

const MINUTE = 60_000;
const NOON = Date.UTC(2030, 0, 1, 12);

// Inside the repository, so that packages are found. The path contains characters that real paths have.
const cache = join(ROOT, 'node_modules/.cache');
mkdirSync(cache, { recursive: true });
const folder = mkdtempSync(join(cache, 'authkit é "clock" '));
const bundled = (name: string) => join(folder, `${name}.js`);

beforeAll(async () => {
  await build({
    absWorkingDir: ROOT,
    entryPoints: {
      app: 'test/testing/child-app.ts',
      testing: 'src/testing/index.ts',
      'preload-test-clock': 'src/testing/preload-test-clock.js',
      'elsewhere/testing': 'src/testing/index.ts',
    },
    outdir: folder,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
  });
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Starts the application in a process with the test WorkOS's environment. Returns its address. */
async function startApp(workos: TestWorkOS): Promise<string> {
  const child = spawn(process.execPath, [bundled('app')], {
    env: { PATH: process.env['PATH'], ...workos.env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
  });
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  return `http://127.0.0.1:${port.toString().trim()}`;
}

/** Runs a script with the test WorkOS's environment. Returns what it prints. */
async function printed(env: Readonly<Record<string, string>>, script: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { env });
  return stdout.trim();
}
const printNow = async ({ env }: TestWorkOS) => Number(await printed(env, 'console.log(Date.now())'));

describe('an application in a child process that has workos.env', () => {
  test('refreshes a session whose access token has expired by the clock of the test', async () => {
    const workos = await start();
    const app = await startApp(workos);
    const ada = await workos.signInAgent(request.agent(app), { user: 'ada@example.com' });
    await ada.get('/account').expect(200, 'ada@example.com');
    expect(workos.callsTo('refresh')).toHaveLength(0);
    workos.clock.advance(10 * MINUTE);
    await ada.get('/account').expect(200, 'ada@example.com');
    expect(workos.callsTo('refresh')).toHaveLength(1);
    await ada.get('/account').expect(200, 'ada@example.com');
    expect(workos.callsTo('refresh')).toHaveLength(1);
  });

  test('signs a user out whose session has ended, once the access token has expired', async () => {
    const workos = await start({ now: NOON });
    const app = await startApp(workos);
    const ada = await workos.signInAgent(request.agent(app), { user: 'ada@example.com' });
    await ada.get('/account').expect(200);
    workos.deleteUser('ada@example.com');
    workos.clock.advance(10 * MINUTE);
    await ada.get('/account').expect(401);
    expect(workos.callsTo('refresh')).toHaveLength(1);
  });

  test('has the new time in each request that is sent after clock.advance()', async () => {
    const workos = await start({ now: NOON });
    const agent = request.agent(await startApp(workos));
    const times: number[] = [];
    const expected: number[] = [];
    for (const step of [0, 1, 1000, MINUTE, -5 * MINUTE, 0.5, 365 * 24 * 60 * MINUTE]) {
      workos.clock.advance(step);
      expected.push(Math.trunc(workos.clock.now()));
      times.push(((await agent.get('/dates')).body as { now: number }).now);
    }
    expect(times).toEqual(expected);
  });

  test('has a Date that differs from the real one in nothing but the time', async () => {
    const workos = await start({ now: NOON });
    workos.clock.advance(1000);
    const response = await request(await startApp(workos)).get('/dates');
    const now = NOON + 1000;
    expect(response.body).toEqual({
      now,
      date: now,
      subclass: now,
      text: now,
      given: [5, 0, 2020],
      parsed: [24 * 60 * MINUTE, 48 * 60 * MINUTE],
      isDate: [true, true, true],
      isAppointment: true,
      isOfDate: [true, true, true],
      clone: true,
    });
  });

  test('has the same time in worker threads', async () => {
    const workos = await start({ now: NOON });
    const app = await startApp(workos);
    workos.clock.advance(MINUTE);
    await request(app)
      .get('/worker')
      .expect(200, { now: NOON + MINUTE });
  });

  test('also runs with real time, unless the clock of the test WorkOS stands still', async () => {
    const workos = await start();
    workos.clock.advance(60 * MINUTE);
    const before = workos.clock.now();
    const now = await printNow(workos);
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(workos.clock.now());
  });
});

describe('the variables of workos.env for the clock', () => {
  test('keep the NODE_OPTIONS of this process, also if workos.env was put into it', async () => {
    vi.stubEnv('NODE_OPTIONS', '--stack-trace-limit=7 --title="a b"');
    const workos = await start({ now: NOON });
    const { env } = workos;
    expect(env['NODE_OPTIONS']).toMatch(/^--stack-trace-limit=7 --title="a b" --import=file:\/\/\S+$/);
    expect(await printed(env, 'console.log(Error.stackTraceLimit, process.title, Date.now())')).toBe(
      `7 a b ${NOON}`,
    );
    vi.stubEnv('NODE_OPTIONS', env['NODE_OPTIONS']);
    expect(workos.env).toEqual(env);
    expect((await start()).env['NODE_OPTIONS']).toBe(env['NODE_OPTIONS']);
  });

  test('work from a path with spaces and other special characters', async () => {
    vi.stubEnv('TMPDIR', folder);
    const copy = (await import(pathToFileURL(bundled('testing')).href)) as typeof testing;
    const workos = await copy.createTestWorkOS({ now: NOON });
    expect(workos.env['AUTHKIT_TEST_CLOCK']).toContain(folder);
    workos.clock.advance(MINUTE);
    expect(await printNow(workos)).toBe(NOON + MINUTE);
    await workos.close();
  });

  test('name a file that close() removes, and that is only written if workos.env is read', async () => {
    const temporary = mkdtempSync(join(tmpdir(), 'authkit-clock-test-'));
    onTestFinished(() => {
      rmSync(temporary, { recursive: true });
    });
    vi.stubEnv('TMPDIR', temporary);
    const workos = await createTestWorkOS({ now: NOON });
    workos.clock.advance(MINUTE);
    expect(readdirSync(temporary)).toEqual([]);
    const { env } = workos;
    expect(existsSync(env['AUTHKIT_TEST_CLOCK']!)).toBe(true);
    expect(await printNow(workos)).toBe(NOON + MINUTE);
    await workos.close();
    expect(readdirSync(temporary)).toEqual([]);
    workos.clock.advance(MINUTE);
    expect(workos.env).not.toHaveProperty('AUTHKIT_TEST_CLOCK');
    expect(readdirSync(temporary)).toEqual([]);
    // A process that starts afterwards has real time.
    expect(Number(await printed(env, 'console.log(Date.now())'))).toBeLessThan(NOON);
  });

  test('leave the time in a process that is still running as it was when the test WorkOS was closed', async () => {
    const workos = await createTestWorkOS({ now: NOON });
    const app = await startApp(workos);
    workos.clock.advance(MINUTE);
    await workos.close();
    const response = await request(app).get('/dates');
    expect(response.body).toMatchObject({ now: NOON + MINUTE });
  });

  test('say what to do if a bundler has copied the test WorkOS without the module for child processes', async () => {
    const copy = (await import(pathToFileURL(bundled('elsewhere/testing')).href)) as typeof testing;
    const workos = await copy.createTestWorkOS();
    expect(() => workos.env).toThrow(/mark authkit-express as external/);
    await workos.close();
  });
});
