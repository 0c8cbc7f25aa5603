import type { Reporter, TestModule } from 'vitest/node';
import type { Tally } from './tally.js';

/** Prints the number of attempts and failures for each corpus and framework. */
export class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tallies = modules.flatMap((module) =>
      [...module.children.allTests()].flatMap((test) => {
        const { tally } = test.meta();
        const failed = test.result().state === 'failed' ? 1 : 0;
        return tally ? [{ ...tally, failed: Math.max(tally.failed, failed) }] : [];
      }),
    );
    if (tallies.length > 0) process.stdout.write(`\n${table(tallies).join('\n')}\n`);
  }
}

function table(tallies: readonly Tally[]): string[] {
  const places = [...new Set(tallies.map(({ on }) => on))].sort();
  const names = [...new Set(tallies.map(({ corpus }) => corpus))].sort();
  const cell = (text: string) => text.padStart(14);
  const lines = names.map((name) => {
    const cells = places.map((place) => {
      const found = tallies.filter(({ corpus, on }) => corpus === name && on === place);
      const sum = (key: 'tried' | 'failed') => found.reduce((total, tally) => total + tally[key], 0);
      return cell(found.length === 0 ? '' : `${sum('tried')} / ${sum('failed')}`);
    });
    return ` ${name.padEnd(34)}${cells.join('')}`;
  });
  return [` ${'Attempts / failed'.padEnd(34)}${places.map(cell).join('')}`, ...lines];
}
