import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The clock of a test WorkOS, and of the applications that use its `options` or its `env`. */
export interface TestClock {
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Moves time forward, or backward if `milliseconds` is negative. */
  advance: (milliseconds: number) => void;
}

/**
 * @param start Milliseconds since the epoch. From there only `advance` moves the clock. Without a start, the clock also
 * runs with real time, so that tokens expire in an application that is tried by hand.
 * @param onAdvance Called with the milliseconds by which the clock has been advanced so far.
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
  /** For `createClock`. When it returns, child processes read the new time. */
  update: (advanced: number) => void;
  /**
   * Environment variables with which a child process follows the clock. The file is written when they are first asked for.
   *
   * @throws {Error} If the module that the child process has to load does not exist.
   */
  variables: () => Readonly<Record<string, string>>;
  /** Removes the file. A child process that has opened it keeps the latest time. */
  close: () => void;
}

/** @param start As for `createClock`. */
export function createClockFile(start?: number): ClockFile {
  // What clock-preload.js reads. One short write in place, so that no process reads a part of it.
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

/** A URL has no spaces and no quotation marks, which NODE_OPTIONS would have to escape. */
function preloadUrl(): string {
  const from = import.meta.url;
  const url = URL.canParse(PRELOAD, from) ? new URL(PRELOAD, from) : undefined;
  if (url && existsSync(fileURLToPath(url))) return url.href;
  throw new Error(
    'workos.env: clock-preload.js, which a child process loads to follow workos.clock, is not beside the code of ' +
      'authkit-express/testing. A bundler has copied that code: mark authkit-express as external.',
  );
}

/** The options of this process, and one more unless they have it, as they do if `env` was put into `process.env`. */
function withImport(url: string): string {
  const option = `--import=${url}`;
  const existing = process.env['NODE_OPTIONS'] ?? '';
  if (existing === '') return option;
  return existing.split(' ').includes(option) ? existing : `${existing} ${option}`;
}
