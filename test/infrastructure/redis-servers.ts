import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../support/free-port.js';

/** How long a node may be silent before it counts as failed, in milliseconds. Production uses 15 seconds or more. */
const NODE_TIMEOUT = 1500;

const HOST = '127.0.0.1';

export interface Node {
  host: string;
  port: number;
}

interface RunningNode extends Node {
  process: ChildProcess;
  /** Restarts it with the same settings and data. */
  start: () => void;
}

/** Runs a redis-cli command and returns its output. */
export async function redisCli(port: number, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('redis-cli', ['-h', HOST, '-p', String(port), ...args]);
  return stdout.trim();
}

/** Starts and stops the Redis processes of one test, each in a separate folder. */
class Nodes {
  readonly #folder = mkdtempSync(join(tmpdir(), 'authkit-infrastructure-'));
  readonly #all: RunningNode[] = [];

  async start(port: number, config: readonly string[], ...args: string[]): Promise<RunningNode> {
    const folder = join(this.#folder, String(port));
    mkdirSync(folder);
    const file = join(folder, 'redis.conf');
    const lines = [`port ${port}`, `bind ${HOST}`, `dir ${folder}`, 'save ""', 'loglevel warning', ...config];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const run = () => spawn('redis-server', [file, ...args], { stdio: 'ignore' });
    const node: RunningNode = {
      host: HOST,
      port,
      process: run(),
      start: () => {
        node.process = run();
      },
    };
    this.#all.push(node);
    await this.#isReachable(port);
    return node;
  }

  async kill(port: number): Promise<RunningNode> {
    const node = this.#all.find((one) => one.port === port);
    if (!node) throw new Error(`no node at port ${port}`);
    await end(node.process);
    return node;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map(({ process }) => end(process)));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #isReachable(port: number): Promise<void> {
    await until(
      `redis-server at port ${port} answers`,
      async () => (await redisCli(port, 'ping')) === 'PONG',
    );
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Waits until a condition holds. A condition that throws does not hold yet. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await holds().catch(() => false)) return;
    await wait(100);
  }
  throw new Error(`it did not come about that ${what}`);
}

export interface RedisCluster {
  nodes: Node[];
  /** Kills a master with SIGKILL. Resolves once its replica has taken over. */
  killMaster: () => Promise<Node>;
  /** Restarts the killed node, which becomes a replica. */
  revive: (node: Node) => Promise<void>;
  /** Moves this many hash slots from all masters to one of them. */
  reshard: (slots: number) => Promise<void>;
  stop: () => Promise<void>;
}

