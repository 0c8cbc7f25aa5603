/** Resolves with the promise, or with `undefined` after `ms` milliseconds. Leaves no timer behind. */
export function withDeadline<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, ms, undefined)));
  return Promise.race([promise, timeout]).finally(() => {
    clearTimeout(timer);
  });
}

/** Continues with a value at once if it is there, so that a request that needs no waiting is handled synchronously. */
export function after<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** The time until which a request has to be answered. It is taken once, when the request arrives. */
export interface Deadline {
  /** Milliseconds; 0 if the time is over. */
  left: () => number;
}

/** @param ms Milliseconds from now, by the monotonic clock. */
export function deadlineIn(ms: number): Deadline {
  const end = performance.now() + ms;
  return { left: () => Math.max(0, end - performance.now()) };
}

/** After a wait that took too long, one request waits as long again this often, in milliseconds. */
const TRY_EVERY = 5000;

/** The others wait for this part of the time. A store that works answers sooner. */
const BRIEF_PART = 1 / 20;

/** Waits for something that a request can do without. Resolves with `undefined` if it takes too long. */
export type OptionalWait = <T>(promise: Promise<T>) => Promise<T | undefined>;

/**
 * Limits how long requests wait for something that they can do without. After a wait that took too long, requests wait
 * briefly, and only one in five seconds waits as long again, until what it waits for comes in time.
 *
 * @param ms The longest wait, in milliseconds.
 */
export function createOptionalWait(ms: number): OptionalWait {
  const brief = ms * BRIEF_PART;
  /** When the last wait of full length began that took too long. */
  let slowSince: number | undefined;
  return async (promise) => {
    const startedAt = performance.now();
    const before = slowSince;
    const isFull = before === undefined || startedAt - before >= TRY_EVERY;
    // Other requests do not try at the same time.
    if (before !== undefined && isFull) slowSince = startedAt;
    const found = await withDeadline(
      isFull ? ms : brief,
      promise.then((value) => ({ value })),
    );
    if (!isFull) return found?.value;
    if (!found) slowSince = performance.now();
    // What came at once, such as a session that needs no refresh, does not say that WorkOS and the store work.
    else if (slowSince === startedAt) slowSince = performance.now() - startedAt > brief ? undefined : before;
    return found?.value;
  };
}
