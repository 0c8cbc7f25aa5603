import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support/documentation.js';
import { exportedNames } from '../support/exported-names.js';
import recorded from './exported-names.json' with { type: 'json' };

const page = readFileSync(join(ROOT, 'docs/migration.md'), 'utf8');

/** The section about a package, under the heading that names it. */
function sectionOf(name: string): string {
  const short = name.replace(/^@[\w-]+\//, '');
  const section = page.split(/^(?=## )/m).find((part) => part.split('\n')[0]!.includes(short));
  expect(section, `docs/migration.md has no section about ${name}`).toBeDefined();
  return section!;
}

test.each(Object.entries(recorded))(
  'every exported name of %s is in docs/migration.md',
  (name, { names }) => {
    const section = sectionOf(name);
    const missing = names.filter((exported) => !new RegExp(`\`${exported}(?:\\(|\`)`).test(section));
    expect(missing).toEqual([]);
    expect(names.length).toBeGreaterThan(5);
  },
);

test('the recorded names of @workos/authkit-session are those of the installed version', () => {
  const folder = join(ROOT, 'node_modules/@workos/authkit-session');
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  expect(recorded['@workos/authkit-session'].version).toBe(version);
  expect(recorded['@workos/authkit-session'].names).toEqual(exportedNames(join(folder, 'dist/index.d.ts')));
});
