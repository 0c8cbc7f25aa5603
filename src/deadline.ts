/** Resolves with the promise, or with `undefined` after `ms` milliseconds. Leaves no timer behind. */
export function withDeadline(ms: number, promise: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  return Promise.race([promise, timeout]).finally(() => {
    clearTimeout(timer);
  });
}

/** Continues with a value at once if it is there, so that a request that needs no waiting is handled synchronously. */
export function after<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}
