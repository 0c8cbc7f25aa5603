import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { AuthKitError } from 'authkit-express';
import { SITE } from '../scripts/links.mjs';
import { ERROR_CODES } from '../src/errors.js';
import { bundle } from './support/bundle.js';
import { problemsOf } from './support/compiler.js';
import { blocksOf, pages, ROOT, type Block } from './support/documentation.js';

// Inside the repository, so that imports resolve as they do here.
const folder = mkdtempSync(join(ROOT, 'test', '.docs-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const all = pages();
const blocks = all.flatMap(blocksOf).map((block) => ({ ...block, file: fileOf(block) }));
for (const { file, code } of blocks) writeFileSync(file, code);

/** A block with `require` becomes a CommonJS file, whatever the type of this package. */
function fileOf({ at, language, code }: Block): string {
  const name = at.replace(/\W+/g, '-');
  return join(folder, `${name}.${language === 'ts' ? 'ts' : /\brequire\(/.test(code) ? 'cjs' : 'mjs'}`);
}

test('all code in README and docs compiles', async () => {
  const project = join(folder, 'tsconfig.json');
  const files = blocks.map(({ file }) => file);
  const compilerOptions = { allowJs: true, checkJs: true, incremental: false, tsBuildInfoFile: null };
  writeFileSync(
    project,
    JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, files, include: [] }),
  );
  // Lines such as `test/.docs-x/README-md-30.ts(4,7): error TS2322: …`.
  const found = (await problemsOf(project)).map((line) => {
    const { at } = blocks.find(({ file }) => line.startsWith(relative(ROOT, file))) ?? { at: 'elsewhere' };
    return `${at}: ${line}`;
  });
  expect(found).toEqual([]);
  expect(blocks.length).toBeGreaterThanOrEqual(4);
});

// These blocks contain their own assertions.
const runnable = blocks.filter(({ isRunnable }) => isRunnable);
const isOf = (runner: string) => (block: Block) => block.code.includes(`from '${runner}'`);

describe.each(runnable.filter(isOf('vitest')).map(({ at, file }) => [at, file] as const))(
  '%s',
  async (_, file) => {
    await import(file);
  },
);

test.each(runnable.filter(isOf('node:test')))('$at passes under node:test', async ({ at, file }) => {
  const program = await bundle(`documentation-${at.replace(/\W+/g, '-')}`, { entryPoints: [file] });
  await promisify(execFile)(process.execPath, ['--test', program], { cwd: ROOT });
});

test.each(runnable.filter((block) => !isOf('vitest')(block) && !isOf('node:test')(block)))(
  '$at runs',
  async ({ file }) => {
    await import(file);
  },
);

test('code that a page takes from a file is the code of that file', () => {
  const lines = (text: string) => text.split('\n').map((line) => line.trim());
  const copied = all.flatMap(({ path, text }) =>
    [...text.matchAll(/From\s\[[^\]]+\]\(([^)]+)\):\n\n```\w+\n(.*?)^```$/gms)].map(
      ([, file = '', code = '']) => ({
        path,
        file: join(dirname(path), file),
        code: lines(code).join('\n').trim(),
      }),
    ),
  );
  for (const { path, file, code } of copied)
    expect(lines(readFileSync(join(ROOT, file), 'utf8')).join('\n'), `${path}: ${file}`).toContain(code);
  expect(copied.length).toBeGreaterThanOrEqual(8);
});

test('the README is short enough to be read', () => {
  expect(all[0]!.text.split('\n').length).toBeLessThan(300);
});

test('every page is linked from the index, and no link is broken', () => {
  const index = all.find(({ path }) => path === 'docs/README.md')!;
  for (const { path } of all.filter((page) => page.path.startsWith('docs/') && page !== index)) {
    expect(index.text).toContain(`](${path.replace('docs/', '')})`);
  }
  const anchors = new Map(all.map(({ path, text }) => [path, headingsOf(text)]));
  const broken = all.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)]
      .filter(([, target = '', anchor]) => {
        const to = target === '' ? path : join(dirname(path), target);
        return !existsSync(join(ROOT, to)) || (anchor !== undefined && !anchors.get(to)?.has(anchor));
      })
      .map(([link]) => `${path}: ${link}`),
  );
  expect(broken).toEqual([]);
});

test('every error code has the section of the docs page that the error links to', () => {
  const headings = headingsOf(all.find(({ path }) => path === 'docs/troubleshooting.md')!.text);
  for (const code of ERROR_CODES) {
    const { docs } = new AuthKitError(code, '');
    expect(docs).toBe(`${SITE}troubleshooting#${code}`);
    expect([...headings]).toContain(code);
  }
});

/** The anchors that GitHub generates for a Markdown page. */
function headingsOf(text: string): Set<string> {
  const headings = text.replace(/^```.*?^```$/gms, '').matchAll(/^#{1,6} (.+)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .replace(/\s/g, '-'),
    ),
  );
}
