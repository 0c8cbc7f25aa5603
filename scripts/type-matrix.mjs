// `npm run test:types`: compiles small applications against the tarball that would be published, with every supported
// TypeScript, module resolution, @types/express and neighbouring package, and prints a table. Needs the npm registry.
//
// CI uses `--cut`, which compiles each TypeScript with each module resolution once and rotates the other choices.
// Without it, every combination is compiled. Versions, such as `5.9`, limit the run to those TypeScripts.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const EXPRESSES = ['5', '4'];
const PASSPORT = { '@types/passport': '1', '@types/express-session': '1' };
/**
 * Packages that also declare `req.auth` or `req.user`. The last two cannot be in the same project because they clash.
 */
const NEIGHBOURS = {
  alone: {},
  'express-oauth2-jwt-bearer': { ...PASSPORT, 'express-oauth2-jwt-bearer': '1' },
  clerk: { ...PASSPORT, '@clerk/express': '2' },
};
/**
 * `since` and `until`: the first and last TypeScript that has this resolution, or in which it can load an ES module.
 */
const RESOLUTIONS = {
  node10: { module: 'commonjs', moduleResolution: 'node10', type: 'commonjs', until: 6 },
  node16: { module: 'node16', moduleResolution: 'node16', type: 'module' },
  node20: { module: 'node20', moduleResolution: 'node16', type: 'commonjs', since: 5.9 },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext', type: 'module' },
  'nodenext, require': { module: 'nodenext', moduleResolution: 'nodenext', type: 'commonjs', since: 5.8 },
  bundler: { module: 'esnext', moduleResolution: 'bundler', type: 'module' },
};

const root = fileURLToPath(new URL('..', import.meta.url));
const ALL = ['5.5', '5.6', '5.7', '5.8', '5.9', '6.0', '7.0'];
const isCut = process.argv.includes('--cut');
const asked = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const TYPESCRIPTS = asked.length > 0 ? asked : ALL;
const folder = mkdtempSync(join(tmpdir(), 'authkit-types-'));
let failures = 0;
let programs = 0;
try {
  const tarball = pack();
  const compilers = install(
    'compilers',
    Object.fromEntries(TYPESCRIPTS.map((one) => [`ts${one}`, `npm:typescript@~${one}.0`])),
  );
  for (const express of EXPRESSES) installProjects(express, tarball);
  console.log(tableOf(compilers));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`\n${programs} programs compiled, ${failures} problems`);
process.exitCode = failures === 0 ? 0 : 1;

function pack() {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const [{ filename }] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }));
  return join(folder, filename);
}

