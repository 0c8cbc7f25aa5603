/**
 * Decides when a call to WorkOS may be made: how many calls run at the same time, and how long to pause after a 429
 * response or repeated failures. What an error response means for the user is decided in `error-answers.ts`.
 */

import { publish } from '../diagnostics.js';

/** The maximum number of calls to WorkOS that one instance has in flight at the same time. */
const MAX_IN_FLIGHT = 50;

/** The maximum number of background calls in flight. The remaining slots are reserved for sign-ins. */
const MAX_BACKGROUND = 40;

/** The circuit opens after this many failures in a row. */
const FAILURE_THRESHOLD = 10;

/**
 * The first pause after failures, in milliseconds. If the first call after a pause fails, the next pause is twice as
 * long.
 */
const FIRST_PAUSE = 500;

/** The longest pause after failures, in milliseconds. */
const LONGEST_PAUSE = 5000;

/** The longest `Retry-After` that is obeyed, in milliseconds. */
const LONGEST_RETRY_AFTER = 60_000;

/** What the outcome of one call says about the state of WorkOS. */
export type CallReport =
  /** WorkOS responded, even if it refused the request. */
  | { readonly kind: 'ok' }
  /** WorkOS did not respond, or responded with a server error or a malformed body. */
  | { readonly kind: 'failed' }
  /** WorkOS asked for a pause, with a 429 response or `Retry-After`. `retryAfter` is in seconds. */
  | { readonly kind: 'limited'; readonly retryAfter: number | undefined };

/** The priority of a call. Sign-in calls are made before all other calls. */
export type CallPriority = 'sign-in' | 'background';

/** The error for a call that was not made, because the circuit is open. */
export class CircuitOpenError extends Error {
  override readonly name = 'CircuitOpenError';

  /**
   * @param retryAfter The remaining time of the pause that WorkOS asked for, in seconds. `undefined` if WorkOS did not
   * ask for a pause.
   */
  constructor(readonly retryAfter: number | undefined) {
    super('WorkOS is unavailable, and the next attempt is not due yet');
  }
}

export interface Limiter {
  /**
   * Makes a call as soon as a slot is free.
   *
   * @param signal If it is aborted, the wait for a slot ends.
   * @throws {CircuitOpenError} if the circuit is open, or opens while the call waits for a slot.
   * @throws The signal's reason, if the signal is aborted while the call waits for a slot.
   */
  run: <T extends { readonly report: CallReport }>(
    call: () => Promise<T>,
    priority: CallPriority,
    signal: AbortSignal,
  ) => Promise<T>;
  circuit: () => CircuitState;
}

/**
 * The calls that a circuit breaker controls. `anonymous`: calls that requests without a valid credential cause. `keys`:
 * calls that fetch signing keys. `main`: all other calls.
 */
export type CircuitScope = 'main' | 'anonymous' | 'keys';

export interface LimiterOptions {
  clientId: string;
  /** The scope that is reported in events. Default: `main`. */
  scope?: CircuitScope;
  /** Returns the current time, in milliseconds since the epoch. */
  now: () => number;
  /** Returns a number from 0 (inclusive) to 1 (exclusive), for the jitter of the pauses. */
  random?: () => number;
}

/**
 * Creates a limiter. Calls to WorkOS pass through it, so that WorkOS never receives too many calls at the same time and
 * receives fewer calls during an outage.
 */
export function createLimiter(options: LimiterOptions): Limiter {
  const slots = createSlots();
  const circuit = createCircuitBreaker(options, (toError) => {
    slots.rejectWaiting(toError);
  });
  return {
    circuit: circuit.state,
    async run(call, priority, signal) {
      const isProbe = circuit.admit();
      if (!isProbe) await slots.acquire(priority, signal);
      let report: CallReport = { kind: 'failed' };
      try {
        const result = await call();
        ({ report } = result);
        return result;
      } finally {
        // The report is recorded before the slot is released. If the report opens the circuit, the slot must not go to
        // a waiting call.
        circuit.record(report, isProbe);
        if (!isProbe) slots.release(priority);
      }
    },
  };
}

/** `closed`: calls are made. `open`: no calls are made. `half-open`: one call tests whether WorkOS works again. */
export type CircuitState = 'closed' | 'open' | 'half-open';

/**
 * Creates a circuit breaker. The circuit opens after {@link FAILURE_THRESHOLD} failures in a row, or when WorkOS asks
 * for a pause. After the pause, one call is admitted as a probe. If it succeeds, the circuit closes. If it fails, the
 * circuit opens again for a longer pause.
 */
