// @ts-check
// `workos.env` makes a child process load this file with `--import`, before the application. From then on, `Date.now()`
// and `new Date()` follow the clock of the test WorkOS in the parent process (clock.ts). The file is JavaScript so that
// it can be loaded from both `src` and `dist`, and it imports only Node modules.
import { openSync, readSync } from 'node:fs';

/**
 * Opens the file with the test WorkOS's clock.
 *
 * @param {string} path
 * @returns {number | undefined} The file descriptor, or `undefined` if the test WorkOS has been closed.
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
 * Replaces `Date` with one that reads the current time from the file.
 *
 * @param {number} file
 */
function replaceDate(file) {
  const realNow = Date.now;
  // Two numbers: the start of a clock that stands still, in milliseconds since the epoch (NaN if the clock follows real
  // time), and the number of milliseconds by which the clock has been advanced.
  const content = new Float64Array([NaN, 0]);
  // Read on every call, because a request sent after `advance` must see the new time. A read takes about a microsecond.
  const now = () => {
    readSync(file, content, 0, content.byteLength, 0);
    const [start = NaN, advanced = 0] = content;
    return Math.trunc((Number.isNaN(start) ? realNow() : start) + advanced);
  };
  // A proxy rather than a subclass, so that dates created by Node, such as those of `fs.stat`, are instances of it too.
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
