/** `npm run bench`: README.md explains the options and the results. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { chart } from './chart.js';
import { compare } from './compare.js';
import { BARE, contenders, isOurs, needsRedis, REDIS_PORT, type Contender } from './contenders.js';
import { flood, hang, installed, sizes } from './extras.js';
import { growBySessions, growByTokens } from './growth.js';
import {
  overview,
  report,
  shareOf,
  summarize,
  transportOf,
  type Report,
  type Transport,
  type VersionReport,
} from './report.js';
import { scenarioOf, SCENARIOS, STORED_SESSIONS } from './scenarios.js';
import type { ServerOptions } from './server.js';
import { createSessions, type Sessions } from './sessions.js';
import { importTimes, startUps } from './start-up.js';

const FOLDER = import.meta.dirname;
const RESULTS = `${FOLDER}/results`;
const EXTRAS = ['start', 'import', 'sessions', 'tokens', 'size', 'login', 'hang', 'install'] as const;
type Extra = (typeof EXTRAS)[number];

/**
 * Measured for each version of Node. The other extras do not depend on the version and are measured on the last one.
 */
const FOR_EACH_VERSION: readonly Extra[] = ['start', 'import'];

const {
  values: { out: givenOut, ...options },
} = parseArgs({
  options: {
    node: { type: 'string', default: '24,26' },
    run: { type: 'string', default: [...SCENARIOS, ...EXTRAS].join() },
    only: { type: 'string', default: '' },
    root: { type: 'string', multiple: true, default: [] },
    'in-process': { type: 'boolean', default: false },
    http: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    profile: { type: 'string', default: '' },
    slices: { type: 'string' },
    stretches: { type: 'string' },
    connections: { type: 'string', default: '16' },
    sessions: { type: 'string', default: '200000' },
    tokens: { type: 'string', default: '15000' },
    out: { type: 'string' },
  },
});
const chosen = options.run.split(',');
const [slices, stretches] = [
  options.http ? 0 : Number(options.slices ?? (options.quick ? 12 : 40)),
  options['in-process'] ? 0 : Number(options.stretches ?? (options.quick ? 3 : 9)),
];

/** Only a complete run replaces the results in the repository. */
const isComplete =
  [...SCENARIOS, ...EXTRAS].every((name) => chosen.includes(name)) &&
  !(options.quick || options.only || options.root.length > 0 || slices === 0 || stretches === 0);
const out = givenOut ?? (isComplete ? RESULTS : join(tmpdir(), 'authkit-express-bench'));

/** Where the system supports it, the servers get one core and the load generator another. */
const canPin = isInstalled('taskset') && cpus().length > 1;

async function main(): Promise<void> {
  checkNames();
  if (!existsSync(`${FOLDER}/contenders/node_modules`))
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: `${FOLDER}/contenders`, stdio: 'inherit' });
  if (canPin) execFileSync('taskset', ['-pc', '1', String(process.pid)], { stdio: 'ignore' });
  const redis = await startRedis();
  const sessions = await createSessions(chosen.includes('stores') ? STORED_SESSIONS : 200);
  const chosenContenders = contenders(options.root).filter(
    (one) => one === BARE || (isChosen(one) && (redis !== undefined || !needsRedis(one))),
  );
  try {
    const versions: VersionReport[] = [];
    for (const version of options.node.split(',')) {
      versions.push(await measure(version, chosenContenders, sessions));
      // Written after each version, so that an interrupted run keeps its results so far.
      write({ date: new Date().toISOString(), machine: machine(), options, versions });
    }
    await updateReadme(versions);
  } finally {
    await sessions.close();
    redis?.kill();
  }
}

function checkNames(): void {
  const known: readonly string[] = [...SCENARIOS, ...EXTRAS];
  const unknown = chosen.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`--run: ${unknown.join()} must be of ${known.join()}`);
}

function isChosen(contender: Contender): boolean {
  if (options.only === '') return true;
  return options.only.split(',').some((part) => contender.name.includes(part));
}

