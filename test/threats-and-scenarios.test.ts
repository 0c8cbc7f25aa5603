import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { corpus } from './support/corpora.js';
import { testFiles } from './support/test-files.js';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = (file: string) => fileURLToPath(new URL(`../${file}`, import.meta.url));

test('every scenario of the corpus has a test with its id', () => {
  const text = testFiles()
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
  // Matches ids at the start of the first argument of `test(…)`, `test.each(…)(…)` or `describe(…)`.
  const names = text.matchAll(/\(\s*['"`]((?:[A-Z]\d\d )+)/g);
  const shown = new Set([...names].flatMap((match) => match[1]!.trim().split(' ')));
  const ids = corpus('reliability-scenarios').map(({ id }) => id);
  expect(ids.filter((id) => !shown.has(id))).toEqual([]);
  console.log(`scenarios: all ${ids.length} by their own test`);
});

test('the table in SECURITY.md lists the tests of every threat', () => {
  const printed = execFileSync(process.execPath, [root('scripts/security-table.mjs'), '--check'], {
    encoding: 'utf8',
  });
  expect(printed).toMatch(/^(?:[4-9]\d|\d{3}) threats/);
});
