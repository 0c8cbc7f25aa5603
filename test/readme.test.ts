import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1]!);

describe('the code in the README', () => {
  // Inside the checkout, so that imports resolve as they do here.
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(root, 'test', '.readme-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test('compiles', () => {
    const files = blocks.map((code, index) => {
      const file = join(folder, `block-${index}.ts`);
      writeFileSync(file, code);
      return file;
    });
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) =>
      readFileSync(path, 'utf8'),
    ) as {
      config: object;
    };
    const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files }, ts.sys, root);
    const program = ts.createProgram(files, options);
    const found = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
    expect(found).toEqual([]);
    expect(files.length).toBeGreaterThanOrEqual(4);
  });

  test('runs, where it says what happens', async () => {
    const testing = blocks.find((code) => code.includes('supertest'));
    const file = join(folder, 'testing.ts');
    writeFileSync(file, testing!);
    await import(file);
  });
});

test('the README is short enough to be read', () => {
  expect(readme.split('\n').length).toBeLessThan(300);
});
