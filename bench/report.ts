import type { Result, Sample } from './compare.js';
import type { Flood, Hang, Install, Size } from './extras.js';
import type { Growth } from './growth.js';
import { scenarioOf, type ScenarioName } from './scenarios.js';
import type { Import, StartUp } from './start-up.js';

export interface Spread {
  readonly median: number;
  /** The range of the middle half of all values. */
  readonly quartiles: readonly [number, number];
}

/**
 * One contender in one scenario. Each share is the number of requests served here divided by the number that bare
 * Express 5 serves.
 */
export interface Line {
  readonly name: string;
  readonly by: string;
  readonly inMemory?: {
    /** From the best turn of each contender, because other load on the machine can only make a turn slower. */
    readonly share: number;
    /** From the turns of each round. */
    readonly rounds: Spread;
    /** CPU time per request in the best turn, in microseconds. */
    readonly cpu: number;
  };
  readonly http?: {
    /** Computed as in memory. */
    readonly share: number;
    readonly rounds: Spread;
    /** The same share for requests per second instead of CPU time. */
    readonly byTime: number;
    readonly cpu: number;
    readonly perSecond: number;
    /** In milliseconds. */
    readonly p50: number;
    readonly p99: number;
  };
  /** In MB. */
  readonly rss: number;
  readonly cookieBytes: number;
}

export interface VersionReport {
  readonly node: string;
  readonly scenarios: { name: ScenarioName; contenders: Line[] }[];
  start?: StartUp[];
  import?: Import[];
  sessions?: Growth[];
  tokens?: Growth[];
  size?: Size[];
  login?: Flood;
  hang?: Hang;
  install?: Install;
}

export interface Report {
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly options: object;
  readonly versions: readonly VersionReport[];
}

/** @param results Must start with bare Express 5. */
export function summarize(results: readonly Result[]): Line[] {
  const bare = results[0];
  return results.map((result) => {
    const { contender, rss, cookieBytes } = result;
    const inMemory = bare && summarizeInMemory(result.inMemory, bare.inMemory);
    const http = bare && summarizeHttp(result.http, bare.http);
    return {
      name: contender.name,
      by: contender.by,
      ...(inMemory && { inMemory }),
      ...(http && { http }),
      rss: Math.round(rss / 2 ** 20),
      cookieBytes,
    };
  });
}

function summarizeInMemory(mine: readonly number[], bare: readonly number[]): Line['inMemory'] {
  if (mine.length === 0) return undefined;
  const best = Math.min(...mine);
  return {
    share: rounded(Math.min(...bare) / best),
    rounds: spread(mine.map((cpu, round) => (bare[round] ?? NaN) / cpu)),
    cpu: rounded(best),
  };
}

function summarizeHttp(mine: readonly Sample[], bare: readonly Sample[]): Line['http'] {
  if (mine.length === 0) return undefined;
  const against = (of: (mine: Sample, theirs: Sample) => number) =>
    spread(mine.flatMap((sample, round) => (bare[round] ? [of(sample, bare[round])] : [])));
  const own = (of: (sample: Sample) => number) => spread(mine.map(of)).median;
  const best = (samples: readonly Sample[]) => Math.min(...samples.map(({ cpu }) => cpu));
  return {
    share: rounded(best(bare) / best(mine)),
    rounds: against(({ cpu }, theirs) => theirs.cpu / cpu),
    byTime: against(({ perSecond }, theirs) => perSecond / theirs.perSecond).median,
    cpu: rounded(best(mine)),
    perSecond: own(({ perSecond }) => perSecond),
    p50: own(({ p50 }) => p50),
    p99: own(({ p99 }) => p99),
  };
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => rounded(sorted[Math.floor((sorted.length - 1) * share)] ?? NaN);
  return { median: at(0.5), quartiles: [at(0.25), at(0.75)] };
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

/** How requests reach the servers. */
export type Transport = 'http' | 'inMemory';

export function shareOf({ inMemory, http }: Line, transport: Transport): number | undefined {
  return (transport === 'http' ? http : inMemory)?.share;
}

/** HTTP if it was measured, because apps use HTTP. */
export function transportOf(versions: readonly VersionReport[]): Transport {
  const lines = versions.flatMap(({ scenarios }) => scenarios.flatMap(({ contenders }) => contenders));
  return lines.some(({ http }) => http) ? 'http' : 'inMemory';
}

export function report({ date, machine, versions }: Report): string {
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  return `${[
    `# ${date.slice(0, 10)}`,
    `${facts.join(' · ')}. [README](../README.md) explains the columns and how they are measured.`,
    ...(versions.some(({ scenarios }) => scenarios.length > 0) ? summary(date, versions) : []),
    ...versions.flatMap(sectionsOf),
  ].join('\n\n')}\n`;
}

function summary(date: string, versions: readonly VersionReport[]): string[] {
  const blocks = [`![CPU time per request as a share of bare Express 5](${date.slice(0, 10)}.svg)`];
  for (const [transport, title] of [
    ['http', '## Over HTTP, as a share of Express 5'],
    ['inMemory', '## In memory, as a share of Express 5'],
  ] as const) {
    const found = overview(versions, transport);
    if (found !== undefined) blocks.push(title, found);
  }
  return blocks;
}

/** The package in all scenarios and versions, next to the best package that verifies what it receives. */
export function overview(versions: readonly VersionReport[], transport: Transport): string | undefined {
  const scenarios = versions.flatMap((version) => version.scenarios);
  const lines = scenarios.flatMap(({ contenders }) => contenders);
  if (!lines.some((line) => shareOf(line, transport) !== undefined)) return undefined;
  const builds = [...new Set(lines.map(({ name }) => buildOf(name)))].filter((name) => name !== undefined);
  const columns = versions.flatMap((version) =>
    [...builds, 'best peer'].map((column) => ({ version, column })),
  );
  const cell = (name: ScenarioName, { version, column }: (typeof columns)[number]) => {
    const all = version.scenarios.find((scenario) => scenario.name === name)?.contenders ?? [];
    const line =
      column === 'best peer' ? bestPeer(all, transport) : all.find((one) => buildOf(one.name) === column);
    return line ? (shareOf(line, transport)?.toFixed(2) ?? '') : '';
  };
  return table(
    ['request', ...columns.map(({ version, column }) => `${short(version.node)}: ${column}`)],
    [...new Set(scenarios.map(({ name }) => name))].map((name) => [
      `\`${name}\`: ${scenarioOf(name).title}`,
      ...columns.map((column) => cell(name, column)),
    ]),
  );
}

