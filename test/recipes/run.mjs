// `npm run test:recipes`: bundlers, runtimes and servers that are too large to be development dependencies of the package.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const here = import.meta.dirname;
const root = join(here, '../..');
const dist = join(here, 'dist');
process.chdir(here);

const run = async (command, args, options = {}) =>
  promisify(execFile)(command, args, { cwd: here, maxBuffer: 1e8, ...options });

/** What a browser sends when the user types an address. */
const NAVIGATION = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

await install();
const { createTestWorkOS } = await import('authkit-express/testing');
const { libraries, tryLibrary } = await import('./libraries.mjs');
rmSync(dist, { recursive: true, force: true });

let failed = 0;
// With a word as argument, only the recipes whose names have it.
const word = process.argv[2] ?? '';
const chosen = recipes().filter(([name]) => name.includes(word));
for (const [name, recipe] of chosen) {
  const started = performance.now();
  try {
    await recipe();
    console.log(`ok      ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stdout ?? ''}${error.stderr ?? error.stack}`);
  }
}
process.exit(failed === 0 ? 0 : 1);

/** Installs what package-lock.json names, unless it is installed, and links the package as it was built. */
async function install() {
  const installed = join(here, 'node_modules/.package-lock.json');
  const isCurrent = existsSync(installed) && existsSync(join(here, 'node_modules/authkit-express'));
  if (!isCurrent)
    await run('npm', ['ci', '--no-audit', '--no-fund'], { shell: process.platform === 'win32' });
  const link = join(here, 'node_modules/authkit-express');
  rmSync(link, { recursive: true, force: true });
  symlinkSync(root, link, 'junction');
}

function recipes() {
  return [
    ['Bun', () => isFine(bin('bun'), 'app.mjs')],
    ['Deno', () => isFine(bin('deno'), 'run', '--allow-all', 'app.mjs')],
    ['esbuild, CommonJS', esbuildCommonJS],
    ['esbuild, ES module', esbuildModule],
    ['rollup', rollup],
    ['ncc', ncc],
    ['webpack', webpack],
    ['webpack, without its second file', webpackWithoutChunk],
    ['Vite in middleware mode', () => singlePage('./vite.mjs')],
    ['connect-history-api-fallback', () => singlePage('./history-fallback.mjs')],
    ['Google Cloud Functions', cloudFunction],
    ['a proxy for outgoing requests, with undici', outgoingProxy],
    ...Object.entries(libraries).map(([name, create]) => [name, () => tryLibrary(create)]),
  ];
}

function bin(name) {
  return join(here, 'node_modules/.bin', name);
}

/** Runs app.mjs, or what became of it. */
async function isFine(...command) {
  const [program, ...args] = command;
  const { stdout } = await run(program, args);
  assert.equal(stdout.trim(), 'fine');
}

async function esbuildCommonJS() {
  await run(bin('esbuild'), ['app.mjs', '--bundle', '--platform=node', '--outfile=dist/esbuild/app.cjs']);
  await isFine(process.execPath, 'dist/esbuild/app.cjs');
}

async function esbuildModule() {
  const banner =
    "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
  const format = ['--platform=node', '--format=esm', '--splitting', '--out-extension:.js=.mjs'];
  await run(bin('esbuild'), ['app.mjs', '--bundle', ...format, '--outdir=dist/esm', `--banner:js=${banner}`]);
  await isFine(process.execPath, 'dist/esm/app.mjs');
}

async function rollup() {
  await run(bin('rollup'), ['--config', 'rollup.config.mjs', '--silent']);
  await isFine(process.execPath, 'dist/rollup/app.mjs');
}

async function ncc() {
  await run(bin('ncc'), ['build', 'app.mjs', '--out', 'dist/ncc', '--quiet']);
  await isFine(process.execPath, 'dist/ncc/index.mjs');
}

async function webpack() {
  const { default: bundle } = await import('webpack');
  const { default: config } = await import('./webpack.config.mjs');
  const stats = await new Promise((resolve, reject) => {
    bundle(config, (error, result) => (error ? reject(error) : resolve(result)));
  });
  assert.equal(stats.hasErrors(), false, stats.toString());
  await isFine(process.execPath, 'dist/webpack/app.mjs');
}

