/** Resolves with the promise's value, or with `undefined` after `ms` milliseconds. Leaves no timer behind. */
export function withDeadline<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, ms, undefined)));
  return Promise.race([promise, timeout]).finally(() => {
    clearTimeout(timer);
  });
}

/**
 * Calls `next` at once if the value is not a promise, so a request with nothing to wait for is handled synchronously.
 */
export function after<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** The time by which a request must be answered. It is set once, when the request arrives. */
export interface Deadline {
  /** The time left, in milliseconds; 0 after the deadline. */
  left: () => number;
  /** Waits for the application's own code, such as `onSuccess`, whose time does not count. */
  exclude: <T>(promise: Promise<T>) => Promise<T>;
}

/** @param ms Milliseconds from now, by the monotonic clock. */
export function deadlineIn(ms: number): Deadline {
  let end = performance.now() + ms;
  return {
    left: () => Math.max(0, end - performance.now()),
    async exclude(promise) {
      const startedAt = performance.now();
      try {
        return await promise;
      } finally {
        end += performance.now() - startedAt;
      }
    },
  };
}

/** After a full wait has timed out, how often one request waits the full time again, in milliseconds. */
const TRY_EVERY = 5000;

/** The fraction of the full time that other requests wait. A working store responds sooner. */
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
  /** When a full wait last timed out, or when the current retry began. */
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
    // An immediate result, such as a session that needs no refresh, does not show that WorkOS and the store work.
    else if (slowSince === startedAt) slowSince = performance.now() - startedAt > brief ? undefined : before;
    return found?.value;
  };
}
