import { createServer } from 'node:http';
import { existsSync, readFileSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { parseEnv } from 'node:util';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { postgresSchema } from 'authkit-express/postgres';
import type { Finding } from '../../src/cli/doctor.js';
import { checkModule } from '../../src/cli/load-options.js';
import { ROOT } from '../support/documentation.js';
import { folderOf, run, script } from './run.js';

const GOOD = {
  WORKOS_CLIENT_ID: 'client_01TEST',
  WORKOS_API_KEY: 'sk_test_secret',
  WORKOS_REDIRECT_URI: 'http://localhost:3000/callback',
  WORKOS_COOKIE_PASSWORD: 'correct-horse-battery-staple-0123456789',
  WORKOS_API_HOSTNAME: '127.0.0.1',
  WORKOS_API_HTTPS: 'false',
  WORKOS_API_PORT: '9',
};

describe('a mistake in the command line is named', () => {
  test.each([
    [['doctr'], 'unknown command "doctr": did you mean doctor?'],
    [['pipes'], 'unknown command "pipes"'],
    [[], 'a command is missing'],
    [['doctor', '--jsno'], 'unknown flag "--jsno": did you mean --json?'],
    [['doctor', '--env', '.env'], 'unknown flag "--env"'],
    [['doctor', 'a.mjs', 'b.mjs'], 'unexpected argument "b.mjs"'],
    [['doctor', '--env-file'], '--env-file'],
    [['secret', '--json'], 'unknown flag "--json"'],
    [['secret', 'x'], 'unexpected argument "x"'],
    [['dev'], 'dev needs a command'],
    [['dev', '--prot', '4000', 'node'], 'unknown flag "--prot": did you mean --port?'],
    [['dev', '--port', 'x', 'node'], '--port must be a port number'],
    [['dev', '--port', '65536', 'node'], '--port must be a port number'],
    [['--versoin'], 'unknown flag "--versoin": did you mean --version?'],
    [['postgres-schema', 'a;b'], 'table'],
  ])('%j', async (args, says) => {
    const { status, stdout, stderr } = await run(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(says);
    expect(stderr).toContain('Usage:');
  });
});

test('help and the version are printed', async () => {
  const [help, dev, version] = await Promise.all([
    run(['--help']),
    run(['dev', '--help']),
    run(['--version']),
  ]);
  expect(help).toMatchObject({ status: 0, stderr: '' });
  for (const name of ['init', 'doctor', 'dev', 'secret', 'postgres-schema'])
    expect(help.stdout).toContain(name);
  expect(dev).toMatchObject({ status: 0 });
  expect(dev.stdout).toContain('--port');
  const { version: expected } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(version).toEqual({ status: 0, stdout: `${expected}\n`, stderr: '' });
});

describe('a mistake in the use of one command', () => {
  test('is explained with the usage of that command only', async () => {
    const { stderr } = await run(['secret', 'x']);
    expect(stderr).toContain('authkit-express secret');
    expect(stderr).not.toContain('authkit-express doctor');
  });
});

test.each([
  [['help', 'doctor']],
  [['doctor', '--help']],
  [['doctor', 'app.mjs', '--help']],
  [['doctor', '--json', '-h']],
])('%j prints the help for this command only', async (args) => {
  const { status, stdout, stderr } = await run(args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toContain('authkit-express doctor');
  expect(stdout).not.toContain('authkit-express init');
});

test('dev prints its own help for --help before the command, and passes it on after the command', async () => {
  const [own, passedOn] = await Promise.all([
    run(['dev', '--port', '4000', '--help']),
    run(['dev', process.execPath, '-p', 'process.argv.slice(1)', '--', '--help']),
  ]);
  expect(own).toMatchObject({ status: 0, stderr: '' });
  expect(own.stdout).toContain('authkit-express dev');
  expect(passedOn.stdout).toContain("'--help'");
});

test('postgres-schema prints the SQL of the table', async () => {
  expect(await run(['postgres-schema', 'app.sessions'])).toMatchObject({
    status: 0,
    stdout: postgresSchema('app.sessions'),
  });
});

describe('doctor MODULE', () => {
  const check = async (text: string | undefined, env: Record<string, string> = GOOD) => {
    const folder = folderOf(text === undefined ? {} : { 'app.mjs': text });
    const { status, stdout, stderr } = await run(['doctor', join(folder, 'app.mjs'), '--json'], env);
    const { findings } = JSON.parse(stdout) as { findings: { status: string; message: string }[] };
    const problems = findings.filter((found) => found.status === 'problem').map(({ message }) => message);
    return { status, problems: problems.join('\n'), stderr };
  };

  test('a module that starts an app does not start it, and is told to export options', async () => {
    const { status, problems, stderr } = await check(
      `import { createServer } from 'node:http';
       createServer().listen(0, () => console.log('listening'));
       setInterval(() => undefined, 1000);
       export default function app() {}`,
    );
    expect(status).toBe(1);
    expect(problems).toContain('app.mjs does not export `options`');
    expect(stderr).not.toContain('listening');
  });

  test.each([
    ['is missing', undefined, 'app.mjs does not exist'],
    ['throws', "throw new TypeError('no database');", 'could not be loaded: TypeError: no database'],
    ['throws something else', "throw 'text';", 'could not be loaded: text'],
    ['has a syntax error', 'export const = 1;', 'could not be loaded: SyntaxError'],
    [
      'imports what is not installed',
      "import 'no-such-package';",
      "could not be loaded: Error: Cannot find package 'no-such-package'",
    ],
    ['ends the process', 'process.exit(0);', 'ended the process while it was loaded (exit code 0)'],
    ['never finishes loading', 'await new Promise(() => undefined);', 'never finishes loading'],
    ['exports nothing', '', 'does not export `options`'],
    ['has invalid options', 'export const options = { cookiePasword: 1 };', 'did you mean cookiePassword?'],
  ])('a module that %s is a finding', async (_, text, says) => {
    const { status, problems } = await check(text);
    expect(status).toBe(1);
    expect(problems).toContain(says);
  });

  test('a module that waits for ever is a finding after ten seconds', async () => {
    const folder = folderOf({
      'app.mjs': `import { writeFileSync } from 'node:fs';
        setInterval(() => undefined, 100);
        writeFileSync(new URL('started', import.meta.url), '');
        await new Promise(() => undefined);`,
    });
    const cli = await script();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    let findings: Finding[] | undefined;
    const checked = checkModule(cli, join(folder, 'app.mjs'), { PATH: process.env['PATH'], ...GOOD });
    void checked.then((found) => (findings = found));
    while (!existsSync(join(folder, 'started')) && findings === undefined) await turn();
    expect(findings).toBeUndefined();
    vi.advanceTimersByTime(9999);
    await turn();
    expect(findings).toBeUndefined();
    vi.advanceTimersByTime(1);
    const problems = (await checked).filter(({ status }) => status === 'problem');
    expect(problems).toHaveLength(1);
    expect(problems[0]!.message).toContain('did not finish loading in 10 seconds');
  });

  test('options with functions are checked as they are', async () => {
    const { problems } = await check(
      "console.log('noise'); export const options = { onSuccess: () => undefined, onError: 1 };",
    );
    expect(problems).toContain('onError must be a function');
    expect(problems).not.toContain('onSuccess');
  });

  test('swapped credentials are found without a network', async () => {
    const { problems } = await check('export const options = {};', {
      ...GOOD,
      WORKOS_CLIENT_ID: GOOD.WORKOS_API_KEY,
      WORKOS_API_KEY: GOOD.WORKOS_CLIENT_ID,
    });
    expect(problems).toContain('exchanged');
  });
});

test('the environment takes precedence over an env file', async () => {
  const folder = folderOf({ '.env': 'WORKOS_CLIENT_ID=not-a-client-id\nWORKOS_API_PORT=9\n' });
  const { WORKOS_CLIENT_ID, ...others } = GOOD;
  const file = join(folder, '.env');
  const [withIt, without] = await Promise.all([
    run(['doctor', '--env-file', file], { ...others, WORKOS_CLIENT_ID }),
    run(['doctor', '--env-file', file], others),
  ]);
  expect(withIt.stdout).not.toContain('must begin with client_');
  expect(without.stdout).toContain('WORKOS_CLIENT_ID must begin with client_');
});

test('doctor names a .env file that it was not asked to read, if the configuration is invalid', async () => {
  const folder = folderOf({ '.env': '' });
  const [unread, complete, without] = await Promise.all([
    run(['doctor'], {}, folder),
    run(['doctor'], GOOD, folder),
    run(['doctor'], {}, folderOf()),
  ]);
  expect(unread.stdout).toContain('There is a .env file, which was not read.');
  for (const { stdout } of [complete, without]) expect(stdout).not.toContain('.env file');
});

test('an env file that is missing is named, and the command fails', async () => {
  const { status, stdout, stderr } = await run(['doctor', '--env-file', '/no/such/file'], GOOD);
  // Some versions of Node read `--env-file` themselves, wherever it is in the command, and name the file.
  expect(status).not.toBe(0);
  expect(stdout + stderr).toMatch(/The env file could not be read|\/no\/such\/file/);
});

/** A WorkOS that serves its keys, and responds to everything else with one status. */
async function workosWith(status: number, body: object = {}) {
  const calls: { method: string; url: string; body: string; authorization: string | undefined }[] = [];
  const server = createServer((req, res) => {
    let text = '';
    req.on('data', (chunk: Buffer) => (text += chunk.toString()));
    req.on('end', () => {
      const { method = '', url = '', headers } = req;
      calls.push({ method, url, body: text, authorization: headers.authorization });
      const isKeys = url.startsWith('/sso/jwks/');
      res.writeHead(isKeys ? 200 : status, { 'Content-Type': 'application/json' });
      res.end(JSON.stringify(isKeys ? { keys: [{ kid: 'a' }] } : body));
    });
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return { calls, env: { ...GOOD, WORKOS_API_PORT: String((server.address() as AddressInfo).port) } };
}

test.each([401, 403, 404])('doctor: %i for the credentials is a problem', async (status) => {
  const { env } = await workosWith(status, { message: 'no' });
  const ended = await run(['doctor', '--json'], env);
  expect(ended.status).toBe(1);
  expect(ended.stdout).toContain(`WorkOS answers ${status}`);
});

describe('dev', () => {
  const print = ['-e', 'console.log(process.env.PORT, process.env.WORKOS_REDIRECT_URI)'];

  test('says who can sign in, and where', async () => {
    const { status, stdout, stderr } = await run(['dev', process.execPath, ...print]);
    expect(status).toBe(0);
    expect(stdout).toBe('undefined http://localhost:3000/callback\n');
    expect(stderr).toMatch(/The test WorkOS runs at http:\/\/127\.0\.0\.1:\d+/);
    expect(stderr).toContain('sign in at http://localhost:3000/login');
    for (const name of ['ada', 'grace', 'alan']) expect(stderr).toContain(`${name}@example.com`);
  });

  test.each([[['--port', '4000']], [['--port=4000']]])('%j is the port of the app', async (flags) => {
    const { stdout, stderr } = await run(['dev', ...flags, process.execPath, ...print]);
    expect(stdout).toBe('4000 http://localhost:4000/callback\n');
    expect(stderr).toContain('sign in at http://localhost:4000/login');
  });

  test('flags after the command are the command’s', async () => {
    const { stdout } = await run([
      'dev',
      process.execPath,
      '-e',
      'console.log(process.argv[1])',
      '--',
      '--port=1',
    ]);
    expect(stdout).toBe('--port=1\n');
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGKILL', 137],
  ])('a command that %s ends has the exit status %i', async (signal, status) => {
    const kill = `process.kill(process.pid, '${signal}'); setInterval(() => undefined, 1000)`;
    expect(await run(['dev', process.execPath, '-e', kill])).toMatchObject({ status });
  });

  test('a command that does not exist is named', async () => {
    const { status, stderr } = await run(['dev', 'no-such-command']);
    expect(status).toBe(127);
    expect(stderr).toContain('no-such-command could not be started: there is no such command');
  });
});

describe('init', () => {
  const read = (folder: string) => parseEnv(readFileSync(join(folder, '.env'), 'utf8'));

  test('writes .env with a new cookie password, which only the user can read', async () => {
    const folder = folderOf({ '.gitignore': 'node_modules\n' });
    const { status, stdout } = await run(['init', '--port', '4000'], {}, folder);
    expect(status).toBe(0);
    expect(read(folder)).toEqual({
      WORKOS_CLIENT_ID: '',
      WORKOS_API_KEY: '',
      WORKOS_REDIRECT_URI: 'http://localhost:4000/callback',
      WORKOS_COOKIE_PASSWORD: expect.stringMatching(/^[\w+/]{43}=$/) as string,
    });
    expect(statSync(join(folder, '.env')).mode & 0o777).toBe(0o600);
    expect(stdout).toContain('Set WORKOS_CLIENT_ID and WORKOS_API_KEY in .env');
    expect(stdout).toContain('.gitignore');
    expect(stdout).not.toContain(read(folder)['WORKOS_COOKIE_PASSWORD']);
  });

  test('changes no variable that is there, and adds those that are missing', async () => {
    const before = '# mine\nWORKOS_COOKIE_PASSWORD=keep\nOTHER=1';
    const folder = folderOf({ '.env': before, '.gitignore': '.env\n' });
    const first = await run(['init'], {}, folder);
    const after = readFileSync(join(folder, '.env'), 'utf8');
    expect(after.startsWith(`${before}\n`)).toBe(true);
    expect(read(folder)).toMatchObject({ WORKOS_COOKIE_PASSWORD: 'keep', OTHER: '1' });
    expect(first.stdout).not.toContain('.gitignore');
    const second = await run(['init'], {}, folder);
    expect(readFileSync(join(folder, '.env'), 'utf8')).toBe(after);
    expect(second.stdout).toContain('.env already has all variables');
  });

  test('writes a file of another name that does not exist yet', async () => {
    const folder = folderOf();
    const { status, stdout } = await run(['init', '.env.local'], GOOD, folder);
    expect(status).toBe(0);
    expect(stdout).toContain('Added to .env.local');
    expect(readFileSync(join(folder, '.env.local'), 'utf8')).toContain('WORKOS_COOKIE_PASSWORD=');
  });

  test('names only the variables that are left to set', async () => {
    const folder = folderOf({ '.env': 'WORKOS_CLIENT_ID=client_1\n' });
    const { stdout } = await run(['init'], {}, folder);
    expect(stdout).toContain('Set WORKOS_API_KEY in .env');
  });

  test('says that --port does not change a redirect URI that is there', async () => {
    const folder = folderOf({ '.env': 'WORKOS_REDIRECT_URI=http://localhost:3000/callback\n' });
    const [other, same] = await Promise.all([
      run(['init', '--port', '4000'], {}, folder),
      run(['init', 'same.env', '--port', '4000'], {}, folder),
    ]);
    expect(other.stdout).toContain('WORKOS_REDIRECT_URI is http://localhost:3000/callback: change it');
    expect(same.stdout).not.toContain('WORKOS_REDIRECT_URI is');
  });

  test('a variable that is empty in the file and set in the environment counts as set', async () => {
    const { env, calls } = await workosWith(201);
    const folder = folderOf({ '.env': 'WORKOS_CLIENT_ID=\nWORKOS_API_KEY=\n' });
    const { stdout } = await run(['init'], env, folder);
    expect(stdout).toContain('WorkOS now accepts http://localhost:3000/callback');
    expect(calls[0]).toMatchObject({ authorization: `Bearer ${GOOD.WORKOS_API_KEY}` });
  });

  test.each([
    [
      'registers the redirect URI',
      201,
      { object: 'redirect_uri' },
      'WorkOS now accepts http://localhost:3000/callback',
    ],
    [
      'says that it is registered',
      422,
      { message: "Redirect URI 'http://localhost:3000/callback' already exists." },
      'WorkOS already accepts http://localhost:3000/callback',
    ],
    [
      'says what to do if WorkOS refuses',
      401,
      { message: 'Unauthorized' },
      'add http://localhost:3000/callback in the WorkOS dashboard',
    ],
    [
      'says what to do if WorkOS fails',
      500,
      {},
      'add http://localhost:3000/callback in the WorkOS dashboard',
    ],
  ])('with an API key, %s', async (_, status, body, says) => {
    const { env, calls } = await workosWith(status, body);
    const folder = folderOf();
    const ended = await run(['init'], env, folder);
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    expect(ended.stdout).toContain(says);
    expect(ended.stdout).not.toContain(GOOD.WORKOS_API_KEY);
    expect(calls[0]).toMatchObject({
      method: 'POST',
      url: '/user_management/redirect_uris',
      body: '{"uri":"http://localhost:3000/callback"}',
      authorization: `Bearer ${GOOD.WORKOS_API_KEY}`,
    });
  });
});