/** The best of the packages that verify a token, or look the session up in Redis. */
function bestPeer(lines: readonly Line[], transport: Transport): Line | undefined {
  const share = (line: Line) => shareOf(line, transport) ?? 0;
  return lines
    .filter(({ name, by }) => buildOf(name) === undefined && (by === 'token' || name.endsWith(', Redis')))
    .sort((a, b) => share(b) - share(a))[0];
}

function buildOf(name: string): string | undefined {
  return name.startsWith('authkit-express') ? name.replace(', Redis', '') : undefined;
}

function short(node: string): string {
  return `Node ${node.slice(1).split('.', 1)[0] ?? ''}`;
}

function sectionsOf(version: VersionReport): string[] {
  const { node, scenarios, start, sessions, tokens, size, login, hang, import: imports, install } = version;
  const blocks = [`## Node ${node}`];
  for (const { name, contenders } of scenarios)
    blocks.push(`### ${name}: ${scenarioOf(name).title}`, comparison(contenders));
  if (start) blocks.push('### From the import to the first guarded response', startTable(start));
  if (imports) blocks.push('### Import, in a process that has loaded Express', importTable(imports));
  if (sessions) blocks.push('### Memory: sessions that are seen once', growthTable('sessions', sessions));
  if (tokens) blocks.push('### Memory: access tokens', growthTable('access tokens', tokens));
  if (size) blocks.push('### Sizes of sessions', sizeTable(size));
  if (login)
    blocks.push(
      '### Sign-ins that are never finished',
      `${login.requests} requests: ${login.cpu.toFixed(0)} µs of CPU each, heap ${signed(login.heapGrowth)} MB afterwards.`,
    );
  if (hang)
    blocks.push(
      '### While the refresh of one user hangs',
      `The other thousand users: p99 ${hang.usual.toFixed(2)} ms before, ${hang.during.toFixed(2)} ms during (${hang.hanging} requests hung).`,
    );
  if (install)
    blocks.push(
      '### Installed in addition to Express',
      `${install.packages} packages, ${install.megabytes.toFixed(1)} MB (${install.largest}).`,
    );
  return blocks;
}

function comparison(lines: readonly Line[]): string {
  const hasMemory = lines.some(({ inMemory }) => inMemory);
  const hasHttp = lines.some(({ http }) => http);
  return table(
    [
      '',
      ...(hasMemory ? ['in memory', 'rounds', 'CPU µs'] : []),
      ...(hasHttp ? ['HTTP', 'rounds', 'by time', 'CPU µs', 'req/s', 'p50 ms', 'p99 ms'] : []),
      'RSS MB',
      'cookie',
    ],
    lines.map(({ name, inMemory, http, rss, cookieBytes }) => [
      name,
      ...(inMemory ? [inMemory.share.toFixed(2), range(inMemory.rounds), inMemory.cpu.toFixed(1)] : []),
      ...(http
        ? [
            http.share.toFixed(2),
            range(http.rounds),
            http.byTime.toFixed(2),
            http.cpu.toFixed(1),
            http.perSecond.toFixed(0),
            http.p50.toFixed(2),
            http.p99.toFixed(2),
          ]
        : []),
      rss,
      cookieBytes,
    ]),
  );
}

function range({ quartiles: [low, high] }: Spread): string {
  return `${low.toFixed(2)}–${high.toFixed(2)}`;
}

function growthTable(what: string, rows: readonly Growth[]): string {
  return table(
    [what, 'first µs', 'again µs', 'heap MB', 'RSS MB'],
    rows.map((row) => [
      row.count,
      row.cold.toFixed(1),
      row.warm.toFixed(1),
      row.heap.toFixed(0),
      row.rss.toFixed(0),
    ]),
  );
}

function sizeTable(rows: readonly Size[]): string {
  return table(
    ['cookie bytes', 'Express 5 µs', 'remembered µs', 'first µs'],
    rows.map((row) => [row.cookieBytes, row.bare.toFixed(1), row.hot.toFixed(1), row.cold.toFixed(1)]),
  );
}

function startTable(rows: readonly StartUp[]): string {
  return table(
    ['', 'request', 'ms', 'fastest ms', 'least CPU ms'],
    rows.map((row) => [
      row.name,
      row.credential,
      row.milliseconds.toFixed(0),
      row.fastest.toFixed(0),
      row.cpu.toFixed(0),
    ]),
  );
}

function importTable(rows: readonly Import[]): string {
  return table(
    ['', 'ms'],
    rows.map(({ name, milliseconds }) => [name, milliseconds.toFixed(0)]),
  );
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`;
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, index) => (index === 0 ? '---' : '---:'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}
