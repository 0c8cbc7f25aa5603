import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Linter } from 'eslint';
import ts from 'typescript';
import tseslint from 'typescript-eslint';
import { expect, test } from 'vitest';
import { ROOT } from './support/documentation.js';

const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => readFileSync(path, 'utf8')) as {
  config: object;
};
const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, ROOT);
const parsed = new Map<string, ts.SourceFile | undefined>();

interface Compiled {
  problems: string[];
  /** Packages whose types are loaded. */
  packages: Set<string>;
  program: ts.Program;
}

/** Compiles files in ./types as a project with these packages would. Each file is parsed once for all projects. */
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
  return { problems, packages: new Set(packages), program };
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

// Shortened declarations of these packages. `npm run test:types` compiles with the packages themselves.
const neighbour = (name: string) => join(ROOT, 'test/types/neighbours', name);

test.each([
  ['Express 5', {}],
  ['Express 4', EXPRESS_4],
])('beside express-oauth2-jwt-bearer, whose req.auth has another type, on %s', (_, paths) => {
  const { problems } = compile(['beside-jwt-bearer.ts'], {
    ...paths,
    'express-oauth2-jwt-bearer': [neighbour('express-oauth2-jwt-bearer.d.ts')],
  });
  expect(problems).toEqual([]);
});

test.each([
  ['Express 5', {}],
  ['Express 4', EXPRESS_4],
])('beside Clerk, whose req.auth is a function, on %s', (_, paths) => {
  const { problems } = compile(['beside-clerk.ts', 'neighbours/clerk-env.d.ts'], {
    ...paths,
    '@clerk/express': [neighbour('clerk.d.ts')],
  });
  expect(problems).toEqual([]);
});

test('methods can be destructured without typescript-eslint’s unbound-method', () => {
  const { problems, program } = compile(['destructured.ts']);
  expect(problems).toEqual([]);
  const file = join(ROOT, 'test/types/destructured.ts');
  const messages = new Linter({ cwd: ROOT }).verify(
    readFileSync(file, 'utf8'),
    {
      files: ['**/*.ts'],
      plugins: { '@typescript-eslint': tseslint.plugin },
      languageOptions: { parser: tseslint.parser, parserOptions: { programs: [program] } },
      rules: { '@typescript-eslint/unbound-method': 'error' },
    },
    file,
  );
  expect(messages.map(({ ruleId, line, message }) => [ruleId, line, message.split('.')[0]])).toEqual([
    ['@typescript-eslint/unbound-method', lineOf(file, 'add: unbound'), expect.any(String)],
  ]);
});

function lineOf(file: string, text: string): number {
  return (
    readFileSync(file, 'utf8')
      .split('\n')
      .findIndex((line) => line.includes(text)) + 1
  );
}
