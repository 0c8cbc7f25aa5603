/** Resolves with the promise, or with `undefined` after `ms` milliseconds. Leaves no timer behind. */
export function withDeadline(ms: number, promise: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  return Promise.race([promise, timeout]).finally(() => {
    clearTimeout(timer);
  });
}
