import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import * as entry from '../src/index.js';
import * as postgres from '../src/stores/postgres.js';
import * as redis from '../src/stores/redis.js';
import * as testing from '../src/testing/index.js';

const SOURCE = fileURLToPath(new URL('../src', import.meta.url));

/** Folders may import only from folders further down this list. The leaves are files that every folder may import. */
const FOLDERS = ['authkit', 'sso', 'routes', 'auth', 'session', 'workos', 'config', 'stores', 'http'];
const LEAVES = [
  'url-can-parse.ts',
  'errors.ts',
  'diagnostics.ts',
  'deadline.ts',
  'expiring-map.ts',
  'plain-objects.ts',
  'per-object-state.ts',
  'sha256.ts',
];
/** Folders and files that are not in the list, with what they may import from it. */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  cli: ['config', 'workos', 'stores', 'testing'],
  // A leaf. The text of an error for users is that of its page.
  'errors.ts': ['http/page-texts.ts'],
  testing: ['session/iron-seal.ts', 'workos/verified-token-mac.ts', 'stores/index.ts'],
};

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);
const parsed = new Map(
  files.map((file) => {
    const text = readFileSync(join(SOURCE, file), 'utf8');
    return [file, ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)];
  }),
);

/** What a file imports or re-exports, including types: local files by their path in `src`, packages by name. */
function importsOf(file: string): { local: string[]; foreign: string[] } {
  const specifiers = parsed
    .get(file)!
    .statements.filter((node) => ts.isImportDeclaration(node) || ts.isExportDeclaration(node))
    .map((node) => node.moduleSpecifier)
    .filter((node) => node !== undefined)
    .map((node) => (node as ts.StringLiteral).text);
  const text = parsed.get(file)!.text;
  const dynamic = [...text.matchAll(/\bimport\('([^']+)'\)/g)].map((match) => match[1]!);
  const all = [...specifiers, ...dynamic];
  return {
    local: all
      .filter((name) => name.startsWith('.'))
      .map((name) => normalize(join(dirname(file), name)).replace(/\.js$/, '.ts')),
    foreign: all.filter((name) => !name.startsWith('.')),
  };
}

function importersOf(name: string): string[] {
  return files.filter((file) => importsOf(file).foreign.includes(name));
}

test('no file imports itself through others, type imports included', () => {
  const visiting: string[] = [];
  const done = new Set<string>();
  const visit = (file: string) => {
    expect(visiting.includes(file), [...visiting, file].join(' → ')).toBe(false);
    if (done.has(file)) return;
    visiting.push(file);
    for (const next of importsOf(file).local) visit(next);
    visiting.pop();
    done.add(file);
  };
  for (const file of files) visit(file);
  expect(done.size).toBe(files.length);
});

test('no value of node:http is imported, since that makes Node load all of it', () => {
  const values = files.filter((file) => {
    const imports = parsed.get(file)!.statements.filter((node) => ts.isImportDeclaration(node));
    return imports.some(
      ({ moduleSpecifier, importClause }) =>
        (moduleSpecifier as ts.StringLiteral).text === 'node:http' &&
        importClause?.phaseModifier !== ts.SyntaxKind.TypeKeyword,
    );
  });
  expect(values.filter((file) => !file.startsWith('testing/'))).toEqual([]);
  expect(values).toContain('testing/http-server.ts');
});

const folderOf = (file: string) => (file.includes('/') ? file.split('/', 1)[0]! : file);

function mayImport(from: string, to: string): boolean {
  const [source, target] = [folderOf(from), folderOf(to)];
  if (source === target || LEAVES.includes(to)) return true;
  if (source === 'index.ts') return target !== 'cli' && target !== 'testing';
  if (source in BESIDE) return BESIDE[source]!.some((name) => name === target || name === to);
  // The two entry points are independent of each other.
  if (source === 'authkit' && target === 'sso') return false;
  return FOLDERS.includes(source) && FOLDERS.indexOf(target) > FOLDERS.indexOf(source);
}

test('imports between folders follow one order', () => {
  const wrong = files.flatMap((file) =>
    importsOf(file)
      .local.filter((target) => !mayImport(file, target))
      .map((target) => `${file} imports ${target}`),
  );
  expect(wrong).toEqual([]);
  expect([...new Set(files.map(folderOf))].sort()).toEqual(
    [...new Set([...FOLDERS, ...LEAVES, ...Object.keys(BESIDE), 'index.ts'])].sort(),
  );
});

describe('each external interface is used in one place', () => {
  const places: [name: string, files: string[]][] = [
    ['cookie', ['http/cookies.ts']],
    ['on-headers', ['http/response.ts']],
    ['iron-webcrypto', ['session/iron-seal.ts']],
    ['router', ['routes/router.ts']],
    ['debug', ['diagnostics.ts']],
    ['lru-cache', ['expiring-map.ts']],
  ];
  test.each(places)('%s is imported by %j only', (name, expected) => {
    expect(importersOf(name).sort()).toEqual(expected);
  });

  const texts = (pattern: RegExp) =>
    files.filter((file) => !file.startsWith('testing') && pattern.test(parsed.get(file)!.text)).sort();
  test('the environment is read in one place', () => {
    expect(texts(/process\.env/)).toEqual(['authkit/index.ts', 'cli/index.ts', 'sso/index.ts']);
  });
  test('the network is reached from one place', () => {
    expect(texts(/\bfetch\(/)).toEqual(['workos/fetch.ts']);
    expect(texts(/import\('@workos-inc\/node'\)/)).toEqual(['workos/load-sdk.ts']);
  });
  test('Set-Cookie is written in one place', () => {
    expect(texts(/setHeader\('Set-Cookie'/)).toEqual(['http/response.ts']);
  });
  test('req.auth and req.user are defined in one place', () => {
    expect(
      texts(/'auth'|'user'\b.*=>/).filter((file) =>
        /defineProperty\((?:req|target)\b/.test(parsed.get(file)!.text),
      ),
    ).toEqual(['auth/define-request-properties.ts']);
  });
  test('the package imports nothing from the testing kit', () => {
    // The command that runs an application on the test WorkOS is not part of what an application loads.
    const core = files.filter((file) => !file.startsWith('testing') && !file.startsWith('cli'));
    expect(
      core.flatMap((file) => importsOf(file).local).filter((file) => file.startsWith('testing')),
    ).toEqual([]);
  });
});

test('the public names', () => {
  expect(Object.keys(entry).sort()).toEqual([
    'AuthKitError',
    'authkit',
    'expressStore',
    'protectedResource',
    'requireAuth',
    'signedIn',
    'sso',
  ]);
  expect(Object.keys(postgres).sort()).toEqual(['postgresSchema', 'postgresStore']);
  expect(Object.keys(redis)).toEqual(['redisStore']);
  expect(Object.keys(testing).sort()).toEqual([
    'createTestWorkOS',
    'defaultTestWorkOS',
    'signIn',
    'testStore',
  ]);
});

test('runtime dependencies are few, and each is imported', () => {
  const manifest = JSON.parse(readFileSync(join(SOURCE, '../package.json'), 'utf8')) as {
    dependencies: object;
  };
  const names = Object.keys(manifest.dependencies);
  expect(names.length).toBeLessThanOrEqual(8);
  for (const name of names) expect(importersOf(name), name).not.toEqual([]);
  expect(relative(SOURCE, join(SOURCE, 'index.ts'))).toBe('index.ts');
});
