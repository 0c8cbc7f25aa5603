#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parseArgs, parseEnv } from 'node:util';
import { suggestionFor } from '../config/did-you-mean.js';
import { postgresSchema } from '../stores/postgres.js';
import { runOnTestWorkOS } from './dev.js';
import { type Finding, finding, runChecks } from './doctor.js';
import { createCookiePassword, initialize } from './init.js';
import { CHILD_COMMAND, checkModule, runInChild } from './load-options.js';

const HELP = {
  init: `authkit-express init [FILE] [--port PORT]
      Adds the variables that authkit() needs to FILE, by default .env, with a new cookie password.
      Variables that are there already are not changed. If the client id and the API key are set,
      the redirect URI is also registered with WorkOS. PORT is the port of the app, by default 3000.`,
  doctor: `authkit-express doctor [MODULE] [--env-file FILE] [--json]
      Checks the environment variables and calls WorkOS, and says what to do about each problem.
      FILE is a file of variables, such as .env. MODULE is a JavaScript file that exports the
      options of authkit() as \`options\`. The exit status is 1 if there is a problem.`,
  dev: `authkit-express dev [--port PORT] COMMAND [ARGUMENT …]
      Runs a command, such as \`node app.mjs\`, with a test WorkOS on this machine. It needs no
      account and no network. Three test users can sign in: Ada, Grace and Alan. The redirect URI is
      WORKOS_REDIRECT_URI, or http://localhost:3000/callback if that is not set. --port sets the
      variable PORT for the command, and the port of the redirect URI.`,
  secret: `authkit-express secret
      Prints a new cookie password, for WORKOS_COOKIE_PASSWORD.`,
  'postgres-schema': `authkit-express postgres-schema [TABLE]
      Prints the SQL that creates the table of postgresStore().`,
} as const;

type Command = keyof typeof HELP;

const COMMANDS = Object.keys(HELP) as Command[];

const USAGE = `Usage:\n${COMMANDS.map((name) => `  ${HELP[name]}\n`).join('')}  authkit-express --version
      Prints the version of the package.
  authkit-express COMMAND --help
      Prints the help for one command.\n`;

/** Returns the help text of one command. */
function usageOf(command: Command): string {
  return `Usage:\n  ${HELP[command]}\n`;
}

const LABELS: Readonly<Record<Finding['status'], string>> = {
  ok: 'ok      ',
  warning: 'warning ',
  problem: 'PROBLEM ',
  skipped: 'skipped ',
};

/** A mistake in the command-line arguments. The message says what is wrong with them. */
class UsageError extends Error {}

/**
 * Runs the CLI.
 *
 * @returns The exit status: 0 for success, 1 if `doctor` found a problem, 2 for a mistake in the arguments. `dev`
 * returns the exit status of the command that it runs.
 */
async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  try {
    return await run(args, env);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const [command = ''] = args;
    console.error(`${error.message}\n\n${isCommand(command) ? usageOf(command) : USAGE}`);
    return 2;
  }
}

async function run([command, ...rest]: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  if (command === CHILD_COMMAND) {
    await runInChild(rest[0] ?? '', { env, ...machine() });
    return 0;
  }
  if (command === undefined) throw new UsageError('a command is missing');
  if (isHelp(command) || command === 'help')
    return print(isCommand(rest[0] ?? '') ? usageOf(rest[0] as Command) : USAGE);
  if (command === '--version' || command === '-v') return print(`${version()}\n`);
  if (command.startsWith('-'))
    throw new UsageError(`unknown flag "${command}": ${suggestionFor(command, ['--help', '--version'])}`);
  if (!isCommand(command))
    throw new UsageError(`unknown command "${command}": ${suggestionFor(command, COMMANDS)}`);
  // `dev` passes all arguments after COMMAND to that command, so `--help` is recognized only before COMMAND.
  const own = command === 'dev' ? rest.slice(0, portArguments(rest) + 1) : rest;
  if (own.some(isHelp)) return print(usageOf(command));
  return RUN[command](rest, env);
}

