import type { Result } from './compare.js';
import type { Flood, Growth, Hang, Import, Install, Size } from './extras.js';

/** Of all rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Line {
  readonly name: string;
  readonly by: string;
  /** Of the requests that bare Express 5 answers with the same CPU, in the same round. */
  readonly ratio: Spread;
  /** Of the requests that bare Express 5 answers in the same time, in the same round. */
  readonly throughput: Spread;
  /** Microseconds of CPU a request. */
  readonly cpu: Spread;
  readonly perSecond: Spread;
  /** Milliseconds. */
  readonly p50: Spread;
  readonly p99: Spread;
  /** Of bare Express 5 in the same round. */
  readonly p99Ratio: Spread;
  /** MB */
  readonly rss: number;
  readonly cookieBytes: number;
}

export interface VersionReport {
  readonly node: string;
  readonly scenarios: { name: string; contenders: Line[] }[];
  scale?: Growth[];
  size?: Size[];
  login?: Flood;
  hang?: Hang;
  import?: Import[];
  install?: Install;
}

export interface Report {
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly options: object;
  readonly versions: readonly VersionReport[];
}

/** @param results Bare Express 5 is the first. */
export function summarize(results: readonly Result[]): Line[] {
  const bare = results[0]?.samples ?? [];
  return results.map(({ contender, samples, rss, cookieBytes }) => {
    const against = (of: (mine: (typeof bare)[number], theirs: (typeof bare)[number]) => number) =>
      spread(samples.flatMap((mine, round) => (bare[round] ? [of(mine, bare[round])] : [])));
    const own = (of: (sample: (typeof bare)[number]) => number) => spread(samples.map(of));
    return {
      name: contender.name,
      by: contender.by,
      ratio: against((mine, theirs) => theirs.cpu / mine.cpu),
      throughput: against((mine, theirs) => mine.perSecond / theirs.perSecond),
      cpu: own(({ cpu }) => cpu),
      perSecond: own(({ perSecond }) => perSecond),
      p50: own(({ p50 }) => p50),
      p99: own(({ p99 }) => p99),
      p99Ratio: against((mine, theirs) => mine.p99 / theirs.p99),
      rss: Math.round(rss / 2 ** 20),
      cookieBytes,
    };
  });
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number) => Number((sorted[index] ?? NaN).toPrecision(4));
  return { median: at(sorted.length >> 1), min: at(0), max: at(sorted.length - 1) };
}

export function report({ date, machine, versions }: Report): string {
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  return `${[
    `# ${date.slice(0, 10)}`,
    `${facts.join(' · ')}. What the columns mean, and how it was measured: [README](../README.md).`,
    `![CPU a request as a share of bare Express 5](${date.slice(0, 10)}.svg)`,
    ...versions.flatMap(ofVersion),
  ].join('\n\n')}\n`;
}

function ofVersion(version: VersionReport): string[] {
  const { node, scenarios, scale, size, login, hang, import: imports, install } = version;
  const blocks = [`## Node ${node}`];
  for (const { name, contenders } of scenarios) blocks.push(`### ${name}`, comparison(contenders));
  if (scale) blocks.push('### As sessions grow', scaleTable(scale));
  if (size) blocks.push('### As the session grows', sizeTable(size));
  if (login)
    blocks.push(
      '### A flood of GET /login',
      `${login.requests} requests: ${login.cpu.toFixed(0)} µs of CPU each, heap ${signed(login.heapGrowth)} MB afterwards.`,
    );
  if (hang)
    blocks.push(
      "### While one person's refresh hangs",
      `A thousand others: p99 ${hang.usual.toFixed(2)} ms before, ${hang.during.toFixed(2)} ms during (${hang.hanging} requests hung).`,
    );
  if (imports) blocks.push('### Import, over node with Express loaded', importTable(imports));
  if (install)
    blocks.push(
      '### Installed beyond Express',
      `${install.packages} packages, ${install.megabytes.toFixed(1)} MB (${install.largest}).`,
    );
  return blocks;
}

function comparison(lines: readonly Line[]): string {
  return table(
    [
      '',
      'of Express 5',
      'min–max',
      'by time',
      'CPU µs',
      'req/s',
      'p50 ms',
      'p99 ms',
      'p99 ×',
      'RSS MB',
      'cookie',
    ],
    lines.map((line) => [
      line.name,
      line.ratio.median.toFixed(2),
      `${line.ratio.min.toFixed(2)}–${line.ratio.max.toFixed(2)}`,
      line.throughput.median.toFixed(2),
      line.cpu.median.toFixed(1),
      line.perSecond.median.toFixed(0),
      line.p50.median.toFixed(2),
      line.p99.median.toFixed(2),
      line.p99Ratio.median.toFixed(2),
      line.rss,
      line.cookieBytes,
    ]),
  );
}

function scaleTable(rows: readonly Growth[]): string {
  return table(
    ['distinct sessions', 'cold µs', 'again µs', 'heap MB', 'RSS MB'],
    rows.map((row) => [
      row.sessions,
      row.cold.toFixed(1),
      row.warm.toFixed(1),
      row.heap.toFixed(0),
      row.rss.toFixed(0),
    ]),
  );
}

function sizeTable(rows: readonly Size[]): string {
  return table(
    ['cookie bytes', 'Express 5 µs', 'hot µs', 'cold µs'],
    rows.map((row) => [row.cookieBytes, row.bare.toFixed(1), row.hot.toFixed(1), row.cold.toFixed(1)]),
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
