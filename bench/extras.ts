import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from './compare.js';
import { BARE, OURS, type Contender } from './contenders.js';
import { load, quantile, type LoadOptions } from './load.js';
import { start, type Server, type ServerOptions } from './server.js';
import { createSessions, type Sessions } from './sessions.js';

const CONNECTIONS = 16;
const MB = 2 ** 20;

/** Microseconds of CPU a request, over a stretch of load. */
async function cpuOf(
  server: Server,
  part: Partial<LoadOptions> & Pick<LoadOptions, 'next'>,
): Promise<number> {
  const before = await server.usage();
  const options = { connections: CONNECTIONS, milliseconds: 1500, expect: 200, ...part };
  const { requests } = await load({ port: server.port, ...options });
  return ((await server.usage()).cpu - before.cpu) / requests;
}

/** After so many distinct sessions through one process. */
export interface Growth {
  readonly sessions: number;
  /** Microseconds of CPU for a session that is new here, and for the latest ones once more. */
  readonly cold: number;
  readonly warm: number;
  /** MB, after a collection. */
  readonly heap: number;
  readonly rss: number;
}

export async function grow(
  options: ServerOptions,
  { cookies, fresh }: Sessions,
  most: number,
): Promise<Growth[]> {
  const server = await start(OURS, options);
  await cpuOf(server, { next: () => request('/me', cookies[0]) });
  const rows: Growth[] = [];
  let seen = 0;
  for (let total = 1; total <= most; total *= 10) {
    const latest: Buffer[] = [];
    const next = () => {
      const made = request('/me', fresh());
      if (latest.push(made) > 1000) latest.shift();
      return made;
    };
    const left = { atMost: total - seen, milliseconds: Infinity };
    const cold = await cpuOf(server, { next, ...left });
    seen = total;
    let at = 0;
    const warm = await cpuOf(server, { next: () => latest[(at += 1) % latest.length] as Buffer });
    const { heap, rss } = await server.usage(true);
    rows.push({ sessions: total, cold, warm, heap: heap / MB, rss: rss / MB });
  }
  await server.stop();
  return rows;
}

export interface Size {
  readonly cookieBytes: number;
  /** Microseconds of CPU. */
  readonly bare: number;
  readonly hot: number;
  readonly cold: number;
}

/** From the smallest session to what Node takes as headers. */
export async function sizes(options: ServerOptions, { workos, freshOf }: Sessions): Promise<Size[]> {
  const rows: Size[] = [];
  for (const count of [0, 30, 80, 180, 280]) {
    const permissions = Array.from({ length: count }, (_, index) => `resource-${index}:read`);
    const cookie = await workos.signIn({ user: 'person0@example.com', permissions });
    const pair = [await start(BARE, options), await start(OURS, options)] as const;
    const hot = () => request('/me', cookie);
    const cold = freshOf(cookie);
    await Promise.all(pair.map((server) => cpuOf(server, { next: hot })));
    rows.push({
      cookieBytes: cookie.length,
      bare: await cpuOf(pair[0], { next: hot }),
      hot: await cpuOf(pair[1], { next: hot }),
      cold: await cpuOf(pair[1], { next: () => request('/me', cold()) }),
    });
    await Promise.all(pair.map((server) => server.stop()));
  }
  return rows;
}

export interface Flood {
  readonly requests: number;
  /** Microseconds each. */
  readonly cpu: number;
  /** MB, after a collection before and after. */
  readonly heapGrowth: number;
}

/** Visitors who start a sign-in and never finish it. */
export async function flood(options: ServerOptions): Promise<Flood> {
  const server = await start(OURS, options);
  const next = () => request('/login?returnTo=/account');
  await cpuOf(server, { next, expect: 302 });
  const before = await server.usage(true);
  const requests = 10_000;
  const cpu = await cpuOf(server, { next, expect: 302, atMost: requests, milliseconds: Infinity });
  const after = await server.usage(true);
  await server.stop();
  return { requests, cpu, heapGrowth: (after.heap - before.heap) / MB };
}

export interface Hang {
  /** p99 in milliseconds. */
  readonly usual: number;
  readonly during: number;
  readonly hanging: number;
}