/** Some dependencies are in files of their own. A deployment that leaves them out fails with an error that says so. */
async function webpackWithoutChunk() {
  mkdirSync(join(dist, 'incomplete'), { recursive: true });
  cpSync(join(dist, 'webpack/app.mjs'), join(dist, 'incomplete/app.mjs'));
  const { stderr } = await run(process.execPath, ['dist/incomplete/app.mjs']).catch((error) => error);
  assert.match(stderr, /not installed correctly|ERR_MODULE_NOT_FOUND/);
}

function get(url, headers) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers, agent: false }, async (response) => {
      const body = (await response.toArray()).join('');
      resolve({ status: response.statusCode, location: response.headers.location, body });
    });
    sent.on('error', reject).end();
  });
}

async function listen(handler) {
  const server = createServer(handler);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, origin: `http://127.0.0.1:${server.address().port}` };
}

async function singlePage(file) {
  const { createApp } = await import(file);
  const workos = await createTestWorkOS();
  const { app, close } = await createApp(workos.options);
  const { server, origin } = await listen(app);
  const page = readFileSync(join(here, 'public/index.html'), 'utf8').match(/<title>.*<\/title>/)[0];
  for (const path of ['/', '/orders/7'])
    assert.match((await get(origin + path, NAVIGATION)).body, new RegExp(page));
  assert.match((await get(`${origin}/login`, NAVIGATION)).location, /user_management\/authorize/);
  assert.equal((await get(`${origin}/api/me`, { accept: '*/*' })).status, 401);
  const cookie = await workos.signIn({ user: 'ada@example.com' });
  assert.equal((await get(`${origin}/api/me`, { cookie })).body, '{"email":"ada@example.com"}');
  server.closeAllConnections();
  server.close();
  await close();
  await workos.close();
}

function environmentOf({ options }, origin) {
  return {
    ...process.env,
    WORKOS_API_KEY: options.apiKey,
    WORKOS_CLIENT_ID: options.clientId,
    WORKOS_COOKIE_PASSWORD: options.cookiePassword,
    WORKOS_API_HOSTNAME: options.apiHostname,
    WORKOS_API_HTTPS: String(options.apiHttps),
    WORKOS_API_PORT: String(options.apiPort),
    WORKOS_REDIRECT_URI: `${origin}/callback`,
  };
}

async function cloudFunction() {
  const { server, origin } = await listen();
  await new Promise((resolve) => server.close(resolve));
  const workos = await createTestWorkOS();
  const port = new URL(origin).port;
  const child = spawn(
    bin('functions-framework'),
    ['--source=cloud-function.mjs', '--target=app', `--port=${port}`],
    {
      cwd: here,
      env: environmentOf(workos, origin),
      stdio: 'ignore',
    },
  );
  try {
    await isListening(port);
    assert.equal((await get(`${origin}/account`, { accept: '*/*' })).status, 401);
    assert.match((await get(`${origin}/login`, NAVIGATION)).location, /user_management\/authorize/);
    const cookie = await workos.signIn({ user: 'ada@example.com', expiresIn: -1 });
    assert.equal((await get(`${origin}/account`, { cookie })).body, '{"email":"ada@example.com"}');
    assert.equal(workos.callsTo('refresh').length, 1);
  } finally {
    child.kill();
    await workos.close();
  }
}

async function isListening(port) {
  for (;;) {
    const isOpen = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function outgoingProxy() {
  const workos = await createTestWorkOS();
  const tunnels = [];
  const { server, origin } = await listen();
  server.on('connect', (req, socket, head) => {
    tunnels.push(req.url);
    const [host, port] = req.url.split(':');
    const upstream = connect(port, host, () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    for (const side of [socket, upstream]) side.on('error', () => undefined);
  });
  Object.assign(process.env, environmentOf(workos, 'http://localhost:3000'), { HTTPS_PROXY: origin });
  const { auth } = await import('./outgoing-proxy.mjs');
  const { default: express } = await import('express');
  const app = express()
    .use(auth)
    .get('/', (req, res) => res.json({ email: req.user?.email }));
  const site = await listen(app);
  const cookie = await workos.signIn({ user: 'ada@example.com', expiresIn: -1 });
  assert.equal((await get(site.origin, { cookie })).body, '{"email":"ada@example.com"}');
  assert.ok(tunnels.includes(`127.0.0.1:${workos.options.apiPort}`));
  for (const one of [server, site.server]) {
    one.closeAllConnections();
    one.close();
  }
  await workos.close();
}
