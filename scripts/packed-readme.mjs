// npm shows README.md outside the repository, where relative links do not work. `prepack` makes the links absolute, and
// `postpack` restores the original README. In between, README.md is complete and formatted at any time, because
// `npm test` checks the format of all files while it packs.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { withAbsoluteLinks } from './links.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = join(root, 'README.md');
const original = join(root, '.README.original.md');

if (process.argv[2] === 'restore') {
  if (existsSync(original)) renameSync(original, readme);
} else {
  // If an earlier run was interrupted, the original is in the file next to the README.
  const text = readFileSync(existsSync(original) ? original : readme, 'utf8');
  const packed = join(root, '.README.packed.md');
  const options = await resolveConfig(readme);
  writeFileSync(packed, await format(withAbsoluteLinks(text), { ...options, parser: 'markdown' }));
  writeFileSync(original, text);
  renameSync(packed, readme);
}
