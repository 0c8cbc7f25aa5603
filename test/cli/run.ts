import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ROOT } from '../support/documentation.js';

export interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs the command line, without a variable of this process but PATH. */
export function run(args: string[], env: Record<string, string> = {}, cwd = ROOT): Promise<Ended> {
  const { PATH = '' } = process.env;
  const tsx = import.meta.resolve('tsx');
  return new Promise((done) => {
    execFile(
      process.execPath,
      ['--import', tsx, join(ROOT, 'src/cli/index.ts'), ...args],
      { cwd, env: { PATH, ...env } },
      (error, stdout, stderr) => {
        done({ status: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
      },
    );
  });
}

/** A temporary folder with files in it. */
export function folderOf(files: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'authkit-cli-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}
