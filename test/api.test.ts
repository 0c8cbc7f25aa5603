import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { ROOT } from './support/documentation.js';

// The public names with their signatures. A change here affects users: describe it in the changelog, and update the
// files with `npx vitest run test/api.test.ts -u`.

const ENTRIES = {
  'authkit-express': 'src/index.ts',
  'authkit-express/postgres': 'src/stores/postgres.ts',
  'authkit-express/redis': 'src/stores/redis.ts',
  'authkit-express/testing': 'src/testing/index.ts',
};

const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (file) => ts.sys.readFile(file)) as {
  config: object;
};
const paths = Object.values(ENTRIES).map((entry) => join(ROOT, entry));
const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: paths }, ts.sys, ROOT);
const program = ts.createProgram(paths, options);
const checker = program.getTypeChecker();

const printer = ts.createPrinter({ removeComments: true });

/** A declaration as it is in the `.d.ts` file, without comments. */
function signatureOf(declaration: ts.Declaration): string {
  const file = declaration.getSourceFile();
  const { outputText } = ts.transpileDeclaration(file.text, {
    fileName: file.fileName,
    compilerOptions: { stripInternal: true, target: ts.ScriptTarget.ES2023 },
  });
  const name = (declaration as ts.NamedDeclaration).name?.getText();
  const emitted = ts.createSourceFile('emitted.d.ts', outputText, ts.ScriptTarget.Latest, true);
  return emitted.statements
    .filter((node) => (node as unknown as ts.NamedDeclaration).name?.getText() === name)
    .map((node) => printer.printNode(ts.EmitHint.Unspecified, node, emitted))
    .join('\n');
}

function basesOf(declaration: ts.Declaration): ts.Identifier[] {
  const clauses = ts.isInterfaceDeclaration(declaration) ? (declaration.heritageClauses ?? []) : [];
  return clauses.flatMap(({ types }) => types.map(({ expression }) => expression)).filter(ts.isIdentifier);
}

test.each(Object.entries(ENTRIES))('the public names of %s, with their types', async (name, entry) => {
  const module = checker.getSymbolAtLocation(program.getSourceFile(join(ROOT, entry))!)!;
  const original = (symbol: ts.Symbol) =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const symbols = new Set(checker.getExportsOfModule(module).map(original));
  // Members that a public interface inherits are public too.
  for (const symbol of symbols) {
    for (const base of basesOf(symbol.declarations![0]!)) {
      const found = original(checker.getSymbolAtLocation(base)!);
      if (!found.declarations![0]!.getSourceFile().isDeclarationFile) symbols.add(found);
    }
  }
  const signatures = [...symbols]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((symbol) => signatureOf(symbol.declarations![0]!));
  expect(signatures.every((text) => text !== '')).toBe(true);
  await expect(`${signatures.join('\n\n')}\n`).toMatchFileSnapshot(`api/${name.replace('/', '-')}.txt`);
});
