/** `npm run bench`: see README.md beside this file. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { chart } from './chart.js';
import { compare, SCENARIOS } from './compare.js';
import { CONTENDERS, REDIS_PORT, type Contender } from './contenders.js';
import { flood, grow, hang, importTimes, installed, sizes } from './extras.js';
import { report, summarize, type Report, type VersionReport } from './report.js';
import { createSessions, type Sessions } from './sessions.js';

const FOLDER = import.meta.dirname;
const EXTRAS = ['scale', 'size', 'login', 'hang', 'import', 'install'] as const;
type Extra = (typeof EXTRAS)[number];

const {
  values: { out, ...options },
} = parseArgs({
  options: {
    node: { type: 'string', default: '20,22,24' },
    run: { type: 'string', default: [...SCENARIOS, ...EXTRAS].join() },
    only: { type: 'string', default: '' },
    rounds: { type: 'string', default: '31' },
    milliseconds: { type: 'string', default: '100' },
    connections: { type: 'string', default: '16' },
    sessions: { type: 'string', default: '1000000' },
    out: { type: 'string', default: `${FOLDER}/results` },
  },
});
const chosen = options.run.split(',');
const only = ({ name }: Contender) =>
  options.only === '' || options.only.split(',').some((part) => name.includes(part));

/** The servers get one core, and we the other, where the system can do that. */
const canPin = spawnable('taskset') && cpus().length > 1;

async function main(): Promise<void> {
  if (!existsSync(`${FOLDER}/contenders/node_modules`)) {
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: `${FOLDER}/contenders`, stdio: 'inherit' });
  }
  if (canPin) execFileSync('taskset', ['-pc', '1', String(process.pid)], { stdio: 'ignore' });
  const redis = await startRedis();
  const sessions = await createSessions(1000);
  try {
    const versions = [];
    for (const version of options.node.split(',')) {
      versions.push(await measure(version, sessions, redis));
      // After each, so that a long run that is broken off leaves what it has.
      write({ date: new Date().toISOString(), machine: machine(), options, versions });
    }
  } finally {
    await sessions.close();
    redis?.kill();
  }
}

async function measure(
  version: string,
  sessions: Sessions,
  redis: ChildProcess | undefined,
): Promise<VersionReport> {
  const node = nodeOf(version);
  const server = { node, fixture: sessions.fixture, core: canPin ? 0 : undefined };
  const done: VersionReport = {
    node: execFileSync(node, ['-v'], { encoding: 'utf8' }).trim(),
    scenarios: [],
  };
  for (const scenario of SCENARIOS.filter((name) => chosen.includes(name))) {
    say(`${done.node} ${scenario}`);
    const results = await compare(scenario, {
      server,
      sessions,
      only: (contender) => only(contender) && (contender.env === undefined || redis !== undefined),
      rounds: Number(options.rounds),
      milliseconds: Number(options.milliseconds),
      connections: Number(options.connections),
    });
    const summary = summarize(results);
    for (const { name, ratio, cpu } of summary)
      say(`  ${name.padEnd(26)} ${ratio.median.toFixed(2)} of Express 5, ${cpu.median.toFixed(0)} µs`);
    done.scenarios.push({ name: scenario, contenders: summary });
  }
  const extra = async <K extends Extra>(name: K, run: () => Promise<VersionReport[K]>) => {
    // Curves have one shape on all versions: they are drawn on the latest.
    if (!chosen.includes(name) || (name !== 'import' && version !== options.node.split(',').at(-1))) return;
    say(`${done.node} ${name}`);
    done[name] = await run();
    say(`  ${JSON.stringify(done[name])}`);
  };
  await extra('scale', () => grow(server, sessions, Number(options.sessions)));
  await extra('size', () => sizes(server, sessions));
  await extra('login', () => flood(server));
  await extra('hang', () => hang(server));
  await extra('import', () => Promise.resolve(importTimes(node, CONTENDERS.filter(only))));
  await extra('install', () => Promise.resolve(installed()));
  return done;
}

/** The same name as the day: a second run of a day replaces the first. */
function write(result: Report): void {
  mkdirSync(out, { recursive: true });
  const base = `${out}/${result.date.slice(0, 10)}`;
  writeFileSync(`${base}.json`, `${JSON.stringify(result, undefined, 2)}\n`);
  writeFileSync(`${base}.md`, report(result));
  writeFileSync(`${base}.svg`, chart(result));
  say(`written: ${base}.md, .svg, .json`);
}

function machine() {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${process.platform} ${process.arch}`,
    load: loadavg()
      .map((value) => value.toFixed(1))
      .join(', '),
  };
}

/** Node comes from npm like everything else. */
function nodeOf(version: string): string {
  const args = ['-y', '-p', `node@${version}`, 'node', '-p', 'process.execPath'];
  return execFileSync('npx', args, { encoding: 'utf8' }).trim();
}

async function startRedis(): Promise<ChildProcess | undefined> {
  if (!spawnable('redis-server')) {
    say('redis-server is not installed: without express-session on Redis');
    return undefined;
  }
  const redis = spawn('redis-server', ['--port', String(REDIS_PORT), '--save', ''], { stdio: 'ignore' });
  await new Promise((resolve) => setTimeout(resolve, 500));
  return redis;
}

function spawnable(command: string): boolean {
  try {
    execFileSync('which', [command], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

await main();
process.exit();
