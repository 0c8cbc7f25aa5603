// `npm run compatibility`: installs the tarball with every supported version, each in a separate folder, runs the
// consumers there, and writes docs/compatibility.md. It takes a few minutes and needs the npm registry.
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { codeBlocks } from './code-blocks.mjs';

const NODES = ['20.19.0', '22', '24', '26'];
const FRAMEWORKS = ['express@4.20.0', 'express@4', 'express@5.0.0', 'express@5', 'connect@3'];
const SDKS = ['@workos-inc/node@10.14', '@workos-inc/node@11'];
const TYPESCRIPTS = ['5.4', '5.5', '5.6', '5.7', '5.8', '5.9', '6.0', '7.0'];

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'authkit-compatibility-'));
const exec = promisify(execFile);
const run = async (command, args, cwd) => (await exec(command, args, { cwd, maxBuffer: 1e8 })).stdout;
/** Runs a command, and returns its output if it failed. */
const attempt = (command, args, cwd) =>
  run(command, args, cwd).then(
    () => undefined,
    (error) => `${error.stdout}${error.stderr}`.trim(),
  );
const failures = [];
const consumers = join(folder, 'consumers');
cpSync(join(root, 'scripts/consumers'), consumers, { recursive: true });

try {
  await run('npm', ['run', 'build'], root);
  const [{ filename }] = JSON.parse(
    await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root),
  );
  const tarball = join(folder, filename);
  const nodes = await installNodes();
  const runtime = [];
  for (const sdk of SDKS) {
    for (const framework of FRAMEWORKS) runtime.push(await tryRuntime({ tarball, framework, sdk, nodes }));
  }
  const types = [];
  for (const typescript of TYPESCRIPTS) types.push(await tryTypes({ tarball, typescript }));
  const runners = await tryRunners({ tarball, nodes });
  const file = join(root, 'docs/compatibility.md');
  // The list of libraries is maintained by hand.
  const [, libraries] = readFileSync(file, 'utf8').split(/^(?=## Libraries$)/m);
  writeFileSync(file, `${page({ nodes, runtime, types, runners })}\n${libraries}`);
  await run('npx', ['prettier', '--write', 'docs/compatibility.md'], root);
  for (const failure of failures) console.error(`\n${failure}`);
  process.exitCode = failures.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function install(name, packages) {
  const cwd = join(folder, name);
  mkdirSync(cwd, { recursive: true });
  writeFileSync(join(cwd, 'package.json'), '{ "private": true }');
  await run(
    'npm',
    ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', ...packages],
    cwd,
  );
  cpSync(consumers, cwd, { recursive: true });
  return cwd;
}

function versionIn(cwd, name) {
  return JSON.parse(readFileSync(join(cwd, 'node_modules', name, 'package.json'), 'utf8')).version;
}

/** Installs the Node builds that are in the npm registry. */
async function installNodes() {
  const name = `node-${process.platform}-${process.arch}`;
  const found = [];
  for (const version of NODES) {
    const cwd = await install(`node-${version}`, [`${name}@${version}`]);
    const bin = join(cwd, 'node_modules', name, 'bin/node');
    if (!existsSync(bin)) throw new Error(`${name}@${version} has no bin/node`);
    found.push({ bin, version: versionIn(cwd, name).replace(/^v/, '') });
  }
  return found;
}

async function tryRuntime({ tarball, framework, sdk, nodes }) {
  const [name] = framework.split('@');
  const cwd = await install(`${framework}-${sdk.replace(/\W/g, '-')}`, [tarball, framework, sdk]);
  const row = [`${name} ${versionIn(cwd, name)}`, versionIn(cwd, '@workos-inc/node')];
  for (const { bin, version } of nodes) {
    const outcomes = [];
    for (const file of ['esm.mjs', 'commonjs.cjs']) {
      const problem = await attempt(bin, ['--no-warnings', file, name], cwd);
      outcomes.push(problem === undefined);
      if (problem !== undefined) failures.push(`Node ${version}, ${row.join(', ')}, ${file}:\n${problem}`);
    }
    row.push(outcomes.every(Boolean) ? '✓' : '✗');
  }
  console.log(row.join('  '));
  return row;
}

async function tryTypes({ tarball, typescript }) {
  const row = [];
  for (const types of ['5', '4']) {
    const packages = [`@types/express@${types}`, '@types/node@20', `express@${types}`, '@workos-inc/node@11'];
    const cwd = await install(`types-${typescript}-${types}`, [
      tarball,
      `typescript@~${typescript}.0`,
      ...packages,
    ]);
    if (row.length === 0) row.push(versionIn(cwd, 'typescript'));
    const check = async (title, file, module, moduleResolution = module) => {
      const flags = ['--noEmit', '--strict', '--target', 'es2022', '--skipLibCheck', '--types', 'node'];
      const args = ['tsc', ...flags, '--module', module, '--moduleResolution', moduleResolution, file];
      const problem = await attempt('npx', args, cwd);
      if (problem !== undefined) failures.push(`TypeScript ${row[0]}, ${title}:\n${problem}`);
      row.push(problem === undefined ? '✓' : '✗');
    };
    writeFileSync(join(cwd, 'types.mts'), readFileSync(join(cwd, 'types.ts'), 'utf8'));
    await check(`import, @types/express ${types}`, 'types.mts', 'nodenext');
    if (types === '4') break;
    await check('import, bundler', 'types.mts', 'esnext', 'bundler');
    const [major, minor] = typescript.split('.').map(Number);
    if (major > 5 || minor >= 8) await check('require', 'types.cts', 'nodenext');
    else row.push('–');
  }
  console.log(`TypeScript ${row.join('  ')}`);
  return row;
}

/** Runs the testing kit under vitest and jest. Jest loads it in ESM mode, and with `require` if Node allows that. */
async function tryRunners({ tarball, nodes }) {
  const packages = [
    tarball,
    'express@5',
    '@workos-inc/node@11',
    'supertest',
    'jest@30',
    '@swc/jest',
    '@swc/core',
    'vitest@4',
  ];
  const cwd = await install('runners', packages);
  const [recipe] = codeBlocks(readFileSync(join(root, 'docs/testing.md'), 'utf8'), ['jest.config.cjs']);
  writeFileSync(join(cwd, 'commonjs.config.cjs'), recipe);
  const jest = ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', '--rootDir', '.', '--ci'];
  const config = (extension) => ['--testMatch', `**/*.test.${extension}`, '--transform', '{}'];
  const ways = [
    [`jest ${versionIn(cwd, 'jest')}, ES modules`, [...jest, ...config('mjs')]],
    [`jest ${versionIn(cwd, 'jest')}, \`require\``, [...jest, ...config('cjs')]],
    [
      `jest ${versionIn(cwd, 'jest')}, [CommonJS with @swc/jest](testing.md#jest-in-commonjs)`,
      [
        'node_modules/jest/bin/jest.js',
        '--config',
        'jest.config.cjs',
        '--ci',
        '--testMatch',
        '**/*.test.cjs',
      ],
    ],
    [
      `vitest ${versionIn(cwd, 'vitest')}`,
      ['node_modules/vitest/vitest.mjs', 'run', '--globals', 'account.test.mjs'],
    ],
  ];
  const rows = [];
  for (const [title, args] of ways) {
    const row = [title];
    for (const { bin, version } of nodes) {
      const problem = await attempt(bin, ['--no-warnings', ...args], cwd);
      row.push(problem === undefined ? '✓' : '–');
      if (problem !== undefined) console.error(`Node ${version}, ${title}: ${problem.slice(0, 600)}`);
    }
    console.log(row.join('  '));
    rows.push(row);
  }
  return rows;
}

function page({ nodes, runtime, types, runners }) {
  const table = (head, rows) =>
    [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  return `# Compatibility

\`npm run compatibility\` generates the version tables on this page. For each combination of versions, it installs the
package as it is published and runs a small app, once as an ES module and once with \`require\`. The app tests a guard, a
sign-in, a refresh and a sign-out. In the tables, ✓ means that the combination works, and – means that it is not
supported.

\`@workos-inc/node\` declares that it requires Node 22.11 or newer. As the first table shows, it also works on Node 20. On
Node 20, npm prints a warning during installation, and yarn 1 needs \`--ignore-engines\`.

## Node, frameworks and \`@workos-inc/node\`

${table(['framework', '@workos-inc/node', ...nodes.map(({ version }) => `Node ${version}`)], runtime)}

## Test runners

\`authkit-express/testing\` is tested with these runners. For node:test, see [Testing your app](testing.md#nodetest). jest
can \`require\` an ES module only on Node 24 and newer. On older versions, jest must transpile the package.

${table(['runner', ...nodes.map(({ version }) => `Node ${version}`)], runners)}

## TypeScript

With \`nodenext\`, only TypeScript 5.8 and later support \`require\` of an ES module.

${table(['TypeScript', '`import`, nodenext', '`import`, bundler', '`require`, nodenext', '`import`, @types/express 4'], types)}
`;
}
