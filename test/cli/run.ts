import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { onTestFinished } from 'vitest';
import { ROOT } from '../support/documentation.js';

export interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

// Two folders below the root, like src/cli, so that packages and package.json are found.
const bundle = join(ROOT, 'node_modules/.cache/authkit-cli.mjs');
let built: Promise<void> | undefined;

/** Bundles the CLI once, because it starts in a quarter of the time that it takes from TypeScript. */
async function buildCLI(): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, 'src/cli/index.ts')],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    write: false,
  });
  // A different test file may be running the bundle at this moment.
  const written = `${bundle}.${process.pid}`;
  mkdirSync(dirname(bundle), { recursive: true });
  writeFileSync(written, outputFiles[0]!.contents);
  renameSync(written, bundle);
}

/** Runs the CLI. Of this process's environment variables, it gets only PATH. */
export async function run(args: string[], env: Record<string, string> = {}, cwd = ROOT): Promise<Ended> {
  await (built ??= buildCLI());
  const { PATH = '' } = process.env;
  return new Promise((done) => {
    execFile(process.execPath, [bundle, ...args], { cwd, env: { PATH, ...env } }, (error, stdout, stderr) => {
      done({ status: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

/** Creates a temporary folder with the given files. */
export function folderOf(files: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'authkit-cli-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}