function createCircuitBreaker(
  { clientId, scope = 'main', now, random = Math.random }: LimiterOptions,
  onOpen: (toError: () => Error) => void,
) {
  let state: CircuitState = 'closed';
  let failures = 0;
  let pause = FIRST_PAUSE;
  let isRateLimited = false;
  let openedAt = 0;
  let openUntil = 0;

  /**
   * Returns the remaining time of the pause, in milliseconds. If the clock was set back, the pause ends, because its
   * remaining time is unknown.
   */
  const timeLeft = () => (now() < openedAt ? 0 : Math.max(0, openUntil - now()));
  const toError = () => new CircuitOpenError(isRateLimited ? timeLeft() / 1000 : undefined);
  const enter = (next: CircuitState, reason: 'failures' | 'rate_limit' | 'probe' | 'recovered') => {
    if (state === next) return;
    state = next;
    publish('breaker', { clientId, scope, state, reason, pause: next === 'open' ? timeLeft() : 0 });
  };
  const open = (milliseconds: number) => {
    openedAt = now();
    openUntil = openedAt + milliseconds;
    enter('open', isRateLimited ? 'rate_limit' : 'failures');
    onOpen(toError);
  };
  /**
   * Returns the next pause, in milliseconds. Up to half of it is random, so that the processes of an app do not send
   * their probes at the same moment.
   */
  const nextPause = (wasProbe: boolean) => {
    pause = wasProbe ? Math.min(pause * 2, LONGEST_PAUSE) : FIRST_PAUSE;
    return pause / 2 + (random() * pause) / 2;
  };
  const recordSuccess = (wasProbe: boolean) => {
    failures = 0;
    // The success of a call that began before WorkOS asked for the pause does not end the pause.
    if (state !== 'closed' && isRateLimited && !wasProbe) return;
    enter('closed', 'recovered');
  };
  return {
    state: () => state,
    /**
     * Decides whether a call may be made.
     *
     * @returns Whether the call is a probe.
     * @throws {CircuitOpenError} if the call may not be made.
     */
    admit(): boolean {
      if (state === 'closed') return false;
      if (state === 'half-open' || timeLeft() > 0) throw toError();
      enter('half-open', 'probe');
      return true;
    },
    record(report: CallReport, wasProbe: boolean): void {
      if (report.kind === 'ok') {
        recordSuccess(wasProbe);
      } else if (report.kind === 'limited') {
        isRateLimited = true;
        const wanted = report.retryAfter === undefined ? nextPause(wasProbe) : report.retryAfter * 1000;
        const current = state === 'open' ? timeLeft() : 0;
        open(Math.max(current, Math.min(wanted, LONGEST_RETRY_AFTER)));
      } else {
        failures += 1;
        const isTripped = state === 'closed' && failures >= FAILURE_THRESHOLD;
        if (!wasProbe && !isTripped) return;
        isRateLimited = false;
        open(nextPause(wasProbe));
      }
    },
  };
}

interface Waiting {
  readonly start: () => void;
  readonly reject: (error: Error) => void;
}

/** Creates the slots for calls. They count the calls in flight and queue all other calls. */
function createSlots() {
  const queues: Record<CallPriority, Set<Waiting>> = { 'sign-in': new Set(), background: new Set() };
  const inFlight: Record<CallPriority, number> = { 'sign-in': 0, background: 0 };
  const isFree = (priority: CallPriority) =>
    inFlight['sign-in'] + inFlight.background < MAX_IN_FLIGHT &&
    (priority === 'sign-in' || inFlight.background < MAX_BACKGROUND);
  const startNext = () => {
    for (const priority of ['sign-in', 'background'] as const) {
      for (const waiting of queues[priority]) {
        if (!isFree(priority)) break;
        inFlight[priority] += 1;
        waiting.start();
      }
    }
  };
  return {
    async acquire(priority: CallPriority, signal: AbortSignal): Promise<void> {
      if (!isFree(priority)) return joinQueue(queues[priority], signal);
      inFlight[priority] += 1;
    },
    release(priority: CallPriority): void {
      inFlight[priority] -= 1;
      startNext();
    },
    rejectWaiting(toError: () => Error): void {
      for (const queue of Object.values(queues)) for (const { reject } of queue) reject(toError());
    },
  };
}

function joinQueue(queue: Set<Waiting>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      queue.delete(waiting);
      signal.removeEventListener('abort', abort);
    };
    const waiting: Waiting = {
      start: () => {
        leave();
        resolve();
      },
      reject: (error) => {
        leave();
        reject(error);
      },
    };
    const abort = () => {
      waiting.reject(signal.reason as Error);
    };
    queue.add(waiting);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
  });
}
