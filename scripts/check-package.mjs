// Checks the tarball that would be published: its files, its README's links, its types in every module resolution, its
// size, and that small applications compile and run with it (ES modules, CommonJS, TypeScript and an esbuild bundle).
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { codeBlocks } from './code-blocks.mjs';

/** Limits in bytes. A large change means that a dependency was added or bundled by mistake. */
const MAX_PACKED = 750_000;
const MAX_BUNDLE = 290_000;

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'authkit-express-'));
const run = (command, args, options = {}) =>
  execFileSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    ...options,
  });
const bin = (name) => join(root, 'node_modules', '.bin', name);
const kilobytes = (bytes) => `${Math.round(bytes / 1024)} KB`;

try {
  const packed = pack();
  // scripts/test.mjs waits for this.
  process.send?.('packed');
  checkTypes(packed.tarball);
  installCopy(packed.tarball);
  checkReadme();
  cpSync(join(root, 'scripts/consumers'), folder, { recursive: true });
  runConsumers();
  compileConsumers();
  await bundleConsumer();
  const { size, unpackedSize, files } = packed;
  if (size > MAX_PACKED) throw new Error(`the tarball has ${kilobytes(size)}`);
  console.log(`${files.length} files, ${kilobytes(size)} packed, ${kilobytes(unpackedSize)} unpacked`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function pack() {
  const quiet = ['--json', '--foreground-scripts=false'];
  const [packed] = JSON.parse(run('npm', ['pack', ...quiet, '--pack-destination', folder]));
  const belongs = /^(dist|src)\/|^docs\/(?:recipes\/)?[\w-]+\.md$|^(package\.json|LICENSE|[A-Z]+\.md)$/;
  const stray = packed.files.map(({ path }) => path).filter((path) => !belongs.test(path));
  if (stray.length > 0)
    throw new Error(`the tarball has files that do not belong there: ${stray.join(', ')}`);
  return { ...packed, tarball: join(folder, packed.filename) };
}

/** Relative links do not work on the package's npm page. */
function checkReadme() {
  const readme = readFileSync(join(folder, 'node_modules/authkit-express/README.md'), 'utf8');
  const relative = [...readme.matchAll(/\]\((?!https:|#)[^)]*\)/g)].map(([link]) => link);
  if (relative.length > 0) throw new Error(`relative links in the packed README: ${relative.join(', ')}`);
}

function checkTypes(tarball) {
  process.stdout.write(run(bin('publint'), [tarball, '--strict']));
  // Checks every resolution, including node10. The package has ES modules only, so `require` resolves to one.
  const rules = ['--ignore-rules', 'cjs-resolves-to-esm'];
  run(bin('attw'), [tarball, '--profile', 'strict', '--format', 'ascii', '--no-emoji', ...rules]);
  console.log('types resolve: attw');
}

/** Installs the tarball next to the dependencies of this checkout. */
function installCopy(tarball) {
  const modules = join(folder, 'node_modules');
  const own = join(modules, 'authkit-express');
  mkdirSync(own, { recursive: true });
  run('tar', ['-xzf', tarball, '--strip-components', '1', '-C', own]);
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  for (const file of readdirSync(join(own, 'dist'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.js.map')) continue;
    const { sources } = JSON.parse(readFileSync(join(own, 'dist', file), 'utf8'));
    for (const source of sources) readFileSync(join(own, 'dist', file, '..', source));
  }
}

function runConsumers() {
  for (const file of ['esm.mjs', 'commonjs.cjs']) {
    for (const framework of ['express', 'express4', 'connect']) {
      run(process.execPath, ['--no-warnings', file, framework], { cwd: folder });
    }
    console.log(`${file} runs on Express 5, Express 4 and Connect`);
  }
  const name = 'child.test.mjs';
  const [code] = codeBlocks(readFileSync(join(root, 'docs/testing.md'), 'utf8'), [name]);
  writeFileSync(join(folder, name), code);
  run(process.execPath, ['--no-warnings', name], { cwd: folder });
  console.log(`${name} of docs/testing.md runs`);
  const secret = run(process.execPath, ['node_modules/authkit-express/dist/cli.js', 'secret'], {
    cwd: folder,
  });
  if (secret.trim().length !== 44) throw new Error('npx authkit-express secret does not print a secret');
}

function compileConsumers() {
  const flags = ['--noEmit', '--strict', '--target', 'es2022', '--skipLibCheck', '--types', 'node'];
  cpSync(join(folder, 'types.ts'), join(folder, 'types.mts'));
  for (const [file, module, resolution] of [
    ['types.mts', 'nodenext', 'nodenext'],
    ['types.cts', 'nodenext', 'nodenext'],
    ['types.mts', 'esnext', 'bundler'],
  ]) {
    const args = ['--module', module, '--moduleResolution', resolution, '--preserveSymlinks', file];
    compile('typescript7', [...flags, ...args], folder);
  }
  compileCommonJS();
  console.log('types compile: import, require, bundler, node10');
}

/** A CommonJS project with the TypeScript settings of common starters, which does not list its global types. */
function compileCommonJS() {
  const project = join(folder, 'commonjs');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "type": "commonjs" }');
  writeFileSync(
    join(project, 'app.ts'),
    `import express from 'express';
import { authkit, requireAuth } from 'authkit-express';
import { postgresStore } from 'authkit-express/postgres';
import { redisStore } from 'authkit-express/redis';
import { createTestWorkOS, testStore } from 'authkit-express/testing';
const app = express();
app.use(authkit());
app.get('/x', requireAuth(), (req, res) => { res.send(req.user?.email); });
void [postgresStore, redisStore, createTestWorkOS, testStore];
`,
  );
  const flags = ['--noEmit', '--strict', '--esModuleInterop', '--skipLibCheck', '--target', 'es2022'];
  for (const [module, resolution] of [
    ['commonjs', 'node10'],
    ['node20', 'node16'],
    ['nodenext', 'nodenext'],
  ]) {
    const args = ['--module', module, '--moduleResolution', resolution, '--preserveSymlinks', 'app.ts'];
    // TypeScript 7 does not have node10, and TypeScript 6 accepts it only with this flag.
    if (resolution === 'node10')
      compile('typescript', [...flags, '--ignoreDeprecations', '6.0', ...args], project);
    else compile('typescript7', [...flags, ...args], project);
  }
}

/** Both versions have a program named `tsc`, so neither is run by its name. */
function compile(typescript, args, cwd) {
  run(process.execPath, [join(root, 'node_modules', typescript, 'bin/tsc'), ...args], {
    cwd,
    stdio: 'inherit',
  });
}

async function bundleConsumer() {
  const outfile = join(folder, 'bundle.out.mjs');
  const options = { bundle: true, platform: 'node', format: 'esm', target: 'node20', logLevel: 'error' };
  const banner = {
    js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
  };
  await build({ ...options, banner, entryPoints: [join(folder, 'bundle.mjs')], outfile });
  run(process.execPath, ['--no-warnings', outfile], { cwd: tmpdir() });
  const { outputFiles } = await build({
    ...options,
    stdin: { contents: "export * from 'authkit-express'", resolveDir: folder },
    external: ['@workos-inc/node', 'express'],
    minify: true,
    write: false,
  });
  const [{ contents }] = outputFiles;
  if (contents.length > MAX_BUNDLE) throw new Error(`the bundle has ${kilobytes(contents.length)}`);
  const gzipped = kilobytes(gzipSync(contents).length);
  console.log(
    `a bundle of esbuild runs; with its dependencies, ${kilobytes(contents.length)} minified, ${gzipped} gzipped`,
  );
}
