// Mutation score, file by file: `npm run test:mutation [-- file ...]`, with files of src without extension, as in
// `session/iron-seal`. `session/iron-seal:1-80` mutates only these lines. A mutant that only ran out of time does not
// count as killed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

/** Each file with the tests that are run against its mutants, the quickest first. Fewer tests can only lower the score. */
const FILES = {
  errors: ['errors'],
  'http/return-to': ['http/return-to', 'http/return-to.properties', 'http/return-to-requests'],
  'http/cookies': [
    'http/cookies',
    'http/cookie-attributes',
    'http/cookies.properties',
    'http/cookie-chunks',
    'http/planted-chunks-cost',
    'http/response',
  ],
  'session/iron-seal': ['session/iron-seal', 'session/seal-format', 'session/seal.properties'],
  'session/purpose-bound-seal': ['session/purpose-bound-seal', 'session/seal-purpose'],
  'session/sealed-session': ['session/sealed-session', 'session/iron-seal'],
  'session/verified-session-cache': ['session/verified-session-cache'],
  'session/refresh': ['session/refresh', 'session/refreshed-sessions', 'session/refresh-results'],
  'session/refresh-at-workos': [
    'session/refresh-hooks',
    'session/refresh',
    'session/refresh-results',
    'session/refresh.properties',
    'session/refresh-at-workos',
    'session/refresh-rotation',
    'workos/api-client',
    'routes/unfinished-authentication',
  ],
  'session/refresh-lock': ['session/refresh-lock'],
  'session/revocation': [
    'session/revocation',
    'session/ended-sessions',
    'session/changed-user-clocks',
    'session/ended-during-sign-in',
    'routes/webhooks',
  ],
  'session/authenticate-session': ['session/authentication-results', 'session/refreshed-sessions'],
  'session/sessions-in-store': ['session/stored-sessions', 'session/session-ids.properties'],
  'workos/verified-token-mac': ['workos/verified-token-mac'],
  'workos/load-sdk': ['workos/load-sdk'],
  'workos/access-token': [
    'workos/access-token-keys',
    'workos/access-token-claims',
    'workos/verified-token-mac',
    'workos/access-token',
    'workos/forged-access-tokens',
    'session/clock-skew',
    'auth/protected-resource',
  ],
  'workos/jwks': [
    'workos/jwks-cache',
    'workos/access-token-claims',
    'workos/jwks-policy',
    'auth/anonymous-key-fetches',
  ],
  'routes/refresh-session': ['routes/refresh-session', 'routes/switch-organization'],
  'routes/switch-organization': ['routes/switch-organization'],
  'routes/token': ['routes/token'],
  'routes/sign-in-transaction': ['routes/sign-in-transaction', 'routes/sign-in', 'routes/callback'],
  'routes/webhooks': ['routes/webhook-signatures', 'routes/webhooks'],
  'auth/verified-token-cache': ['auth/verified-token-cache'],
  'auth/api-key': ['auth/bearer-token', 'auth/bearer-token-budget', 'auth/accepted-credentials'],
  'workos/cached-lookup': ['auth/bearer-token', 'auth/bearer-token-budget', 'auth/accepted-credentials'],
  'auth/bearer-token': [
    'auth/bearer-results',
    'auth/verified-token-cache',
    'auth/bearer-token',
    'auth/accepted-credentials',
    'auth/protected-resource',
  ],
  'auth/role-and-permission-rule': [
    'auth/compiled-rules',
    'auth/rule-mistakes',
    'auth/rule-of-a-list',
    'auth/rule-of-a-proxy',
    'auth/rule.properties',
    'auth/role-and-permission-rule',
  ],
  'auth/guard-options': [
    'auth/compiled-rules',
    'auth/guard-defaults',
    'auth/rule-mistakes',
    'auth/rule-of-a-list',
    'auth/rule-of-a-proxy',
    'auth/guard-options',
    'auth/role-and-permission-rule',
    'auth/bearer-token',
    'auth/protected-resource',
  ],
  'auth/require-auth': [
    'auth/guard-defaults',
    'auth/guard-responses',
    'auth/several-instances',
    'auth/denied-rule',
    'auth/deny',
    'auth/require-auth',
    'auth/guard-options',
    'auth/bearer-token',
    'auth/protected-resource',
    'http/response',
  ],
  'auth/deny': [
    'auth/guard-responses',
    'auth/denied-rule',
    'auth/deny',
    'http/request-methods',
    'auth/require-auth',
    'auth/guard-options',
    'auth/bearer-token',
  ],
  'sso/index': ['sso/methods', 'sso/sso', 'sso/selector-names', 'sso/session', 'sso/sign-in-again'],
  'sso/profile-exchange': ['sso/sso', 'sso/session', 'diagnostics'],
  'sso/sessions': ['sso/session', 'sso/sign-out-with-a-store', 'sso/sign-in-again', 'sso/sso'],
  'session/sealed-sso-session': ['session/sealed-sso-session', 'sso/session', 'sso/sso'],
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

const rows = files.map((argument) => {
  const [file, lines] = argument.split(':');
  const tests = FILES[file];
  if (!tests) throw new Error(`${file} has no tests in test/mutation/run.mjs: add them there`);
  const missing = [`src/${file}.ts`, ...tests.map((test) => `test/${test}.test.ts`)].filter(
    (path) => !existsSync(join(root, path)),
  );
  if (missing.length > 0)
    throw new Error(`test/mutation/run.mjs names files that do not exist: ${missing.join(', ')}`);
  const name = argument.replace(/[/:]/g, '-');
  const report = join(reports, `${name}.json`);
  // So that a run that fails has no score, and not that of an earlier run.
  rmSync(report, { force: true });
  const shared = JSON.parse(readFileSync(join(import.meta.dirname, 'stryker.config.json'), 'utf8'));
  const config = join(reports, `${name}.config.json`);
  writeFileSync(
    config,
    JSON.stringify({
      ...shared,
      mutate: [lines ? `src/${file}.ts:${lines}` : `src/${file}.ts`],
      jsonReporter: { fileName: report },
    }),
  );
  run(stryker, ['run', config], root, { AUTHKIT_TESTS: tests.join(',') });
  return { ...scoreOf(file, report), file: argument };
});
console.table(Object.fromEntries(rows.map(({ file, ...row }) => [file, row])));
process.exitCode = rows.every(({ score }) => score >= GOAL) ? 0 : 1;

function scoreOf(file, report) {
  if (!existsSync(report)) return { file, score: 0 };
  const { files: mutated } = JSON.parse(readFileSync(report, 'utf8'));
  const mutants = Object.values(mutated)
    .flatMap((one) => one.mutants)
    .map((mutant) => ({ ...mutant, status: hasTimedOut(mutant) ? 'Timeout' : mutant.status }));
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
function hasTimedOut({ status, statusReason = '' }) {
  return status === 'Killed' && /^(?:Test|Hook) timed out in /.test(statusReason);
}
