import { type AuthKitEvents, publish } from '../diagnostics.js';
import {
  type CallPriority,
  type CallReport,
  CircuitOpenError,
  type Limiter,
} from './rate-limit-and-circuit-breaker.js';

/** The maximum size of a response body, in bytes. No response from WorkOS is larger. */
const MAX_BYTES = 1_048_576;

/** Why a call to WorkOS failed. `circuit_open` means that the call was not made, because the circuit is open. */
export type UpstreamFailure = 'status' | 'network' | 'timeout' | 'malformed' | 'circuit_open';

/**
 * The error for a call to WorkOS that returned an error status, a malformed body or no response, or that was not made.
 * The error contains no data from the request.
 */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  /**
   * The JSON object in the response, or an empty object. The property is not enumerable, because it may contain a
   * pending authentication token.
   */
  declare readonly body: Readonly<Record<string, unknown>>;

  /**
   * @param retryAfter How long to wait before the next call, in seconds, if WorkOS or the circuit breaker has set a
   * time.
   */
  constructor(
    readonly reason: UpstreamFailure,
    readonly status: number | undefined,
    readonly retryAfter: number | undefined,
    body: unknown,
    cause?: unknown,
  ) {
    super(
      status === undefined ? `WorkOS is unavailable (${reason})` : `WorkOS answered ${status} (${reason})`,
      { cause },
    );
    const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
    Object.defineProperty(this, 'body', { value: isObject ? body : {}, enumerable: false });
  }

  /** Finds the `UpstreamError` that caused an SDK error. */
  static from(error: unknown): UpstreamError | undefined {
    for (let depth = 0, link = error; depth < 5 && link instanceof Error; depth += 1, link = link.cause) {
      if (link instanceof UpstreamError) return link;
    }
    return undefined;
  }
}

/** The part of the type of `fetch` that the SDK uses. An app can replace `fetch` with a function of this type. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

export interface FetchOptions {
  /**
   * The maximum time from the call to the end of the response body, in milliseconds. It includes the wait for a free
   * slot.
   */
  timeout: number;
  limiter: Limiter;
  priority: CallPriority;
  /**
   * Whether to repeat a call once if its connection was lost before the response arrived. Set this option only for
   * calls for which WorkOS returns the same response the second time.
   */
  repeatsLostCalls?: boolean;
  /** Replaces the global `fetch`. */
  fetch?: Fetch | undefined;
}

/**
 * Creates a `fetch` function that calls WorkOS through the limiter. It has one deadline for the head and the body of a
 * response, limits the size of the body, and does not follow redirects.
 *
 * @returns A function that resolves to a successful JSON response with only the `Date` and `Age` headers that WorkOS
 * sent. If there is no such response, the function rejects with an {@link UpstreamError}.
 */
export function createFetch({
  timeout,
  limiter,
  priority,
  repeatsLostCalls,
  fetch: own,
}: FetchOptions): Fetch {
  // The global `fetch` is looked up for each call, because an app may replace it after start-up.
  const send: Fetch = own ?? ((input, init) => fetch(input, init));
  return async (input, init) => {
    const deadline = AbortSignal.timeout(timeout);
    const signal = init?.signal ? AbortSignal.any([init.signal, deadline]) : deadline;
    const once = () => attempt(send, input, { ...init, signal, redirect: 'manual' });
    const call = async () => {
      const first = await once();
      return repeatsLostCalls && isLost(first) && !signal.aborted ? once() : first;
    };
    const { result } = await limiter.run(call, priority, signal).catch((error: unknown) => {
      throw toUpstreamError(error);
    });
    if (result instanceof UpstreamError) throw result;
    return result;
  };
}

/** The outcome of one call: a usable response or an error, and a report about the state of WorkOS. */
interface Attempt {
  readonly result: Response | UpstreamError;
  readonly report: CallReport;
}

