import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BARE, OURS } from './contenders.js';
import { load, quantile } from './load.js';
import { request } from './scenarios.js';
import { cpuOf, start, type ServerOptions } from './server.js';
import { createSessions, type Sessions } from './sessions.js';

const CONNECTIONS = 16;
const MB = 2 ** 20;
const me = (cookie: string) => request('/me', `Cookie: ${cookie}`);

export interface Size {
  readonly cookieBytes: number;
  /** CPU time, in microseconds. */
  readonly bare: number;
  readonly hot: number;
  readonly cold: number;
}

/** Measures sessions from the smallest to the largest that fits into the headers that Node accepts. */
export async function sizes(options: ServerOptions, { signIn, freshOf }: Sessions): Promise<Size[]> {
  const rows: Size[] = [];
  for (const count of [0, 30, 80, 180, 280]) {
    const permissions = Array.from({ length: count }, (_, index) => `resource-${index}:read`);
    const cookie = await signIn({ user: 'person0@example.com', permissions });
    const pair = [await start(BARE, options), await start(OURS, options)] as const;
    const hot = () => me(cookie);
    const cold = freshOf(cookie);
    await Promise.all(pair.map((server) => cpuOf(server, { next: hot })));
    rows.push({
      cookieBytes: cookie.length,
      bare: await cpuOf(pair[0], { next: hot }),
      hot: await cpuOf(pair[1], { next: hot }),
      cold: await cpuOf(pair[1], { next: () => me(cold()) }),
    });
    await Promise.all(pair.map((server) => server.stop()));
  }
  return rows;
}

export interface Flood {
  readonly requests: number;
  /** CPU time per sign-in, in microseconds. */
  readonly cpu: number;
  /** In MB. Garbage is collected before and after. */
  readonly heapGrowth: number;
}

/** Sign-ins that are started and never finished. */
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
  /** The p99 latency, in milliseconds. */
  readonly usual: number;
  readonly during: number;
  readonly hanging: number;
}

/** The latency of a thousand users while WorkOS does not answer another user's refresh. */
export async function hang(options: ServerOptions): Promise<Hang> {
  const sessions = await createSessions(1000);
  const { workos, cookies } = sessions;
  const server = await start(OURS, { ...options, fixture: sessions.fixture });
  const expired = await workos.signIn({ user: 'person0@example.com', expiresIn: -60 });
  const requests = cookies.map((cookie) => me(cookie));
  let at = 0;
  const others = { port: server.port, connections: CONNECTIONS, milliseconds: 3000, expect: 200 };
  const next = () => requests[(at += 1) % requests.length] as Buffer;
  await load({ ...others, next });
  const usual = quantile(await load({ ...others, next }), 0.99);
  workos.fail({ on: 'refresh', hang: true });
  const hanging = 20;
  const stuck = load({
    port: server.port,
    next: () => me(expired),
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

export interface Install {
  readonly packages: number;
  readonly megabytes: number;
  readonly largest: string;
}

/** What `npm install authkit-express @workos-inc/node` installs in addition to Express. */
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

/** The packages of a `node_modules` by path, with their bytes. Nested packages count separately. */
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
