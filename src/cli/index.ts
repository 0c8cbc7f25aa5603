#!/usr/bin/env node
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs, parseEnv } from 'node:util';
import type { AuthKitOptions } from '../config/options.js';
import { runOnTestWorkOS } from './dev.js';
import { type Finding, runChecks } from './doctor.js';

const USAGE = `Usage:
  authkit-express doctor [MODULE] [--env-file FILE] [--json]
      Says what is wrong with the configuration, and what to do. MODULE is a file that exports
      what the application passes to authkit(), as \`options\` or as its default; without it, the
      environment alone counts. Exits with 1 if there is a problem.
  authkit-express dev COMMAND …
      Runs a command on a WorkOS of this machine, in which Ada, Grace and Alan can sign in: no
      account, no network. WORKOS_REDIRECT_URI is http://localhost:3000/callback if it is not set.
  authkit-express secret
      Prints a good WORKOS_COOKIE_PASSWORD.
`;

const SIGNS: Readonly<Record<Finding['status'], string>> = {
  ok: 'ok      ',
  warning: 'warning ',
  problem: 'PROBLEM ',
  skipped: 'skipped ',
};

process.exitCode = await run(process.argv.slice(2));

/** @returns The exit status: 0 fine, 1 a problem was found, 2 called wrongly. */
async function run(args: string[]): Promise<number> {
  if (args[0] === 'dev' && args.length > 1) return runOnTestWorkOS(args.slice(1), process.env);
  const { command, module, json, envFile } = parse(args);
  if (command === 'secret') return print(`${randomBytes(32).toString('base64')}\n`, 0);
  if (command === 'help') return print(USAGE, 0);
  if (command !== 'doctor') return print(USAGE, 2);
  const findings = await runChecks({
    options: module === undefined ? {} : await optionsOf(module),
    env: envFile === undefined ? process.env : { ...parseEnv(readFileSync(envFile, 'utf8')), ...process.env },
    nodeVersion: process.versions.node,
    folder: process.cwd(),
  });
  const isFine = findings.every(({ status }) => status !== 'problem');
  return print(
    json ? `${JSON.stringify({ ok: isFine, findings }, null, 2)}\n` : report(findings),
    isFine ? 0 : 1,
  );
}

function parse(args: string[]) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        'env-file': { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    const [command, module] = values.help ? ['help'] : positionals;
    return { command, module, json: values.json, envFile: values['env-file'] };
  } catch {
    return { command: undefined, module: undefined, json: false, envFile: undefined };
  }
}

async function optionsOf(file: string): Promise<AuthKitOptions> {
  const module = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
  return module['options'] ?? module['default'] ?? {};
}

function report(findings: readonly Finding[]): string {
  const count = (status: Finding['status']) => findings.filter((finding) => finding.status === status).length;
  const lines = findings.map(({ status, message }) => `  ${SIGNS[status]} ${message}\n`);
  return `${lines.join('')}\n${count('problem')} problem(s), ${count('warning')} warning(s)\n`;
}

function print(text: string, status: number): number {
  (status === 2 ? process.stderr : process.stdout).write(text);
  return status;
}
