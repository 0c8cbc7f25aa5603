import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './documentation.js';

const TSC = join(ROOT, 'node_modules/typescript7/bin/tsc');

/** Compiles a project in another process. Returns the lines that the compiler prints: none if there is no problem. */
export function problemsOf(project: string): Promise<string[]> {
  const args = [TSC, '--project', project, '--noEmit', '--pretty', 'false'];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: ROOT }, (error, stdout, stderr) => {
      const lines = stdout.split('\n').filter((line) => line !== '');
      if (error && lines.length === 0) reject(new Error(`the compiler failed: ${stderr}`));
      else resolve(lines);
    });
  });
}
