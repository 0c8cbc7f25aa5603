import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { authkit, AuthKitError } from 'authkit-express';
import { createTestWorkOS } from 'authkit-express/testing';
import { runChecks, type Finding, type DoctorInput } from '../../src/cli/doctor.js';
import { bundleCode } from '../support/bundle.js';
import { ROOT } from '../support/documentation.js';
import { environmentOf } from '../support/example.js';
import { run } from './run.js';

const REDIRECT = 'http://localhost:3000/callback';

/** The findings for a healthy application with the given changes. */
async function look(
  patient: Partial<DoctorInput> = {},
  redirectUri = REDIRECT,
): Promise<Record<Finding['status'], string[]>> {
  const workos = await createTestWorkOS();
  onTestFinished(() => workos.close());
  const { env = {}, ...others } = patient;
  const findings = await runChecks({
    options: {},
    nodeVersion: '22.0.0',
    folder: ROOT,
    ...others,
    env: { ...environmentOf(workos, redirectUri), ...env },
  });
  const of = (status: Finding['status']) =>
    findings
      .filter((finding) => finding.status === status)
      .map(({ check, message }) => `${check}: ${message}`);
  return { ok: of('ok'), warning: of('warning'), problem: of('problem'), skipped: of('skipped') };
}

function folderWith(packages: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'authkit-doctor-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  for (const [name, version] of Object.entries(packages)) {
    const own = join(folder, 'node_modules', name);
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, 'package.json'), JSON.stringify({ name, version }));
  }
  return folder;
}

describe('the doctor', () => {
  test('reports no problem for a correct application, with its addresses', async () => {
    const { ok, warning, problem, skipped } = await look();
    expect([...warning, ...problem, ...skipped]).toEqual([]);
    expect(ok.join('\n')).toContain('login at http://localhost:3000/login');
    expect(ok.join('\n')).toContain('WorkOS accepts the API key');
    expect(ok.join('\n')).toContain('The clock of this machine agrees');
  });

  test('lists all configuration problems at once, without calling WorkOS', async () => {
    const { problem, skipped } = await look({
      env: { WORKOS_COOKIE_PASSWORD: 'hunter2', WORKOS_REDIRECT_URI: 'http://localhost:3000/elsewhere' },
    });
    expect(problem).toHaveLength(2);
    expect(problem.join('\n')).toContain('npx authkit-express secret');
    expect(problem.join('\n')).toContain('must end in the callback route');
    expect(problem.join('\n')).not.toContain('hunter2');
    expect(skipped).toHaveLength(1);
  });

  test.each<
    [
      what: string,
      patient: Partial<DoctorInput>,
      redirectUri: string,
      status: 'problem' | 'warning',
      says: RegExp,
    ]
  >([
    ['an old Node', { nodeVersion: '18.20.1' }, REDIRECT, 'problem', /node: Node 18\.20\.1 is too old/],
    [
      'a wrong key',
      { env: { WORKOS_API_KEY: 'sk_wrong' } },
      REDIRECT,
      'problem',
      /credentials: WorkOS answers 401/,
    ],
    [
      'a wrong client',
      { env: { WORKOS_CLIENT_ID: 'client_1' } },
      REDIRECT,
      'problem',
      /keys: .*WORKOS_CLIENT_ID/,
    ],
    [
      'WorkOS unreachable',
      { env: { WORKOS_API_PORT: '9' } },
      REDIRECT,
      'problem',
      /keys: .*check the network/,
    ],
    [
      'http elsewhere',
      { options: { allowInsecureHttp: true } },
      'http://app.example.com/callback',
      'warning',
      /cookie: .*use https for app\.example/,
    ],
    [
      'http in production',
      { options: { allowInsecureHttp: true }, env: { NODE_ENV: 'production' } },
      'http://app.example.com/callback',
      'problem',
      /cookie: .*not Secure/,
    ],
    [
      'a key for tests in production',
      { env: { NODE_ENV: 'production' } },
      'https://app.example.com/callback',
      'warning',
      /credentials: .*sk_test_/,
    ],
    [
      'a cookie for other sites',
      { options: { cookie: { sameSite: 'none' } } },
      'https://app.example.com/callback',
      'warning',
      /forgery/,
    ],
    [
      'a clock ahead',
      { options: { now: () => Date.now() + 90_000 } },
      REDIRECT,
      'problem',
      /clock: .*(?:89|90|91) s ahead/,
    ],
    [
      'a clock behind',
      { options: { now: () => Date.now() - 12_000 } },
      REDIRECT,
      'warning',
      /clock: .*1[123] s behind/,
    ],
    [
      'a clock that is ahead by less than the tolerance of one minute',
      { options: { now: () => Date.now() + 45_000 } },
      REDIRECT,
      'warning',
      /clock: .*4[456] s ahead/,
    ],
  ])('sees %s', async (_, patient, redirectUri, status, says) => {
    const found = await look(patient, redirectUri);
    expect(found[status].join('\n')).toMatch(says);
  });

  test('detects packages that are missing or too old', async () => {
    const bare = await look({ folder: folderWith({}) });
    expect(bare.problem).toEqual([expect.stringContaining('npm install @workos-inc/node')]);
    expect(bare.ok.join('\n')).toContain('Express is not installed');
    const old = await look({ folder: folderWith({ '@workos-inc/node': '9.1.0', express: '4.19.2' }) });
    expect(old.problem).toHaveLength(2);
  });

  test('says how to mount a prefix', async () => {
    const { ok } = await look({}, 'http://localhost:3000/auth/callback');
    expect(ok.join('\n')).toContain("app.use('/auth', auth); app.use(auth.session)");
  });
});

