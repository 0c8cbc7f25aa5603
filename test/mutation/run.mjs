// Mutation score, file by file: `npm run test:mutation [-- file ...]`. A mutant that only ran out of time is not killed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
/** Each file with the tests that judge it, the quickest first: fewer tests can only lower the score. */
const FILES = {
  'return-to': ['unit/return-to', 'properties/values'],
  seal: ['unit/seal', 'properties/values'],
  'key-derivation': ['unit/key-derivation', 'unit/seal', 'unit/seal-forms'],
  transaction: ['unit/transaction', 'flows/sign-in'],
  session: ['unit/session', 'unit/seal'],
  'access-token': ['unit/access-token', 'unit/claims'],
  refresh: ['unit/due', 'unit/refresh', 'unit/authenticate', 'properties/refresh', 'flows/organizations'],
  cookies: ['unit/cookies', 'properties/cookies'],
  'cookie-header': ['unit/cookies', 'properties/cookies'],
  guards: [
    'unit/guards',
    'flows/refusals',
    'flows/tokens',
    'flows/protected-resource',
    'flows/session',
    'flows/guards',
    'flows/response',
    'flows/rules',
  ],
  errors: ['unit/errors'],
};
const GOAL = 90;
const files = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(FILES);
const reports = join(root, 'reports/mutation');
mkdirSync(reports, { recursive: true });

const run = (command, args, cwd = root, env = {}) =>
  spawnSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env } });

if (!existsSync(join(import.meta.dirname, 'node_modules')))
  run('npm', ['install', '--no-package-lock'], import.meta.dirname);
const stryker = join(import.meta.dirname, 'node_modules/.bin/stryker');

const rows = files.map((file) => {
  const report = join(reports, `${file}.json`);
  const config = JSON.parse(readFileSync(join(import.meta.dirname, 'stryker.config.json'), 'utf8'));
  const own = join(reports, `${file}.config.json`);
  writeFileSync(
    own,
    JSON.stringify({ ...config, mutate: [`src/${file}.ts`], jsonReporter: { fileName: report } }),
  );
  run(stryker, ['run', own], root, { AUTHKIT_TESTS: FILES[file]?.join(',') });
  return tell(file, report);
});
console.table(Object.fromEntries(rows.map(({ file, ...row }) => [file, row])));
process.exitCode = rows.every(({ score }) => score >= GOAL) ? 0 : 1;

function tell(file, report) {
  if (!existsSync(report)) return { file, score: 0 };
  const { files: judged } = JSON.parse(readFileSync(report, 'utf8'));
  const mutants = Object.values(judged)
    .flatMap((one) => one.mutants)
    .map((mutant) => ({ ...mutant, status: ranOut(mutant) ? 'Timeout' : mutant.status }));
  const count = (...states) => mutants.filter(({ status }) => states.includes(status)).length;
  const killed = count('Killed');
  const missed = count('Survived', 'NoCoverage', 'Timeout');
  for (const { status, location, replacement, mutatorName } of mutants) {
    if (['Survived', 'NoCoverage', 'Timeout'].includes(status)) {
      const { line, column } = location.start;
      console.log(
        `${status} src/${file}.ts:${line}:${column} ${mutatorName} → ${replacement?.slice(0, 120)}`,
      );
    }
  }
  return {
    file,
    killed,
    survived: count('Survived'),
    'not covered': count('NoCoverage'),
    'timed out': count('Timeout'),
    score: Math.round((1000 * killed) / (killed + missed)) / 10,
  };
}

/** A test that ran out of time fails, and Stryker takes that for a kill. */
function ranOut({ status, statusReason = '' }) {
  return status === 'Killed' && /^(?:Test|Hook) timed out in /.test(statusReason);
}