async function measure(
  version: string,
  all: readonly Contender[],
  sessions: Sessions,
): Promise<VersionReport> {
  const node = nodeOf(version);
  const server: ServerOptions = {
    node,
    fixture: sessions.fixture,
    core: canPin ? 0 : undefined,
    execArgv:
      options.profile === ''
        ? []
        : ['--cpu-prof', '--cpu-prof-interval=250', `--cpu-prof-dir=${resolve(options.profile)}`],
  };
  const done: VersionReport = {
    node: execFileSync(node, ['-v'], { encoding: 'utf8' }).trim(),
    scenarios: [],
  };
  for (const name of SCENARIOS.filter((one) => chosen.includes(one))) {
    const scenario = scenarioOf(name);
    say(`${done.node} ${name}: ${scenario.title}`);
    const results = await compare(scenario, {
      contenders: all,
      server,
      sessions,
      slices,
      sliceTime: 15,
      stretches,
      stretchTime: 100,
      connections: Number(options.connections),
    });
    const lines = summarize(results);
    for (const line of lines) {
      const of = (transport: Transport) =>
        `${shareOf(line, transport)?.toFixed(2) ?? '–'} (${line[transport]?.cpu.toFixed(0) ?? '–'} µs)`;
      say(`  ${line.name.padEnd(32)} in memory ${of('inMemory')}, HTTP ${of('http')}`);
    }
    done.scenarios.push({ name, contenders: lines });
  }
  await measureExtras(version, all, sessions, server, done);
  return done;
}

async function measureExtras(
  version: string,
  all: readonly Contender[],
  sessions: Sessions,
  server: ServerOptions,
  done: VersionReport,
): Promise<void> {
  const isLast = version === options.node.split(',').at(-1);
  const extra = async <K extends Extra>(
    name: K,
    run: () => VersionReport[K] | Promise<VersionReport[K]>,
  ): Promise<void> => {
    if (!chosen.includes(name) || !(isLast || FOR_EACH_VERSION.includes(name))) return;
    say(`${done.node} ${name}`);
    done[name] = await run();
    say(`  ${JSON.stringify(done[name])}`);
  };
  await extra('start', () => startUps(all, server, sessions, options.quick ? 3 : 7));
  await extra('import', () => importTimes(server.node, all));
  if (!all.some(isOurs)) return;
  await extra('sessions', () => growBySessions(server, sessions, Number(options.sessions)));
  await extra('tokens', () => growByTokens(server, sessions, Number(options.tokens)));
  await extra('size', () => sizes(server, sessions));
  await extra('login', () => flood(server));
  await extra('hang', () => hang(server));
  await extra('install', () => installed());
}

/** The results in the repository all come from one run. In other folders, existing files are left alone. */
function write(result: Report): void {
  mkdirSync(out, { recursive: true });
  const date = result.date.slice(0, 10);
  const base = `${out}/${date}`;
  if (out === RESULTS) {
    for (const file of readdirSync(out)) rmSync(`${out}/${file}`);
  }
  writeFileSync(`${base}.json`, `${compact(result)}\n`);
  writeFileSync(`${base}.md`, report(result));
  if (result.versions.some(({ scenarios }) => scenarios.length > 0))
    writeFileSync(`${base}.svg`, chart(result));
  say(`written: ${base}.md, .svg, .json`);
}

/** Replaces the table in README.md with that of a complete run. */
async function updateReadme(versions: readonly VersionReport[]): Promise<void> {
  const table = overview(versions, transportOf(versions));
  if (out !== RESULTS || !table) return;
  const file = `${FOLDER}/README.md`;
  const text = readFileSync(file, 'utf8').replace(
    /(<!-- results -->\n)[^]*(<!-- end of results -->)/,
    (_, start: string, end: string) => `${start}\n${table}\n\n${end}`,
  );
  writeFileSync(file, await format(text, { ...(await resolveConfig(file)), filepath: file }));
}

/** One line per contender, so that a review does not have to cover thousands of lines. */
function compact(result: Report): string {
  return JSON.stringify(result, undefined, 1).replaceAll(
    /\{\n\s+"name": "[^"]*",\n\s+"by"[^]*?"cookieBytes": \d+\n\s+\}/g,
    (line) => JSON.stringify(JSON.parse(line)),
  );
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

/** Node is installed from npm, like the other packages. */
function nodeOf(version: string): string {
  const args = ['-y', '-p', `node@${version}`, 'node', '-p', 'process.execPath'];
  return execFileSync('npx', args, { encoding: 'utf8' }).trim();
}

async function startRedis(): Promise<ChildProcess | undefined> {
  if (!isInstalled('redis-server')) {
    say('redis-server is not installed: the scenarios with Redis are skipped');
    return undefined;
  }
  const redis = spawn('redis-server', ['--port', String(REDIS_PORT), '--save', ''], { stdio: 'ignore' });
  await new Promise((resolve) => setTimeout(resolve, 500));
  return redis;
}

function isInstalled(command: string): boolean {
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
