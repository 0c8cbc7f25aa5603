import { STATUS_CODES } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import {
  covers,
  json,
  matchPath,
  OPERATIONS,
  type Operation,
  type TestRequest,
  type TestResponse,
} from './endpoints/http.js';
import { checkNames, didYouMean } from './options.js';

/** A request that reached the test WorkOS. */
export interface RecordedCall {
  readonly operation: Operation;
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** The body's fields, including secrets; `undefined` if the body was malformed. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
  /** When the request arrived, in milliseconds since the epoch, by the clock of the test WorkOS. */
  readonly at: number;
  /** The response status; not set until there is a response. */
  status?: number;
}

export interface Calls {
  readonly all: readonly RecordedCall[];
  /** The calls to one operation; `authenticate` matches every grant. */
  to: (operation: Operation) => readonly RecordedCall[];
  record: (operation: Operation, request: TestRequest) => RecordedCall;
}

export function createCalls(now: () => number): Calls {
  const all: RecordedCall[] = [];
  return {
    all,
    to: (operation) => {
      checkOperation('callsTo()', operation);
      return all.filter((call) => covers(operation, call.operation));
    },
    record: (operation, { method, path, query, body }) => {
      const call = { operation, method, path, query: Object.fromEntries(query), body, at: now() };
      all.push(call);
      return call;
    },
  };
}

function checkOperation(where: string, operation: string): void {
  if (Object.hasOwn(OPERATIONS, operation)) return;
  throw new Error(
    `${where}: there is no operation "${operation}".${didYouMean(operation, Object.keys(OPERATIONS))}`,
  );
}

/** An endpoint of WorkOS's API. */
export interface TestEndpoint {
  /** The HTTP method. Default: every method. */
  method?: string;
  /** The path, without the query. A segment such as `:id` matches any value. */
  path: string;
}

/**
 * How a matching request fails or is answered. Unless `status`, `body`, `reset` or `hang` is given, WorkOS processes
 * the request normally. Delays use real time, not the test clock.
 *
 * @example
 * workos.fail({ on: 'refresh', status: 503, times: 1 });
 * workos.fail({ on: { method: 'POST', path: '/widgets/token' }, status: 201, body: { token: 'a-token' } });
 */
export interface Fault {
  /** An operation (`authenticate` matches every grant) or any endpoint of WorkOS. */
  on: Operation | TestEndpoint;
  /** How many requests the fault applies to. Default: all requests until `restore` is called. */
  times?: number;
  /**
   * Whether WorkOS processes the request before it fails. For example, a refresh token has then rotated, and only the
   * response is lost.
   */
  after?: boolean;
  /** The response status. Default: 200 if there is a `body`. */
  status?: number;
  /** Headers to add to the response, with names in lower case. */
  headers?: Readonly<Record<string, string>>;
  /**
   * The response body. A string is sent unchanged, and anything else as JSON. Default if there is a `status`: a JSON
   * error.
   */
  body?: unknown;
  /**
   * Changes WorkOS's response, such as the user or a token in it. It receives the parsed JSON and returns the new JSON.
   */
  alter?: (body: Record<string, unknown>) => unknown;
  /** Delay before the response, in milliseconds. */
  delay?: number;
  /** Resets the connection. */
  reset?: boolean;
  /** Sends no response until the test WorkOS is closed. */
  hang?: boolean;
  /** Sends the body one byte at a time, with this pause between bytes in milliseconds; `true` means one second. */
  slow?: boolean | number;
  /** Announces more bytes than it sends, then closes the connection. */
  truncate?: boolean;
}

const FAULT_OPTIONS: Readonly<Record<keyof Fault, true>> = {
  on: true,
  times: true,
  after: true,
  status: true,
  headers: true,
  body: true,
  alter: true,
  delay: true,
  reset: true,
  hang: true,
  slow: true,
  truncate: true,
};

/** How a response is delivered. */
export type Delivery =
  | {
      readonly kind: 'response';
      readonly response: TestResponse;
      readonly millisecondsPerByte?: number;
      readonly isTruncated?: boolean;
    }
  | { readonly kind: 'reset' }
  | { readonly kind: 'hang' };

export interface Faults {
  add: (fault: Fault) => { restore: () => void };
  clear: () => void;
  /** Answers a request, applying the oldest fault that matches it. */
  deliver: (
    operation: Operation,
    request: TestRequest,
    answer: () => Promise<TestResponse>,
  ) => Promise<Delivery>;
}

/**
 * Creates the faults of a test WorkOS.
 *
 * @param signal Aborts pending delays.
 */
export function createFaults(signal: AbortSignal): Faults {
  const faults = new Map<Fault, number>();

  const next = (operation: Operation, request: TestRequest): Fault | undefined => {
    for (const [fault, left] of faults) {
      if (left <= 0 || !applies(fault, operation, request)) continue;
      faults.set(fault, left - 1);
      return fault;
    }
    return undefined;
  };
  return {
    add: (fault) => {
      checkFault(fault);
      const own = { ...fault };
      faults.set(own, own.times ?? Infinity);
      return { restore: () => void faults.delete(own) };
    },
    clear: () => {
      faults.clear();
    },
    deliver: async (operation, request, answer) => {
      const fault = next(operation, request);
      return fault ? deliverFault(fault, answer, signal) : { kind: 'response', response: await answer() };
    },
  };
}

function applies({ on }: Fault, operation: Operation, { method, path }: TestRequest): boolean {
  if (typeof on === 'string') return covers(on, operation);
  const isMethod = on.method === undefined || on.method.toUpperCase() === method;
  return isMethod && matchPath(on.path, path) !== undefined;
}

function checkFault(fault: Fault): void {
  checkNames('fail()', fault, FAULT_OPTIONS);
  if (typeof fault.on === 'string') {
    checkOperation('fail()', fault.on);
    return;
  }
  checkNames('fail(): `on`', fault.on, { method: true, path: true });
  if (!fault.on.path.startsWith('/'))
    throw new Error(`fail(): the path "${fault.on.path}" of \`on\` must start with a slash.`);
}

async function deliverFault(
  fault: Fault,
  answer: () => Promise<TestResponse>,
  signal: AbortSignal,
): Promise<Delivery> {
  const { status, body, after = false, delay = 0, slow = false, truncate: isTruncated = false } = fault;
  const isSilent = fault.reset === true || fault.hang === true;
  const isStub = status !== undefined || body !== undefined;
  const done = after ? await answer() : undefined;
  if (delay > 0) await wait(delay, undefined, { signal });
  if (isSilent) return { kind: fault.reset === true ? 'reset' : 'hang' };
  const response = isStub ? stub(fault) : await alter(done ?? (await answer()), fault);
  const pace = slow === false ? {} : { millisecondsPerByte: slow === true ? 1000 : slow };
  return {
    kind: 'response',
    response: { ...response, headers: { ...response.headers, ...fault.headers } },
    ...pace,
    isTruncated,
  };
}

function stub({ status = 200, body = { message: STATUS_CODES[status] ?? 'Error' } }: Fault): TestResponse {
  return typeof body === 'string' ? { status, headers: {}, body } : json(status, body);
}

async function alter(response: TestResponse, { alter: change }: Fault): Promise<TestResponse> {
  if (!change) return response;
  const changed = await change(JSON.parse(response.body) as Record<string, unknown>);
  return { ...response, body: JSON.stringify(changed) };
}
