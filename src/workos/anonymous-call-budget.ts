import { withDeadline } from '../deadline.js';

/** How many calls anonymous requests may cause in a burst, and how many of them may be in flight. */
const BURST = 20;

/** How many calls are added back to the budget each second. */
const PER_SECOND = 10;

/** How many requests wait for the next call of an empty budget. Further requests are refused with `Retry-After`. */
const MAX_WAITING = 2;

/** The outcome of a call: made, or not made because the budget is used up. */
export type Budgeted<T> = { readonly kind: 'made'; readonly value: T } | { readonly kind: 'exhausted' };

export interface AnonymousBudget {
  /**
   * Makes a call to WorkOS that a request without a valid credential causes, if the budget allows it.
   *
   * @param isWelcome Whether the credential turned out to be valid. Such a call is given back to the budget.
   */
  run: <T>(call: () => Promise<T>, isWelcome: (value: T) => boolean) => Promise<Budgeted<T>>;
}

/**
 * Creates the budget of an instance for the calls that anonymous requests cause, such as the check of an unknown API
 * key. Made-up credentials can then neither flood WorkOS nor use up its rate limit for the users of the app.
 *
 * @param softTimeout How long a request waits for the budget, in milliseconds.
 */
export function createAnonymousBudget({
  now,
  softTimeout,
}: {
  now: () => number;
  softTimeout: number;
}): AnonymousBudget {
  let left = BURST;
  let countedAt = now();
  let waiting = 0;
  let inFlight = 0;

  const refill = () => {
    const elapsed = now() - countedAt;
    countedAt = now();
    // A clock that was set back gives nothing, and takes nothing.
    if (elapsed > 0) left = Math.min(BURST, left + (elapsed / 1000) * PER_SECOND);
  };
  const take = (): boolean => {
    refill();
    if (left < 1 || inFlight >= BURST) return false;
    left -= 1;
    return true;
  };
  const takeOrWait = async (): Promise<boolean> => {
    if (take()) return true;
    if (waiting >= MAX_WAITING) return false;
    waiting += 1;
    try {
      const milliseconds = Math.min(softTimeout, ((waiting - left) / PER_SECOND) * 1000 + 5);
      await withDeadline(milliseconds, new Promise(() => undefined));
      return take();
    } finally {
      waiting -= 1;
    }
  };
  return {
    async run(call, isWelcome) {
      if (!(await takeOrWait())) return { kind: 'exhausted' };
      inFlight += 1;
      try {
        const value = await call();
        if (isWelcome(value)) left = Math.min(BURST, left + 1);
        return { kind: 'made', value };
      } finally {
        inFlight -= 1;
      }
    },
  };
}
