import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Server } from 'node:net';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AuthKitOptions } from '../config/authkit-options.js';
import { type DoctorInput, type Finding, finding, runChecks } from './doctor.js';

/** How long a module may take to load, in milliseconds. */
const LOAD_LIMIT = 10_000;

/** How long the checks may take, including the calls to WorkOS, in milliseconds. */
const CHECK_LIMIT = 60_000;

/** An internal command. The CLI uses it to start itself as a child process that loads a module. */
export const CHILD_COMMAND = 'doctor:module';

type Message = { readonly kind: 'loaded' } | { readonly kind: 'findings'; readonly findings: Finding[] };

/**
 * Checks the options that a module exports. The module is loaded in a child process that cannot listen on ports and is
 * killed afterwards, so a module that starts an app does no harm.
 *
 * @param script Path of the CLI's own script, which the child process runs.
 * @param env The environment variables of the child process. The checks use these variables too.
 */
export async function checkModule(
  script: string,
  module: string,
  env: NodeJS.ProcessEnv,
): Promise<Finding[]> {
  if (!existsSync(resolve(module))) return moduleProblem(module, 'does not exist');
  // The output of the module is sent to stderr, so that stdout contains only the findings.
  const child = fork(script, [CHILD_COMMAND, module], { env, stdio: ['ignore', 2, 2, 'ipc'] });
  let limit: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Finding[]>((done) => {
      const give = (problem: string) => {
        done(moduleProblem(module, problem));
      };
      limit = setTimeout(give, LOAD_LIMIT, `did not finish loading in ${LOAD_LIMIT / 1000} seconds`);
      child.on('message', (message: Message) => {
        clearTimeout(limit);
        if (message.kind === 'findings') done(message.findings);
        else
          limit = setTimeout(
            give,
            CHECK_LIMIT,
            `was loaded, but the checks took more than ${CHECK_LIMIT / 1000} seconds`,
          );
      });
      child.on('exit', (code) => {
        give(
          code === 13
            ? 'never finishes loading: a top-level await is not settled'
            : `ended the process while it was loaded (exit code ${String(code)})`,
        );
      });
      child.on('error', (error) => {
        give(`could not be loaded: ${error.message}`);
      });
    });
  } finally {
    clearTimeout(limit);
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
}

/**
 * Runs in the child process: loads the module, checks the options that it exports, and sends the findings to the parent
 * process.
 */
export async function runInChild(module: string, input: Omit<DoctorInput, 'options'>): Promise<void> {
  const send = (message: Message) => process.send?.(message);
  // `listen` does nothing in this process, so a module that starts an app does not occupy a port.
  Server.prototype.listen = function listen(this: Server) {
    return this;
  };
  // An app may throw errors later because its server does not listen. They are ignored, because only the options are
  // checked.
  process.on('uncaughtException', () => undefined);
  process.on('unhandledRejection', () => undefined);
  const loaded = await loadOptions(module);
  send({ kind: 'loaded' });
  const findings =
    'problem' in loaded ? moduleProblem(module, loaded.problem) : await runChecks({ ...input, ...loaded });
  send({ kind: 'findings', findings });
}

async function loadOptions(module: string): Promise<{ options: AuthKitOptions } | { problem: string }> {
  let exports: Record<string, unknown>;
  try {
    exports = (await import(pathToFileURL(resolve(module)).href)) as Record<string, unknown>;
  } catch (error) {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { problem: `could not be loaded: ${message.split('\n')[0] ?? ''}` };
  }
  const options = exports['options'] ?? exports['default'];
  if (typeof options === 'object' && options !== null) return { options };
  return {
    problem:
      'does not export `options`: put what you pass to authkit() into a module of its own, export it as `options`, ' +
      'and name that module',
  };
}

function moduleProblem(module: string, problem: string): Finding[] {
  return [
    finding('configuration', 'problem', `${module} ${problem}.`),
    finding('credentials', 'skipped', 'WorkOS was not called, because the options are not known.'),
  ];
}
