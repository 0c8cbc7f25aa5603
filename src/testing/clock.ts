import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canParse } from '../url-can-parse.js';

/**
 * The clock of a test WorkOS. Applications that use `workos.options` follow this clock too, and so do Node child
 * processes that use `workos.env`.
 */
export interface TestClock {
  /** The current time, in milliseconds since the epoch. */
  now: () => number;
  /** Moves the clock forward, or backward if `milliseconds` is negative. */
  advance: (milliseconds: number) => void;
}

/**
 * Creates the clock of a test WorkOS.
 *
 * @param start The start time, in milliseconds since the epoch. With a start time, only `advance` moves the clock.
 * Without one, the clock follows real time, so tokens expire as usual when you try out an application by hand.
 * @param onAdvance Called after each `advance`, with the total number of milliseconds that the clock has been advanced.
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

/** A file that shares the clock with child processes. */
export interface ClockFile {
  /**
   * Writes the new time to the file. Pass this function to `createClock` as `onAdvance`. Once the function has
   * returned, child processes read the new time.
   */
  update: (advanced: number) => void;
  /**
   * Returns environment variables that make a Node child process follow the clock. The first call creates the file.
   * After `close`, returns an empty object.
   *
   * @throws {Error} If preload-test-clock.js does not exist. The child process must load this file.
   */
  variables: () => Readonly<Record<string, string>>;
  /** Deletes the file. A child process that already has the file open keeps reading its last content. */
  close: () => void;
}

/**
 * Creates a {@link ClockFile}.
 *
 * @param start The start time, in milliseconds since the epoch, as for `createClock`.
 */
export function createClockFile(start?: number): ClockFile {
  // The content of the file, in the format that preload-test-clock.js reads. Each update is a single short write, so no
  // process reads a partly written file.
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
        // The test WorkOS that `defaultTestWorkOS` returns is never closed, so the file is deleted when the process
        // exits.
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

const PRELOAD = './preload-test-clock.js';

/**
 * Returns the URL of preload-test-clock.js, which a child process loads. The function returns a URL because spaces and
 * quotation marks in a path would have to be escaped in NODE_OPTIONS. In a URL, they are percent-encoded.
 */
function preloadUrl(): string {
  const from = import.meta.url;
  const url = canParse(PRELOAD, from) ? new URL(PRELOAD, from) : undefined;
  if (url && existsSync(fileURLToPath(url))) return url.href;
  throw new Error(
    'workos.env: preload-test-clock.js, which a child process loads to follow workos.clock, is not beside the code of ' +
      'authkit-express/testing. A bundler has copied that code: mark authkit-express as external.',
  );
}

/**
 * Returns the NODE_OPTIONS of this process with `--import` added. The option is not added twice: if `workos.env` was
 * copied into `process.env`, NODE_OPTIONS already contains it.
 */
function withImport(url: string): string {
  const option = `--import=${url}`;
  const existing = process.env['NODE_OPTIONS'] ?? '';
  if (existing === '') return option;
  return existing.split(' ').includes(option) ? existing : `${existing} ${option}`;
}
