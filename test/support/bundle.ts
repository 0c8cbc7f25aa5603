import { randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type BuildOptions } from 'esbuild';
import { ROOT } from './documentation.js';

// Two folders below the root, like src/cli, so that packages and package.json are found.
const folder = join(ROOT, 'node_modules/.cache');

/** Packages that are CommonJS call `require`, which ES modules do not have. */
const REQUIRE = `import { createRequire as createRequireForBundle } from 'node:module';
const require = createRequireForBundle(import.meta.url);`;

/**
 * Bundles a program that a test runs in another process, because it then starts in a third of the time that it takes
 * from TypeScript. Returns the path of the bundle.
 */
export async function bundle(name: string, options: BuildOptions): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    tsconfig: 'tsconfig.json',
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
    ...options,
    write: false,
  });
  const path = join(folder, `authkit-${name}.mjs`);
  // A different test file may be running the bundle at this moment.
  const written = `${path}.${randomUUID()}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(written, outputFiles[0]!.contents);
  renameSync(written, path);
  return path;
}

/** Bundles code that imports files by their path below the root, such as `./example/api/app.ts`. */
export function bundleCode(name: string, contents: string): Promise<string> {
  return bundle(name, { stdin: { contents, resolveDir: ROOT, loader: 'ts' } });
}

/** Bundles a program with the packages that it imports, which halves the time once more. */
export function bundleWithPackages(name: string, file: string): Promise<string> {
  return bundle(name, { entryPoints: [file], packages: 'bundle', banner: { js: REQUIRE } });
}
