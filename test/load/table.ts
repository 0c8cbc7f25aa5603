import type { Answer } from './connection.js';
import type { Sample } from './server.js';

/** The time within which 99 of 100 responses must arrive, in milliseconds. */
export const GOAL = 50;

/** The results of a corpus on one server. */
export interface Line {
  name: string;
  answers: readonly Answer[];
  cost: Cost | undefined;
  /** False if WorkOS is slow, which makes the responses slow too. */
  hasGoal: boolean;
}

export interface Cost {
  /** CPU time of the process per request, in milliseconds. */
  cpu: number;
  /** Peak memory minus the memory before, in megabytes. */
  grown: number;
}

export function costOf(before: Sample, after: Sample, requests: number): Cost {
  return { cpu: (after.cpu - before.cpu) / requests, grown: after.maxRss - before.rss };
}

const TITLE = ['requests', 'p50 ms', 'p99 ms', 'slowest', 'CPU ms', 'RSS + MB', '500', 'crashes'];

function print(name: string, cells: readonly string[]): void {
  console.log(name.padEnd(44) + cells.map((cell) => cell.padStart(9)).join(''));
}

export function printTitle(): void {
  print('', TITLE);
}

/** Prints a line, and returns whether all is well. A line without a cost belongs to a server that has crashed. */
export function printLine({ name, answers, cost, hasGoal }: Line): boolean {
  const times = answers.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b);
  const at = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? NaN;
  const broken = answers.filter(({ status }) => status >= 500 && status !== 503).length;
  print(name, [
    String(answers.length),
    ...[at(0.5), at(0.99), at(1)].map((time) => time.toFixed(1)),
    cost?.cpu.toFixed(2) ?? '',
    cost?.grown.toFixed(0) ?? '',
    String(broken),
    cost ? '0' : '1',
  ]);
  return cost !== undefined && broken === 0 && (!hasGoal || at(0.99) < GOAL);
}
