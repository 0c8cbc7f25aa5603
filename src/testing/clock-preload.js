// @ts-check
// Loaded by `--import` of `workos.env` into a child process, before the application. From then on, `Date.now()` and
// `new Date()` show the clock of the test WorkOS, which runs in the parent process (clock.ts). It is JavaScript so that
// it can be loaded from `src` and from `dist`, and it imports nothing but Node.
import { openSync, readSync } from 'node:fs';

/**
 * @param {string} path
 * @returns {number | undefined} The file, or nothing if the test WorkOS has been closed.
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
 * Replaces `Date` by one whose current time is read from the file.
 *
 * @param {number} file
 */
function replaceDate(file) {
  const realNow = Date.now;
  // The start of a clock that stands still, or NaN, and the milliseconds by which it was advanced.
  const content = new Float64Array([NaN, 0]);
  // Read on each call: a request that was sent after `advance` has to find the new time. It takes about a microsecond.
  const now = () => {
    readSync(file, content, 0, content.byteLength, 0);
    const [start = NaN, advanced = 0] = content;
    return Math.trunc((Number.isNaN(start) ? realNow() : start) + advanced);
  };
  // A proxy, and not a subclass: dates that Node creates, such as those of `fs.stat`, have to be instances of it as well.
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