/** A thousand people at work, and one whose refresh WorkOS does not answer. */
export async function hang(options: ServerOptions): Promise<Hang> {
  const sessions = await createSessions(1000);
  const { workos, cookies } = sessions;
  const server = await start(OURS, { ...options, fixture: sessions.fixture });
  const expired = await workos.signIn({ user: 'person0@example.com', expiresIn: -60 });
  const requests = cookies.map((cookie) => request('/me', cookie));
  let at = 0;
  const others = { port: server.port, connections: CONNECTIONS, milliseconds: 3000, expect: 200 };
  const next = () => requests[(at += 1) % requests.length] as Buffer;
  await load({ ...others, next });
  const usual = quantile(await load({ ...others, next }), 0.99);
  workos.fail({ on: 'refresh', hang: true });
  const hanging = 20;
  const stuck = load({
    port: server.port,
    next: () => request('/me', expired),
    connections: hanging,
    milliseconds: Infinity,
    expect: 503,
    atMost: hanging,
  });
  const during = quantile(await load({ ...others, next }), 0.99);
  await stuck;
  await server.stop();
  await sessions.close();
  return { usual, during, hanging };
}

export interface Import {
  readonly name: string;
  readonly milliseconds: number;
}

/** What importing a package adds to a process that has Express already; the median of nine. */
export function importTimes(node: string, contenders: readonly Contender[]): Import[] {
  return contenders.flatMap(({ name, imports }) => {
    if (imports === undefined) return [];
    const code = `await import('express'); const t = performance.now(); await import('${imports}'); console.log(performance.now() - t);`;
    const cwd = join(import.meta.dirname, 'contenders');
    const times = Array.from({ length: 9 }, () =>
      Number(execFileSync(node, ['--input-type=module', '-e', code], { cwd, encoding: 'utf8' })),
    );
    return [{ name, milliseconds: times.sort((a, b) => a - b)[4] as number }];
  });
}

export interface Install {
  readonly packages: number;
  readonly megabytes: number;
  readonly largest: string;
}

/** What `npm install authkit-express @workos-inc/node` brings beside what Express has brought. */
export function installed(): Install {
  const root = join(import.meta.dirname, '..');
  const folder = mkdtempSync(join(tmpdir(), 'authkit-express-install-'));
  try {
    const npm = (...args: string[]) => execFileSync('npm', args, { cwd: folder, encoding: 'utf8' });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    npm('install', '--no-audit', '--no-fund', 'express@5');
    const before = packagesIn(join(folder, 'node_modules'));
    const [packed] = JSON.parse(
      npm('pack', '--json', '--ignore-scripts', '--pack-destination', folder, root),
    ) as [{ filename: string }];
    npm('install', '--no-audit', '--no-fund', '@workos-inc/node@11', join(folder, packed.filename));
    const added = [...packagesIn(join(folder, 'node_modules'))].filter(([name]) => !before.has(name));
    const sorted = added.sort(([, a], [, b]) => b - a);
    return {
      packages: added.length,
      megabytes: added.reduce((sum, [, size]) => sum + size, 0) / MB,
      largest: sorted
        .slice(0, 4)
        .map(([name, size]) => `${name} ${(size / MB).toFixed(1)}`)
        .join(', '),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Packages of a `node_modules` by path, with their bytes; nested ones count for themselves. */
function packagesIn(modules: string, found = new Map<string, number>(), prefix = ''): Map<string, number> {
  for (const name of readdirSync(modules)) {
    if (name.startsWith('.')) continue;
    const path = join(modules, name);
    if (name.startsWith('@')) {
      packagesIn(path, found, `${prefix}${name}/`);
      continue;
    }
    found.set(prefix + name, sizeOf(path));
    if (readdirSync(path).includes('node_modules'))
      packagesIn(join(path, 'node_modules'), found, `${prefix}${name} > `);
  }
  return found;
}

function sizeOf(path: string): number {
  if (!statSync(path).isDirectory()) return statSync(path).size;
  return readdirSync(path)
    .filter((name) => name !== 'node_modules')
    .reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}
