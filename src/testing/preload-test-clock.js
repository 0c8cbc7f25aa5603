// @ts-check
// Node child processes that use `workos.env` load this file before the application, with `--import`. From then on,
// `Date.now()` and `new Date()` follow the clock of the test WorkOS in the parent process (clock.ts). This file is
// written in JavaScript and imports only Node modules, so it can be loaded from both `src` and `dist`.
import { openSync, readSync } from 'node:fs';

/**
 * Opens the file that contains the time of the test WorkOS's clock.
 *
 * @param {string} path
 * @returns {number | undefined} The file descriptor, or `undefined` if the file does not exist because the test WorkOS
 * has been closed.
 */
function open(path) {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Replaces the global `Date` with a version that reads the current time from the file.
 *
 * @param {number} file The file descriptor.
 */
function replaceDate(file) {
  const realNow = Date.now;
  // The two numbers in the file. The first is the start time of the clock, in milliseconds since the epoch, or NaN if
  // the clock follows real time. The second is the number of milliseconds that the clock has been advanced.
  const content = new Float64Array([NaN, 0]);
  // The file is read on every call, because a request that is sent after `advance` must see the new time. A read takes
  // about a microsecond.
  const now = () => {
    readSync(file, content, 0, content.byteLength, 0);
    const [start = NaN, advanced = 0] = content;
    return Math.trunc((Number.isNaN(start) ? realNow() : start) + advanced);
  };
  // `TestDate` is a proxy rather than a subclass, so dates that Node creates, such as those that `fs.stat` returns, are
  // instances of `TestDate` too.
  const TestDate = new Proxy(Date, {
    apply: () => new Date(now()).toString(),
    construct: (target, given, newTarget) => {
      /** @type {unknown} */
      const date = Reflect.construct(target, given.length === 0 ? [now()] : given, newTarget);
      return /** @type {Date} */ (date);
    },
  });
  Date.now = now;
  Date.prototype.constructor = TestDate;
  globalThis.Date = TestDate;
}

const path = process.env['AUTHKIT_TEST_CLOCK'];
const file = path ? open(path) : undefined;
if (file !== undefined) replaceDate(file);
