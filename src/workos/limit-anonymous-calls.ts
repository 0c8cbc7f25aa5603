import { withDeadline } from '../deadline.js';

/** The outcome of a call: it was made, or it was not made because the budget is used up. */
export type Budgeted<T> = { readonly kind: 'made'; readonly value: T } | { readonly kind: 'exhausted' };

/** Limits the calls to WorkOS that clients without a valid credential can cause. */
export interface CallBudget {
  /**
   * Makes a call as soon as the budget allows it. If the wait takes too long, or if too many calls already wait, the
   * result is `exhausted`, and the call is not made.
   *
   * @param isValid Decides from the result whether the credential is valid. If it is, the call does not count against
   * the budget.
   */
  run: <T>(call: () => Promise<T>, isValid: (value: T) => boolean) => Promise<Budgeted<T>>;
}

interface BudgetLimits {
  /** The maximum number of calls in a burst, and also the maximum number of calls in flight at the same time. */
  readonly burst: number;
  /** How many calls are added back to the budget each second. */
  readonly perSecond: number;
  /** The maximum number of requests that wait while the budget is used up. Further requests are refused. */
  readonly maxWaiting: number;
  /** How long a request waits for the budget, in milliseconds. */
  readonly wait: number;
}

type Clock = () => number;

/**
 * Creates an instance's budget for the calls that anonymous requests cause, such as checks of unknown API keys. The
 * budget prevents requests with made-up credentials from flooding WorkOS and from using up the rate limit that the
 * app's users need.
 *
 * @param softTimeout How long a request waits for the budget, in milliseconds.
 */
export function createAnonymousBudget({ now, softTimeout }: { now: Clock; softTimeout: number }): CallBudget {
  return createBudget({ burst: 20, perSecond: 10, maxWaiting: 2, wait: softTimeout }, now);
}

/**
 * Creates an instance's budget for authorization codes that WorkOS refuses. The budget is needed because anyone can
 * begin a sign-in and make up a code. WorkOS limits an environment to 500 writes in ten seconds, and all calls share
 * this limit, including the refreshes of signed-in users. In the long run, this budget allows half of that rate. Codes
 * that WorkOS accepts do not count against the budget, but their exchange must wait while the budget is used up.
 *
 * @param timeout The time limit for one call to WorkOS, in milliseconds. A request waits for at most half of this time.
 */
export function createRefusedCodeBudget({ now, timeout }: { now: Clock; timeout: number }): CallBudget {
  return createBudget({ burst: 200, perSecond: 25, maxWaiting: 1000, wait: timeout / 2 }, now);
}

function createBudget({ burst, perSecond, maxWaiting, wait }: BudgetLimits, now: Clock): CallBudget {
  let left = burst;
  let countedAt = now();
  let inFlight = 0;
  const waiting = new Set<() => void>();
  let timer: NodeJS.Timeout | undefined;

  const add = (count: number) => {
    left = Math.min(burst, left + count);
  };
  const take = (): boolean => {
    const elapsed = now() - countedAt;
    countedAt = now();
    // If the clock was set back, the budget does not change.
    if (elapsed > 0) add((elapsed / 1000) * perSecond);
    if (left < 1 || inFlight >= burst) return false;
    left -= 1;
    inFlight += 1;
    return true;
  };
  /** Lets waiting requests continue as far as the budget allows, starting with the one that has waited longest. */
  const serve = () => {
    clearTimeout(timer);
    for (const start of waiting) {
      if (!take()) break;
      waiting.delete(start);
      start();
    }
    timer = waiting.size === 0 ? undefined : setTimeout(serve, 1000 / perSecond);
  };
  const takeOrWait = async (): Promise<boolean> => {
    if (waiting.size === 0 && take()) return true;
    if (waiting.size >= maxWaiting) return false;
    let start: () => void = () => undefined;
    const started = new Promise<true>((resolve) => {
      start = () => {
        resolve(true);
      };
    });
    waiting.add(start);
    timer ??= setTimeout(serve, 1000 / perSecond);
    const isStarted = await withDeadline(wait, started);
    if (isStarted) return true;
    // A call that was started exactly at the deadline counts as started.
    return !waiting.delete(start);
  };
  return {
    async run(call, isValid) {
      if (!(await takeOrWait())) return { kind: 'exhausted' };
      try {
        const value = await call();
        if (isValid(value)) add(1);
        return { kind: 'made', value };
      } finally {
        inFlight -= 1;
        if (waiting.size > 0) serve();
      }
    },
  };
}