describe('npx authkit-express', () => {
  test('doctor exits with 0 or 1, as text and as JSON, by environment, file and module', async () => {
    const workos = await createTestWorkOS();
    onTestFinished(() => workos.close());
    const folder = folderWith({});
    const env = environmentOf(workos, REDIRECT);
    const { WORKOS_REDIRECT_URI: redirectUri, ...rest } = env;
    const file = join(folder, '.env');
    writeFileSync(
      file,
      Object.entries(rest)
        .map(([name, value]) => `${name}=${value}`)
        .join('\n'),
    );
    const module = join(folder, 'auth.mjs');
    writeFileSync(module, `export const options = { redirectUri: '${redirectUri}' };`);
    const [fine, broken, json] = await Promise.all([
      run(['doctor', module, '--env-file', file]),
      run(['doctor', '--json', '--env-file', file]),
      run(['doctor', '--json'], env),
    ]);
    expect(fine, fine.stderr).toMatchObject({ status: 0 });
    expect(fine.stdout).toContain('0 problems, 0 warnings');
    expect(broken).toMatchObject({ status: 1 });
    expect(JSON.parse(broken.stdout)).toMatchObject({ ok: false });
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: true });
    for (const secret of [workos.options.apiKey, workos.options.cookiePassword]) {
      expect([fine, broken, json].some(({ stdout }) => stdout.includes(secret))).toBe(false);
    }
  });

  test('dev runs an application with a local test WorkOS, and exits with its exit code', async () => {
    const app = await bundleCode(
      'dev-app',
      `import { authkit } from 'authkit-express'; authkit();
      const { WORKOS_API_PORT: port, WORKOS_CLIENT_ID: id } = process.env;
      console.log((await fetch('http://127.0.0.1:' + port + '/sso/jwks/' + id)).status); process.exit(7);`,
    );
    const [done, missing] = await Promise.all([
      run(['dev', process.execPath, app]),
      run(['dev', 'no-such-command']),
    ]);
    expect(done, done.stderr).toMatchObject({ status: 7, stdout: '200\n' });
    expect(missing).toMatchObject({ status: 127 });
  });

  test('secret prints a password that authkit() accepts, and wrong usage is explained', async () => {
    const [secret, misuse] = await Promise.all([run(['secret']), run(['docter'])]);
    const cookiePassword = secret.stdout.trim();
    expect(() =>
      authkit({ clientId: 'client_1', apiKey: 'sk_1', redirectUri: REDIRECT, cookiePassword }),
    ).not.toThrow(AuthKitError);
    expect(misuse).toMatchObject({ status: 2, stdout: '' });
    expect(misuse.stderr).toContain('Usage');
  });
});
