/** Resolves with the promise or after `ms`, whichever is first, and keeps no timer behind. */
export function withDeadline(ms: number, promise: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  return Promise.race([promise, timeout]).finally(() => {
    clearTimeout(timer);
  });
}

/** Goes on with a value at once where it is there, so that what needs no waiting stays synchronous. */
export function after<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}
