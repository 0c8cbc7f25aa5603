// Checks the tarball that would be published: its files, its types as resolvers see them, and that it loads both ways.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'authkit-express-'));
const run = (command, args, options = {}) =>
  execFileSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    ...options,
  });

try {
  const [packed] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]),
  );
  const tarball = join(folder, packed.filename);
  const stray = packed.files
    .map(({ path }) => path)
    .filter((path) => !/^(dist|src)\/|^docs\/[\w-]+\.md$|^(package\.json|LICENSE|[A-Z]+\.md)$/.test(path));
  if (stray.length > 0)
    throw new Error(`the tarball has files that do not belong there: ${stray.join(', ')}`);

  const bin = (name) => join(root, 'node_modules', '.bin', name);
  process.stdout.write(run(bin('publint'), [tarball, '--strict']));
  process.stdout.write(
    run(bin('attw'), [tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-emoji']),
  );

  // An installed copy, beside the dependencies of this checkout.
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, 'authkit-express'), { recursive: true });
  run('tar', ['-xzf', tarball, '--strip-components', '1', '-C', join(modules, 'authkit-express')]);
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  const use =
    '({ authkit, requireAuth, signedIn, AuthKitError }) => [authkit, requireAuth, signedIn, AuthKitError].every((it) => typeof it === "function")';
  const loads = {
    import: [
      '--input-type=module',
      '-e',
      `const check = ${use}; if (!check(await import("authkit-express"))) process.exit(1); await import("authkit-express/testing");`,
    ],
    require: [
      '-e',
      `const check = ${use}; if (!check(require("authkit-express"))) process.exit(1); require("authkit-express/testing");`,
    ],
  };
  for (const [way, args] of Object.entries(loads)) {
    run(process.execPath, args, { cwd: folder });
    process.stdout.write(`loads by ${way}\n`);
  }
  process.stdout.write(
    `${packed.filename}: ${packed.files.length} files, ${Math.round(packed.unpackedSize / 1024)} KB\n`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
