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
} from './endpoints/request-and-response.js';
import { checkNames, didYouMean } from './options.js';

/** A request that the test WorkOS received. */
export interface RecordedCall {
  readonly operation: Operation;
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** The fields of the request body, including secrets, or `undefined` if the body was malformed. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
  /** When the request arrived according to the test WorkOS's clock, in milliseconds since the epoch. */
  readonly at: number;
  /**
   * The response status. Not set until there is a response, and never set if a fault resets the connection or sends
   * nothing.
   */
  status?: number;
}

export interface Calls {
  readonly all: readonly RecordedCall[];
  /** Returns the calls to one operation. The operation `authenticate` matches calls with any grant type. */
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

/** An endpoint of the WorkOS API. */
export interface TestEndpoint {
  /** The HTTP method. Default: any method. */
  method?: string;
  /** The path, without the query string. A segment that starts with a colon, such as `:id`, matches any value. */
  path: string;
}

/**
 * Selects requests to the test WorkOS, and specifies how the test WorkOS responds to them. If `status`, `body`, `reset`
 * or `hang` is set, the test WorkOS does not process the requests. To have them processed anyway, also set `after`.
 * Delays use real time, not the test clock.
 *
 * @example
 * workos.fail({ on: 'refresh', status: 503, times: 1 });
 * workos.fail({ on: { method: 'POST', path: '/widgets/token' }, status: 201, body: { token: 'a-token' } });
 */
export interface Fault {
  /**
   * The requests that the fault applies to, by operation or by endpoint. The operation `authenticate` matches requests
   * with any grant type.
   */
  on: Operation | TestEndpoint;
  /** How many requests the fault applies to. Default: all requests until `restore` or `recover` is called. */
  times?: number;
  /**
   * Whether the test WorkOS processes the request before the fault applies. Set it to `true` to lose only the response. A
   * refresh, for example, still rotates the refresh token, but the application does not receive the new tokens.
   */
  after?: boolean;
  /** The response status. Default if `body` is set: 200. */
  status?: number;
  /** Headers to add to the response. Their names must be in lower case. */
  headers?: Readonly<Record<string, string>>;
  /**
   * The response body. A string is sent unchanged, and any other value is sent as JSON. Default if `status` is set: a
   * JSON object with an error message.
   */
  body?: unknown;
  /**
   * Changes the normal response, such as the user or a token in it. The function receives the parsed JSON body, and the
   * value that it returns is sent as the new JSON body.
   */
  alter?: (body: Record<string, unknown>) => unknown;
  /** Delay before the response, in milliseconds. */
  delay?: number;
  /** Resets the connection instead of sending a response. */
  reset?: boolean;
  /** Never sends a response, but keeps the connection open until the test WorkOS is closed. */
  hang?: boolean;
  /** Sends the body one byte at a time. A number is the pause after each byte, in milliseconds; `true` means 1000. */
  slow?: boolean | number;
  /** Sends a `Content-Length` header that is larger than the body, then the body, and then closes the connection. */
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

/** What the server does with a request: it sends a response, resets the connection, or sends nothing. */
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
  /**
   * Decides how the server responds to a request. Applies the oldest fault that matches the request and has not been
   * used `times` times. If there is none, uses the response of `answer`.
   */
  deliver: (
    operation: Operation,
    request: TestRequest,
    answer: () => Promise<TestResponse>,
  ) => Promise<Delivery>;
}

/**
 * Creates the list of faults in a test WorkOS. The list is empty at first.
 *
 * @param signal Cancels pending delays when it is aborted.
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