function install(name, dependencies) {
  const cwd = join(folder, name);
  mkdirSync(cwd, { recursive: true });
  writeFileSync(join(cwd, 'package.json'), JSON.stringify({ private: true, dependencies }));
  if (Object.keys(dependencies).length > 0) {
    const flags = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', '--legacy-peer-deps'];
    execFileSync('npm', ['install', '--loglevel=error', ...flags], {
      cwd,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  return cwd;
}

/** One folder per neighbour, each with its own copy of the package, below the packages that they share. */
function installProjects(express, tarball) {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const shared = {
    ...dependencies,
    '@types/express': express,
    '@types/node': '20',
    '@workos-inc/node': '11',
  };
  install(`express${express}`, shared);
  for (const [neighbour, packages] of Object.entries(NEIGHBOURS)) {
    const cwd = install(join(`express${express}`, neighbour), packages);
    const own = join(cwd, 'node_modules/authkit-express');
    mkdirSync(own, { recursive: true });
    execFileSync('tar', ['-xzf', tarball, '--strip-components', '1', '-C', own]);
    for (const type of ['module', 'commonjs']) {
      const project = join(cwd, type);
      cpSync(join(root, 'scripts/type-matrix'), project, { recursive: true });
      writeFileSync(join(project, 'package.json'), JSON.stringify({ type }));
    }
  }
}

function tableOf(compilers) {
  const names = Object.keys(RESOLUTIONS);
  const rows = TYPESCRIPTS.map((version, row) => {
    const compile = compilerOf(compilers, version);
    const cells = names.map((name, column) => cellOf(version, name, row + column, compile));
    return [compile.version, ...cells];
  });
  const lines = [['TypeScript', ...names], ['', ...names].map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function cellOf(version, name, turn, compile) {
  const { since = 0, until = Infinity } = RESOLUTIONS[name];
  if (Number(version) < since || Number(version) > until) return '–';
  const all = EXPRESSES.flatMap((express) =>
    Object.keys(NEIGHBOURS).flatMap((neighbour) =>
      [true, false].map((skipLibCheck) => ({ express, neighbour, skipLibCheck })),
    ),
  );
  // 5 of 12, so that neighbouring cells differ in every choice.
  const chosen = isCut ? [all[(turn * 5) % all.length]] : all;
  programs += chosen.length;
  const problems = chosen.flatMap((one) => compile(one, RESOLUTIONS[name]).map((text) => ({ ...one, text })));
  for (const { express, neighbour, skipLibCheck, text } of problems) {
    console.error(
      `TypeScript ${version}, ${name}, Express ${express}, ${neighbour}, skipLibCheck ${skipLibCheck}: ${text}`,
    );
  }
  failures += problems.length;
  return problems.length === 0 ? '✓' : `✗ ${problems.length}`;
}

/**
 * The options of a strict project. Without neighbours it has no global types, so ours must bring those that they need.
 */
function optionsOf(version, { neighbour, skipLibCheck }, { module, moduleResolution }) {
  return {
    module,
    moduleResolution,
    skipLibCheck,
    target: 'es2022',
    lib: ['es2022'],
    strict: true,
    noEmit: true,
    esModuleInterop: true,
    ...(neighbour === 'alone' ? { types: [] } : { types: ['node'] }),
    ...(version === '6.0' && moduleResolution === 'node10' ? { ignoreDeprecations: '6.0' } : {}),
  };
}

function compilerOf(compilers, version) {
  const name = `ts${version}`;
  const { version: exact } = JSON.parse(
    readFileSync(join(compilers, 'node_modules', name, 'package.json'), 'utf8'),
  );
  // TypeScript 7 is a separate program without an API.
  const ts = Number(version) < 7 ? createRequire(join(compilers, 'package.json'))(name) : undefined;
  const run = ts ? withApi(ts) : withCommand(join(compilers, 'node_modules', name, 'bin/tsc'));
  const compile = (combination, resolution) => {
    const { express, neighbour } = combination;
    const project = join(folder, `express${express}`, neighbour, resolution.type);
    const files = ['app.ts', `${neighbour}.ts`, ...(neighbour === 'alone' ? [] : ['passport.ts'])];
    return run(project, files, optionsOf(version, combination, resolution)).filter(isOurs);
  };
  return Object.assign(compile, { version: exact });
}

/**
 * Whether a problem is in our declarations, in the application, or in clashing declarations of `req.auth` and
 * `req.user`.
 */
function isOurs(text) {
  const [, path = ''] = /^(.*?)[(:]/.exec(text) ?? [];
  const isForeign = path.includes(`node_modules${sep}`) && !path.includes('authkit-express');
  return !isForeign || /'(?:auth|user)'|authkit-express|WithAuth|RequestAuthProperty/.test(text);
}

/** Package files are parsed once for each TypeScript and module kind. */
function withApi(ts) {
  const parsed = new Map();
  return (project, files, json) => {
    const { options, errors } = ts.convertCompilerOptionsFromJson(json, project);
    const host = ts.createCompilerHost(options);
    const read = host.getSourceFile.bind(host);
    host.getSourceFile = (name, language, ...rest) => {
      const key = `${name} ${typeof language === 'object' ? language.impliedNodeFormat : ''} ${options.module}`;
      if (!parsed.has(key)) parsed.set(key, read(name, language, ...rest));
      return parsed.get(key);
    };
    host.getCurrentDirectory = () => project;
    const program = ts.createProgram(
      files.map((file) => join(project, file)),
      options,
      host,
    );
    return [...errors, ...ts.getPreEmitDiagnostics(program)].map(({ file, start, messageText }) => {
      const line = file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
      return `${file?.fileName ?? 'options'}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    });
  };
}

function withCommand(tsc) {
  return (project, files, json) => {
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: json, files }));
    const { stdout } = spawnSync(process.execPath, [tsc, '--pretty', 'false'], {
      cwd: project,
      encoding: 'utf8',
    });
    return stdout.split(/\n(?=\S)/).filter((text) => text.includes('error TS'));
  };
}
