import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canParse } from '../can-parse.js';

/** The clock of a test WorkOS and of every application that uses its `options` or `env`. */
export interface TestClock {
  /** The current time, in milliseconds since the epoch. */
  now: () => number;
  /** Moves time forward, or backward if `milliseconds` is negative. */
  advance: (milliseconds: number) => void;
}

/**
 * Creates the clock of a test WorkOS.
 *
 * @param start The start time, in milliseconds since the epoch. Only `advance` moves the clock on from there. If it is
 * not given, the clock follows real time, so tokens also expire when you try an application by hand.
 * @param onAdvance Called with the total number of milliseconds advanced so far.
 */
export function createClock(start?: number, onAdvance?: (advanced: number) => void): TestClock {
  let advanced = 0;
  return {
    now: () => (start ?? Date.now()) + advanced,
    advance: (milliseconds) => {
      advanced += milliseconds;
      onAdvance?.(advanced);
    },
  };
}

/** Shares a clock with child processes, which read it from a file. */
export interface ClockFile {
  /** The `onAdvance` callback for `createClock`. Once it returns, child processes read the new time. */
  update: (advanced: number) => void;
  /**
   * Environment variables that make a child process follow the clock. The first call writes the file.
   *
   * @throws {Error} If the module that the child process has to load does not exist.
   */
  variables: () => Readonly<Record<string, string>>;
  /** Removes the file. A child process that already has it open keeps the last time. */
  close: () => void;
}

/**
 * Creates a {@link ClockFile}.
 *
 * @param start The start time, in milliseconds since the epoch, as for `createClock`.
 */
export function createClockFile(start?: number): ClockFile {
  // The content of the file, which clock-preload.js reads. It is overwritten in one short write, so no process reads
  // half of it.
  const content = new Float64Array([start ?? NaN, 0]);
  let folder: string | undefined;
  let isClosed = false;
  const pathIn = (parent: string) => join(parent, 'clock');
  const remove = () => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    folder = undefined;
  };
  return {
    update: (advanced) => {
      content[1] = advanced;
      if (folder !== undefined) writeFileSync(pathIn(folder), content, { flag: 'r+' });
    },
    variables: () => {
      if (isClosed) return {};
      const preload = preloadUrl();
      if (folder === undefined) {
        folder = mkdtempSync(join(tmpdir(), 'authkit-express-clock-'));
        writeFileSync(pathIn(folder), content);
        // A test WorkOS that all tests share is never closed.
        process.once('exit', remove);
      }
      return { NODE_OPTIONS: withImport(preload), AUTHKIT_TEST_CLOCK: pathIn(folder) };
    },
    close: () => {
      isClosed = true;
      process.off('exit', remove);
      remove();
    },
  };
}

const PRELOAD = './clock-preload.js';

/**
 * The URL of the module that a child process loads. Unlike a path, a URL has no spaces or quotation marks, which would
 * have to be escaped in NODE_OPTIONS.
 */
function preloadUrl(): string {
  const from = import.meta.url;
  const url = canParse(PRELOAD, from) ? new URL(PRELOAD, from) : undefined;
  if (url && existsSync(fileURLToPath(url))) return url.href;
  throw new Error(
    'workos.env: clock-preload.js, which a child process loads to follow workos.clock, is not beside the code of ' +
      'authkit-express/testing. A bundler has copied that code: mark authkit-express as external.',
  );
}

/**
 * The NODE_OPTIONS of this process plus `--import`, unless that option is there already because `env` was copied into
 * `process.env`.
 */
function withImport(url: string): string {
  const option = `--import=${url}`;
  const existing = process.env['NODE_OPTIONS'] ?? '';
  if (existing === '') return option;
  return existing.split(' ').includes(option) ? existing : `${existing} ${option}`;
}