const RUN: Readonly<Record<Command, (args: string[], env: NodeJS.ProcessEnv) => number | Promise<number>>> = {
  async init(args, env) {
    // The file is a positional argument rather than the flag `--env-file`: Node reads that flag itself, and exits if
    // the file does not exist yet.
    const { values, positionals } = parse(args, ['port'], 1);
    const said = await initialize({
      file: positionals[0] ?? '.env',
      env,
      port: portOf(values.port),
    });
    return print(`${said.join('\n')}\n`);
  },
  async doctor(args, env) {
    const { values, positionals, isJson } = parse(args, ['env-file', 'json'], 1);
    const findings = await findingsOf(positionals[0], values['env-file'], env);
    const isFine = findings.every(({ status }) => status !== 'problem');
    print(isJson ? `${JSON.stringify({ ok: isFine, findings }, null, 2)}\n` : report(findings));
    return isFine ? 0 : 1;
  },
  dev(args, env) {
    const flags = portArguments(args);
    const { values } = parse(args.slice(0, flags), ['port'], 0);
    const command = args.slice(args[flags] === '--' ? flags + 1 : flags);
    if (command[0]?.startsWith('-')) parse(command.slice(0, 1), ['port'], 0);
    if (command.length === 0)
      throw new UsageError('dev needs a command, such as: authkit-express dev node app.mjs');
    return runOnTestWorkOS(command, { port: portOf(values.port), env });
  },
  secret(args) {
    parse(args, [], 0);
    return print(`${createCookiePassword()}\n`);
  },
  'postgres-schema'(args) {
    const { positionals } = parse(args, [], 1);
    try {
      return print(postgresSchema(positionals[0]));
    } catch (error) {
      throw new UsageError((error as Error).message);
    }
  },
};

async function findingsOf(
  module: string | undefined,
  envFile: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<Finding[]> {
  let all = env;
  try {
    // As with `node --env-file`, environment variables take precedence over the file.
    if (envFile !== undefined) all = { ...parseEnv(readFileSync(envFile, 'utf8')), ...env };
  } catch (error) {
    return [
      finding('configuration', 'problem', `The env file could not be read: ${(error as Error).message}.`),
    ];
  }
  if (module === undefined) {
    const found = await runChecks({ options: {}, env: all, ...machine() });
    return envFile === undefined ? [...found, ...unreadEnvFile(found)] : found;
  }
  return checkModule(fileURLToPath(import.meta.url), module, all);
}

/**
 * Returns a warning if the configuration is invalid and the current folder contains a `.env` file that was not read.
 */
function unreadEnvFile(found: readonly Finding[]): Finding[] {
  const isInvalid = found.some(({ check, status }) => check === 'configuration' && status === 'problem');
  if (!isInvalid || !existsSync('.env')) return [];
  const message = 'There is a .env file, which was not read. To check it, add --env-file .env.';
  return [finding('configuration', 'warning', message)];
}

function machine() {
  return { nodeVersion: process.versions.node, folder: process.cwd() };
}

function isHelp(argument: string): boolean {
  return argument === '--help' || argument === '-h';
}

/**
 * Returns how many of the arguments belong to a `--port` flag at the beginning: 2 for `--port 4000`, 1 for
 * `--port=4000`, 0 if there is no such flag.
 */
function portArguments([first = '']: readonly string[]): number {
  if (!first.startsWith('--port')) return 0;
  return first === '--port' ? 2 : 1;
}

function isCommand(name: string): name is Command {
  return (COMMANDS as string[]).includes(name);
}

type Flag = 'env-file' | 'port' | 'json';

/** Parses the arguments of one command. If they contain a mistake, throws a `UsageError` that names the mistake. */
function parse(args: readonly string[], flags: readonly Flag[], maxPositionals: number) {
  const { tokens } = parseArgs({ args: [...args], strict: false, allowPositionals: true, tokens: true });
  for (const token of tokens) {
    if (token.kind === 'option' && !(flags as readonly string[]).includes(token.name)) {
      const known = [...flags, 'help'].map((name) => `--${name}`);
      throw new UsageError(`unknown flag "${token.rawName}": ${suggestionFor(token.rawName, known)}`);
    }
  }
  const option = {
    'env-file': { type: 'string' },
    port: { type: 'string' },
    json: { type: 'boolean' },
  } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: option });
    const extra = positionals[maxPositionals];
    if (extra !== undefined) throw new UsageError(`unexpected argument "${extra}"`);
    return { values, positionals, isJson: values.json === true };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError((error as Error).message);
  }
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new UsageError('--port must be a port number, from 1 to 65535');
  return port;
}

function version(): string {
  const require = createRequire(import.meta.url);
  // The first path is correct for the bundle in dist/, the second for the source code in src/cli/.
  for (const path of ['../package.json', '../../package.json']) {
    try {
      return (require(path) as { version: string }).version;
    } catch {
      continue;
    }
  }
  return 'unknown';
}

function report(findings: readonly Finding[]): string {
  const count = (status: Finding['status']) => findings.filter((found) => found.status === status).length;
  const lines = findings.map(({ status, message }) => `  ${LABELS[status]} ${message}\n`);
  const counted = (status: 'problem' | 'warning') =>
    `${count(status)} ${count(status) === 1 ? status : `${status}s`}`;
  return `${lines.join('')}\n${counted('problem')}, ${counted('warning')}\n`;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

process.exitCode = await main(process.argv.slice(2), process.env);