async function attempt(send: Fetch, input: string | URL | Request, init: RequestInit): Promise<Attempt> {
  const started = performance.now();
  const result = await request(send, input, init);
  const isError = result instanceof UpstreamError;
  publish('upstream', {
    method: init.method ?? 'GET',
    path: new URL(input instanceof Request ? input.url : input).pathname,
    outcome: isError ? (result.reason as AuthKitEvents['authkit:upstream']['outcome']) : 'ok',
    status: result.status,
    duration: performance.now() - started,
  });
  return { result, report: isError ? reportOf(result) : { kind: 'ok' } };
}

async function request(
  send: Fetch,
  input: string | URL | Request,
  init: RequestInit & { signal?: AbortSignal | null },
): Promise<Response | UpstreamError> {
  const signal = init.signal as AbortSignal;
  let status: number, headers: Headers, text: string, isSuccess: boolean;
  try {
    const response = await untilAborted(signal, () => send(input, init));
    ({ status, headers, ok: isSuccess } = response);
    text = await untilAborted(signal, () => readBounded(response));
  } catch (error) {
    const reason = signal.aborted ? 'timeout' : 'network';
    return new UpstreamError(reason, undefined, undefined, undefined, error);
  }
  const body = parse(text);
  if (!isSuccess) return new UpstreamError('status', status, retryAfter(headers), body);
  if (body === undefined) return new UpstreamError('malformed', status, undefined, undefined);
  const kept = ['date', 'age'].flatMap((name): [string, string][] => {
    const value = headers.get(name);
    return value === null ? [] : [[name, value]];
  });
  // A `Response` with status 204 or 205 cannot have a body.
  const isEmpty = status === 204 || status === 205;
  return Response.json(body, { status: isEmpty ? 200 : status, headers: kept });
}

/**
 * Calls `start` and waits for its promise, but rejects as soon as the signal is aborted, even if the app's custom
 * `fetch` ignores the signal.
 */
async function untilAborted<T>(signal: AbortSignal, start: () => Promise<T>): Promise<T> {
  let abort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => {
      reject(signal.reason as Error);
    };
  });
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  try {
    return await Promise.race([(async () => start())(), aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/**
 * Returns what an error says about the state of WorkOS. Statuses such as 401 and 403 count as `ok`: WorkOS works,
 * although it refused the request.
 */
function reportOf({ reason, status, retryAfter: seconds }: UpstreamError): CallReport {
  if (status === 429 || seconds !== undefined) return { kind: 'limited', retryAfter: seconds };
  const isAnswer = reason === 'status' && status !== undefined && status < 500 && status !== 408;
  return isAnswer ? { kind: 'ok' } : { kind: 'failed' };
}

/** The error codes of Node and undici for a connection that was closed before the response arrived. */
const LOST: readonly unknown[] = ['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'UND_ERR_SOCKET'];

function isLost({ result }: Attempt): boolean {
  if (!(result instanceof UpstreamError) || result.reason !== 'network') return false;
  for (
    let depth = 0, link = result.cause;
    depth < 5 && link instanceof Error;
    depth += 1, link = link.cause
  ) {
    if (LOST.includes((link as { code?: unknown }).code)) return true;
  }
  return false;
}

/** Converts the error that the limiter throws if it does not make a call. */
function toUpstreamError(error: unknown): UpstreamError {
  return error instanceof CircuitOpenError
    ? new UpstreamError('circuit_open', undefined, error.retryAfter, undefined, error)
    : new UpstreamError('timeout', undefined, undefined, undefined, error);
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new RangeError(`the answer is larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  // Like `Response.json()`, this removes a byte order mark.
  return new TextDecoder().decode(Buffer.concat(chunks));
}

/** Parses a body as JSON. An empty body becomes an empty object, because some calls have no result. */
function parse(text: string): unknown {
  if (text === '') return {};
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/**
 * Returns how long to wait according to the `Retry-After` header, in seconds (RFC 9110 section 10.2.3). The header
 * contains a number of seconds or a date. For any other value, returns `undefined`.
 */
function retryAfter(headers: Headers): number | undefined {
  const value = headers.get('retry-after')?.trim() ?? '';
  if (/^\d{1,10}$/.test(value)) return Number(value);
  const date = /[a-z]{3}/i.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}
