// `npm run test:jest`: runs the recipe "jest in CommonJS" exactly as it is in docs/testing.md, against the tarball that
// would be published. It needs the npm registry.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeBlocks } from './code-blocks.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'authkit-jest-'));
const files = ['jest.config.cjs', 'account.test.js'];
const page = readFileSync(join(root, 'docs/testing.md'), 'utf8');

try {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const [{ filename }] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }));
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "commonjs" }');
  const flags = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', '--loglevel=error'];
  const packages = ['express@5', '@workos-inc/node@11', 'jest@30', '@swc/jest', '@swc/core', 'supertest'];
  execFileSync('npm', ['install', ...flags, `./${filename}`, ...packages], { cwd: folder, stdio: 'inherit' });
  for (const [index, code] of codeBlocks(page, files).entries())
    writeFileSync(join(folder, files[index]), code);
  execFileSync('npx', ['jest', '--ci'], { cwd: folder, stdio: 'inherit' });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
