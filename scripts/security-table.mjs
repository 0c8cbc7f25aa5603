// Generates the table of threats in SECURITY.md from the tests that cover them. With --check, it only compares.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'test');
const BEGIN = '<!-- threats: written by `npm run security:table` -->';
const END = '<!-- /threats -->';

/** Installed packages are left out: one of them may be a link to this repository. */
function testFiles(path = '') {
  return readdirSync(join(folder, path), { withFileTypes: true }).flatMap((entry) => {
    const file = join(path, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : testFiles(file);
    return entry.name.endsWith('.test.ts') ? [file] : [];
  });
}

/** Finds every test or test group whose name begins with ids that include a threat's: `T16 E02 no secret is logged`. */
const tests = testFiles()
  .sort()
  .flatMap((file) => {
    const text = readFileSync(join(folder, file), 'utf8');
    // Matches the first argument of `test(…)`, `test.each(…)(…)` or `describe(…)`.
    const titles = text.matchAll(/\(\s*(['"`])((?:[A-Z]\d\d )+)(.*?)\1,/g);
    return [...titles].flatMap(([, , ids, name]) =>
      (ids.match(/T\d\d/g) ?? []).map((id) => ({ file, id, name })),
    );
  });
const threats = Object.entries(JSON.parse(readFileSync(join(folder, 'threats.json'), 'utf8')));

const rows = threats.map(([id, [attack, defence]]) => {
  const shown = tests.filter((test) => test.id === id);
  if (shown.length === 0) throw new Error(`${id} has no test: ${attack}`);
  return `| ${id} | ${attack} | ${defence} | ${shown.map(({ name, file }) => `${name} (\`${file}\`)`).join('; ')} |`;
});
for (const { id } of tests) {
  if (!threats.some(([known]) => known === id))
    throw new Error(`${id} is the id of a test, but test/threats.json does not list it`);
}

const path = join(root, 'SECURITY.md');
const page = readFileSync(path, 'utf8');
const table = [BEGIN, '', '| Id | Attack | Defence | Shown by |', '|---|---|---|---|', ...rows, '', END].join(
  '\n',
);
const start = page.indexOf(BEGIN);
const next = page.slice(0, start) + table + page.slice(page.indexOf(END) + END.length);
if (start === -1) throw new Error(`SECURITY.md has no ${BEGIN}`);
if (process.argv.includes('--check')) {
  if (next !== page) throw new Error('the table in SECURITY.md is stale: npm run security:table');
} else {
  writeFileSync(path, next);
}
console.log(`${rows.length} threats, ${tests.length} tests`);
