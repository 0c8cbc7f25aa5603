/**
 * Resolves with the promise's value, or with `undefined` if that takes longer than `ms` milliseconds. Leaves no timer
 * behind.
 */
export function withDeadline<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, ms, undefined)));
  return Promise.race([promise, timeout]).finally(() => {
    clearTimeout(timer);
  });
}

/**
 * Passes a value to `next`: immediately if it is not a promise, otherwise once it resolves. A request that has nothing
 * to wait for is therefore handled synchronously.
 */
export function after<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** The time by which a request must be answered. It is set once, when the request arrives. */
export class Deadline {
  /** The time of the deadline, in milliseconds by the monotonic clock. */
  private end: number;

  /** @param ms The time until the deadline, in milliseconds. */
  constructor(ms: number) {
    this.end = performance.now() + ms;
  }

  /** The time left, in milliseconds; 0 after the deadline. */
  left(): number {
    return Math.max(0, this.end - performance.now());
  }

  /**
   * Waits for the application's own code, such as `onSuccess`, and postpones the deadline by the time that this takes.
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

/** The interval at which one request waits the full time again after a full wait has timed out, in milliseconds. */
const TRY_EVERY = 5000;

/**
 * After a full wait has timed out, the other requests wait only this fraction of the full time. A working store
 * responds sooner than that.
 */
const BRIEF_PART = 1 / 20;

/** Waits for something that a request can do without. Resolves with `undefined` if it takes too long. */
export type OptionalWait = <T>(promise: Promise<T>) => Promise<T | undefined>;

/**
 * Limits how long requests wait for something that they can do without. After a wait has timed out, requests wait only
 * briefly. Every five seconds one request waits the full time again, until one succeeds.
 *
 * @param ms The longest wait, in milliseconds.
 */
export function createOptionalWait(ms: number): OptionalWait {
  const brief = ms * BRIEF_PART;
  /**
   * When a full wait last timed out, or when the current retry began, in milliseconds by the monotonic clock.
   * `undefined` if the last full wait succeeded.
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
    // An immediate result, such as a session that needs no refresh, does not show that WorkOS and the store respond.
    else if (slowSince === startedAt) slowSince = performance.now() - startedAt > brief ? undefined : before;
    return found?.value;
  };
}
