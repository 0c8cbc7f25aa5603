import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { ROOT } from './support/documentation.js';

const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => readFileSync(path, 'utf8')) as {
  config: object;
};
const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, ROOT);
const parsed = new Map<string, ts.SourceFile | undefined>();

interface Compiled {
  problems: string[];
  /** Packages whose types are included. */
  packages: Set<string>;
}

/** Compiles files of ./types as a project with these packages does. Files are parsed once for all projects. */
function compile(names: string[], paths: Record<string, string[]> = {}): Compiled {
  const settings = { ...options, paths: { ...options.paths, ...paths } };
  const host = ts.createCompilerHost(settings);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...rest) => {
    if (!parsed.has(name)) parsed.set(name, read(name, ...rest));
    return parsed.get(name);
  };
  const files = names.map((name) => join(ROOT, 'test/types', name));
  const program = ts.createProgram(files, settings, host);
  const problems = files.flatMap((file) => {
    const source = program.getSourceFile(file);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
      ({ start, messageText }) => {
        const { line } = source!.getLineAndCharacterOfPosition(start ?? 0);
        return `${file}:${line + 1}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
      },
    );
  });
  const packages = program
    .getSourceFiles()
    .map(
      ({ fileName }) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(fileName)?.[1] ?? '',
    );
  return { problems, packages: new Set(packages) };
}

const OLD = join(ROOT, 'node_modules/@types/express4');
const EXPRESS_4 = {
  express: [join(OLD, 'index.d.ts')],
  'express-serve-static-core': [join(OLD, 'node_modules/@types/express-serve-static-core/index.d.ts')],
};

test('with the types of Express 5', () => {
  const { problems, packages } = compile(['express.ts', 'claims.ts']);
  expect(problems).toEqual([]);
  expect(packages).toContain('@types/express');
  expect(packages).not.toContain('@types/express4');
});

test('with the types of Express 4', () => {
  const { problems, packages } = compile(['express.ts', 'claims.ts'], EXPRESS_4);
  expect(problems).toEqual([]);
  expect(packages).toContain('@types/express4');
  expect(packages).not.toContain('@types/express');
});

test.each([
  ['Express 5', {}],
  ['Express 4', EXPRESS_4],
])('with passport and express-session, on %s', (_, paths) => {
  const { problems, packages } = compile(['passport.ts', 'express.ts'], paths);
  expect(problems).toEqual([]);
  for (const name of ['@types/passport', '@types/express-session']) expect(packages).toContain(name);
});

test('without any types of Express', () => {
  const { problems, packages } = compile(['bare.ts', 'claims.ts']);
  expect(problems).toEqual([]);
  expect([...packages].filter((name) => name.includes('express'))).toEqual([]);
});
