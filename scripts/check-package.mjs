// Checks the tarball that would be published: its files, its types as resolvers see them, its size, and that small
// applications run on it and compile: ES modules, CommonJS, TypeScript, and a bundle of esbuild.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** What a browser never loads still has to be downloaded and read: a jump here is a dependency that slipped in. */
const MAX_PACKED = 600_000;
const MAX_BUNDLE = 200_000;

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
  checkTypes(packed.tarball);
  installCopy(packed.tarball);
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
  const [packed] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]),
  );
  const belongs = /^(dist|src)\/|^docs\/[\w-]+\.md$|^(package\.json|LICENSE|[A-Z]+\.md)$/;
  const stray = packed.files.map(({ path }) => path).filter((path) => !belongs.test(path));
  if (stray.length > 0)
    throw new Error(`the tarball has files that do not belong there: ${stray.join(', ')}`);
  return { ...packed, tarball: join(folder, packed.filename) };
}

function checkTypes(tarball) {
  process.stdout.write(run(bin('publint'), [tarball, '--strict']));
  run(bin('attw'), [tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-emoji']);
  console.log('types resolve: attw');
}

/** Beside the dependencies of this checkout. */
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
  const secret = run(process.execPath, ['node_modules/authkit-express/dist/cli.js', 'secret'], {
    cwd: folder,
  });
  if (secret.trim().length !== 44) throw new Error('npx authkit-express secret prints no secret');
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
    run(bin('tsc'), [...flags, ...args], { cwd: folder, stdio: 'inherit' });
  }
  console.log('types compile: import, require, bundler');
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
