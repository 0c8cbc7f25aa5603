import { STATUS_CODES } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { type Operation, type TestRequest, type TestResponse, covers, json } from './endpoints/http.js';

/** The time of a test WorkOS, and of the application under test that was given its `options`. */
export interface TestClock {
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Moves time forward; backward if `milliseconds` is negative. */
  advance: (milliseconds: number) => void;
}

/**
 * @param start Milliseconds since the epoch. From there the clock moves by `advance` alone; without it, it also runs
 * with real time, since an application that somebody tries by hand has to see its tokens expire.
 */
export function createClock(start?: number): TestClock {
  let advanced = 0;
  return {
    now: () => (start ?? Date.now()) + advanced,
    advance: (milliseconds) => {
      advanced += milliseconds;
    },
  };
}

/** A request that reached the test WorkOS. */
export interface RecordedCall {
  readonly operation: Operation;
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** The fields of the body, secrets as they were sent; `undefined` if it was malformed. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
  /** Milliseconds since the epoch, by the clock of the test WorkOS. */
  readonly at: number;
  /** Of the answer; not there while there is none. */
  status?: number;
}

export interface Calls {
  readonly all: readonly RecordedCall[];
  /** Of one operation; `authenticate` means every grant. */
  to: (operation: Operation) => readonly RecordedCall[];
  record: (operation: Operation, request: TestRequest) => RecordedCall;
}

export function createCalls(now: () => number): Calls {
  const all: RecordedCall[] = [];
  return {
    all,
    to: (operation) => all.filter((call) => covers(operation, call.operation)),
    record: (operation, { method, path, query, body }) => {
      const call: RecordedCall = {
        operation,
        method,
        path,
        query: Object.fromEntries(query),
        body,
        at: now(),
      };
      all.push(call);
      return call;
    },
  };
}

/** What goes wrong. Without `status`, `body`, `reset` and `hang`, WorkOS does what it is asked. Timers are real. */
export interface Fault {
  /** `authenticate` means every grant. */
  on: Operation;
  /** How many requests it hits; without it, all until `restore`. */
  times?: number;
  /** WorkOS does what it is asked first, so a token has rotated and only the answer is lost. */
  after?: boolean;
  /** Default 200 with `body`. */
  status?: number;
  /** Added to those of the answer; in lower case. */
  headers?: Readonly<Record<string, string>>;
  /** Text is sent as it is, anything else as JSON. Default with `status`: a JSON error. */
  body?: unknown;
  /** Changes what WorkOS answers truthfully: another user, a token less. Gets parsed JSON and returns the like. */
  alter?: (body: Record<string, unknown>) => unknown;
  /** Milliseconds before the answer. */
  delay?: number;
  /** Resets the connection. */
  reset?: boolean;
  /** Never answers, until the test WorkOS is closed. */
  hang?: boolean;
  /** Sends the body one byte at a time: milliseconds between two, or `true` for a second. */
  slow?: boolean | number;
  /** Promises more bytes than it sends, and closes the connection. */
  truncate?: boolean;
}

/** What is put on the wire, and how. */
export type Delivery =
  | {
      readonly kind: 'response';
      readonly reply: TestResponse;
      readonly millisecondsPerByte?: number;
      readonly isTruncated?: boolean;
    }
  | { readonly kind: 'reset' }
  | { readonly kind: 'hang' };

export interface Faults {
  add: (fault: Fault) => { restore: () => void };
  clear: () => void;
  /** Performs an operation under the oldest fault that it is subject to. */
  deliver: (operation: Operation, act: () => Promise<TestResponse>) => Promise<Delivery>;
}

/** @param signal Ends all waiting. */
export function createFaults(signal: AbortSignal): Faults {
  const faults = new Map<Fault, number>();

  const next = (operation: Operation): Fault | undefined => {
    for (const [fault, left] of faults) {
      if (left <= 0 || !covers(fault.on, operation)) continue;
      faults.set(fault, left - 1);
      return fault;
    }
    return undefined;
  };
  return {
    add: (fault) => {
      const own = { ...fault };
      faults.set(own, own.times ?? Infinity);
      return { restore: () => void faults.delete(own) };
    },
    clear: () => {
      faults.clear();
    },
    deliver: async (operation, act) => {
      const fault = next(operation);
      return fault ? suffer(fault, act, signal) : { kind: 'response', reply: await act() };
    },
  };
}

async function suffer(
  fault: Fault,
  act: () => Promise<TestResponse>,
  signal: AbortSignal,
): Promise<Delivery> {
  const { status, body, after = false, delay = 0, slow = false, truncate: isTruncated = false } = fault;
  const isSilent = fault.reset === true || fault.hang === true;
  const isMadeUp = status !== undefined || body !== undefined;
  const done = after ? await act() : undefined;
  if (delay > 0) await wait(delay, undefined, { signal });
  if (isSilent) return { kind: fault.reset === true ? 'reset' : 'hang' };
  const reply = isMadeUp ? madeUp(fault) : await altered(done ?? (await act()), fault);
  const pace = slow === false ? {} : { millisecondsPerByte: slow === true ? 1000 : slow };
  return {
    kind: 'response',
    reply: { ...reply, headers: { ...reply.headers, ...fault.headers } },
    ...pace,
    isTruncated,
  };
}

function madeUp({ status = 200, body = { message: STATUS_CODES[status] ?? 'Error' } }: Fault): TestResponse {
  return typeof body === 'string' ? { status, headers: {}, body } : json(status, body);
}

async function altered(reply: TestResponse, { alter }: Fault): Promise<TestResponse> {
  if (!alter) return reply;
  return { ...reply, body: JSON.stringify(await alter(JSON.parse(reply.body) as Record<string, unknown>)) };
}
