import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { bundleWithPackages } from '../support/bundle.js';
import { ROOT } from '../support/documentation.js';

export interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

let built: Promise<string> | undefined;

/** The path of the CLI's script. */
export const script = () => (built ??= bundleWithPackages('cli', 'src/cli/index.ts'));

/** Runs the CLI. Of this process's environment variables, it gets only PATH. */
export async function run(args: string[], env: Record<string, string> = {}, cwd = ROOT): Promise<Ended> {
  const cli = await script();
  const { PATH = '' } = process.env;
  return new Promise((done) => {
    execFile(process.execPath, [cli, ...args], { cwd, env: { PATH, ...env } }, (error, stdout, stderr) => {
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
