// npm shows README.md outside the repository, where relative links do not work. `prepack` makes the links absolute, and
// `postpack` restores the original README.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withAbsoluteLinks } from './links.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = join(root, 'README.md');
const original = join(root, '.README.original.md');

if (process.argv[2] === 'restore') {
  if (existsSync(original)) renameSync(original, readme);
} else {
  // If an earlier run was interrupted, the original is in the file next to the README.
  const text = readFileSync(existsSync(original) ? original : readme, 'utf8');
  writeFileSync(original, text);
  writeFileSync(readme, withAbsoluteLinks(text));
}
