/**
 * Waits at most `ms` milliseconds for a promise. Resolves with the promise's value, or with `undefined` if the promise
 * is still pending after that time. When the wait ends, the timer is cleared, so that it does not keep the process
 * alive.
 */
export function withDeadline<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, ms, undefined)));
  return Promise.race([promise, timeout]).finally(() => {
    clearTimeout(timer);
  });
}

/**
 * Calls `next` with `value` or, if `value` is a promise, with the value that it resolves to. If `value` is not a
 * promise, `next` is called synchronously, so a request that does not have to wait is handled synchronously.
 */
export function after<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/**
 * The time by which the response to a request must be sent. It is set when this package starts to handle the request,
 * and only `exclude` postpones it. Middleware that runs earlier, such as a body parser, may delay that start.
 */
export class Deadline {
  /** When the deadline passes, in milliseconds by the monotonic clock. */
  private end: number;
  /** When this package started to handle the request, in milliseconds by the monotonic clock. */
  private readonly startedAt = performance.now();

  /** @param ms The time until the deadline, in milliseconds. */
  constructor(ms: number) {
    this.end = this.startedAt + ms;
  }

  /** Returns the time since this package started to handle the request, in milliseconds. */
  elapsed(): number {
    return performance.now() - this.startedAt;
  }

  /** Returns the time until the deadline, in milliseconds. After the deadline, returns 0. */
  left(): number {
    return Math.max(0, this.end - performance.now());
  }

  /**
   * Waits for a promise from the application's code, such as the one that `onSuccess` returns, and postpones the
   * deadline by the duration of the wait.
   */
  async exclude<T>(promise: Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      return await promise;
    } finally {
      this.end += performance.now() - startedAt;
    }
  }
}

/**
 * The retry interval of {@link createOptionalWait}, in milliseconds. After a wait for the full time has timed out, only
 * one request per interval waits for the full time again.
 */
const TRY_EVERY = 5000;

/**
 * How long requests between two retries wait, as a fraction of the full time. A working store responds within that
 * time.
 */
const BRIEF_PART = 1 / 20;

/**
 * Waits for an operation whose result a request can do without. Resolves with `undefined` if the operation takes too
 * long.
 */
export type OptionalWait = <T>(promise: Promise<T>) => Promise<T | undefined>;

/**
 * Creates a function that limits how long requests wait for a result that they can do without. After a wait has timed
 * out, requests wait only briefly. Every five seconds, one request waits for the full time again, until one of these
 * waits succeeds.
 *
 * @param ms The longest wait, in milliseconds.
 */
export function createOptionalWait(ms: number): OptionalWait {
  const brief = ms * BRIEF_PART;
  /**
   * When a full wait last timed out, or when the current retry began, in milliseconds by the monotonic clock.
   * `undefined` before the first timeout, and after a full wait has succeeded.
   */
  let slowSince: number | undefined;
  return async (promise) => {
    const startedAt = performance.now();
    const before = slowSince;
    const isFull = before === undefined || startedAt - before >= TRY_EVERY;
    // Other requests must not retry at the same time.
    if (before !== undefined && isFull) slowSince = startedAt;
    const found = await withDeadline(
      isFull ? ms : brief,
      promise.then((value) => ({ value })),
    );
    if (!isFull) return found?.value;
    if (!found) slowSince = performance.now();
    // A result that arrives immediately, such as a session that needs no refresh, does not prove that WorkOS and the
    // store are responding again.
    else if (slowSince === startedAt) slowSince = performance.now() - startedAt > brief ? undefined : before;
    return found?.value;
  };
}