/** Starts a Redis Cluster of three masters with one replica each. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const nodes = new Nodes();
  const running: RunningNode[] = [];
  for (let index = 0; index < 6; index += 1) {
    const [port, bus] = [await freePort(), await freePort()];
    const config = [
      'cluster-enabled yes',
      `cluster-port ${bus}`,
      `cluster-node-timeout ${NODE_TIMEOUT}`,
      'cluster-replica-validity-factor 0',
      'repl-diskless-sync-delay 0',
      'appendonly no',
    ];
    running.push(await nodes.start(port, config));
  }
  const addresses = running.map(({ host, port }) => `${host}:${port}`);
  const [{ port: first }] = running as [RunningNode, ...RunningNode[]];
  await redisCli(first, '--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes');
  const living = () =>
    running.find(({ process }) => process.exitCode === null && process.signalCode === null)!;
  const isHealthy = async () => {
    const states = await Promise.all(
      running
        .filter(({ process }) => process.exitCode === null && process.signalCode === null)
        .map(({ port }) => redisCli(port, 'cluster', 'info')),
    );
    return states.every((state) => state.includes('cluster_state:ok'));
  };
  const isReplicated = async () => {
    const replicas = (await listNodes(living().port)).filter(({ flags }) => flags.includes('slave'));
    const links = await Promise.all(replicas.map(({ port }) => redisCli(port, 'info', 'replication')));
    return links.length === 3 && links.every((link) => link.includes('master_link_status:up'));
  };
  await until('the cluster is healthy', isHealthy);
  await until('every master has a replica', isReplicated);
  return {
    nodes: running.map(({ host, port }) => ({ host, port })),
    async killMaster() {
      const master = (await listNodes(living().port)).find(
        ({ flags }) => flags.includes('master') && !flags.includes('fail'),
      )!;
      const killed = await nodes.kill(master.port);
      await until('the replica of the killed master has taken over', async () => {
        const now = await listNodes(living().port);
        return now.some(({ id, flags }) => id === master.id && flags.includes('fail')) && (await isHealthy());
      });
      return killed;
    },
    async revive({ port }) {
      running.find((node) => node.port === port)!.start();
      await until('the revived node is a replica', isReplicated);
    },
    async reshard(slots) {
      const masters = (await listNodes(living().port)).filter(
        ({ flags }) => flags.includes('master') && !flags.includes('fail'),
      );
      const target = masters.at(-1)!;
      const where = ['--cluster-from', 'all', '--cluster-to', target.id, '--cluster-slots', String(slots)];
      await redisCli(first, '--cluster', 'reshard', `${HOST}:${living().port}`, ...where, '--cluster-yes');
      await until('the cluster is healthy', isHealthy);
    },
    stop: () => nodes.stop(),
  };
}

async function listNodes(port: number) {
  const lines = (await redisCli(port, 'cluster', 'nodes')).split('\n');
  return lines.map((line) => {
    const [id = '', address = '', flags = ''] = line.split(' ');
    return { id, port: Number(/:(\d+)@/.exec(address)?.[1]), flags: flags.split(',') };
  });
}

export interface RedisSentinels {
  name: string;
  sentinels: Node[];
  /** Kills the master with SIGKILL. Resolves once the sentinels have promoted a replica. */
  failOver: () => Promise<Node>;
  revive: (node: Node) => Promise<void>;
  stop: () => Promise<void>;
}

/** Starts a Redis master with two replicas, and three sentinels that monitor it. */
export async function startRedisSentinels(): Promise<RedisSentinels> {
  const name = 'authkit';
  const nodes = new Nodes();
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const config = ['appendonly no', 'repl-diskless-sync-delay 0'];
  await nodes.start(ports[0], config);
  for (const port of ports.slice(1)) await nodes.start(port, [...config, `replicaof ${HOST} ${ports[0]}`]);
  const sentinels: Node[] = [];
  for (let index = 0; index < 3; index += 1) {
    const port = await freePort();
    const watched = [
      `sentinel monitor ${name} ${HOST} ${ports[0]} 2`,
      `sentinel down-after-milliseconds ${name} ${NODE_TIMEOUT}`,
      `sentinel failover-timeout ${name} 5000`,
    ];
    const { host } = await nodes.start(port, watched, '--sentinel');
    sentinels.push({ host, port });
  }
  const [{ port: first }] = sentinels as [Node];
  const master = async () =>
    Number((await redisCli(first, 'sentinel', 'get-master-addr-by-name', name)).split('\n')[1]);
  const areAllKnown = async () => {
    const text = await redisCli(first, 'sentinel', 'ckquorum', name);
    const replicas = (await redisCli(first, 'sentinel', 'replicas', name)).match(/master-link-status\nok/g);
    return text.startsWith('OK 3 usable') && replicas?.length === 2;
  };
  await until('the sentinels know each other and two replicas', areAllKnown);
  return {
    name,
    sentinels,
    async failOver() {
      const before = await master();
      const killed = await nodes.kill(before);
      await until('a replica is the master', async () => {
        const now = await master();
        return now !== before && (await redisCli(now, 'role')).startsWith('master');
      });
      return killed;
    },
    async revive(node) {
      (node as RunningNode).start();
      await until('the former master is a replica', areAllKnown);
    },
    stop: () => nodes.stop(),
  };
}
