import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from './free-port.js';

/** Debian keeps the programs of each version in a separate folder. */
function folderOfPrograms(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...(process.env['PATH'] ?? '').split(':'),
    ...versions.map((version) => join(debian, version, 'bin')),
  ];
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')));
}

const programs = folderOfPrograms();

/** Whether PostgreSQL is installed. Otherwise its tests are skipped, with a line that says so. */
export const hasPostgres = programs !== undefined;
if (!hasPostgres) console.log('skipped: tests that need PostgreSQL. Install postgresql.');

/** PostgreSQL refuses to run as root. */
function unprivileged(): SpawnOptions {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string, user: string) =>
    Number(spawnSync('id', [flag, user], { encoding: 'utf8' }).stdout.trim() || NaN);
  const user = ['postgres', 'nobody'].find((name) => Number.isInteger(idOf('-u', name)));
  return user === undefined ? {} : { uid: idOf('-u', user), gid: idOf('-g', user) };
}

export interface PostgresServer {
  readonly port: number;
  /** Returns a new pool that is connected to the server. */
  pool: (options?: pg.PoolConfig) => pg.Pool;
  /** @param whileDown Runs between the stop and the start. */
  restart: (whileDown?: () => Promise<unknown>) => Promise<void>;
  stop: () => Promise<void>;
}

/** Starts PostgreSQL with a new database in a temporary folder. */
export async function startPostgres(): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'authkit-postgres-'));
  const as = unprivileged();
  if (as.uid !== undefined) chownSync(folder, as.uid, as.gid ?? as.uid);
  const data = join(folder, 'data');
  const run = (name: string, args: string[]) =>
    spawnSync(join(programs!, name), args, { ...as, encoding: 'utf8', cwd: folder });
  const made = run('initdb', [
    '-D',
    data,
    '-U',
    'test',
    '--auth=trust',
    '--no-sync',
    '-E',
    'UTF8',
    '--locale=C',
  ]);
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const port = await freePort();
  const config = { host: '127.0.0.1', port, user: 'test', database: 'postgres' };
  let child: ChildProcess;
  const start = async () => {
    const settings = [
      '-c',
      'fsync=off',
      '-c',
      'max_connections=50',
      '-c',
      `unix_socket_directories=${folder}`,
    ];
    const args = ['-D', data, '-h', '127.0.0.1', '-p', String(port), ...settings];
    child = spawn(join(programs!, 'postgres'), args, { ...as, cwd: folder, stdio: 'ignore' });
    await reachable(config);
  };
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    // Requests a fast shutdown, which closes all connections.
    child.kill('SIGINT');
    await once(child, 'exit');
  };
  await start();
  return {
    port,
    pool: (options = {}) => new pg.Pool({ ...config, ...options }),
    restart: async (whileDown) => {
      await stop();
      await whileDown?.();
      await start();
    },
    stop: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function reachable(config: pg.ClientConfig): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const client = new pg.Client(config);
    try {
      await client.connect();
      await client.end();
      return;
    } catch {
      await wait(50);
    }
  }
  throw new Error('postgres did not start');
}
