import { type AuthKitEvents, publish } from '../events.js';

/** More than any answer of WorkOS's, and little enough to hold. */
const MAX_BYTES = 1_048_576;

/** An answer that is no success: a status, a broken body, or none at all. Holds nothing that was sent. */
export class UpstreamError extends Error {
  override readonly name = 'BadReply';
  /** The JSON object that came with it, or an empty one. Not enumerable: it may hold a pending token. */
  declare readonly body: Readonly<Record<string, unknown>>;

  constructor(
    readonly reason: 'status' | 'network' | 'timeout' | 'malformed',
    readonly status: number | undefined,
    /** Seconds, if WorkOS named a time. */
    readonly retryAfter: number | undefined,
    body: unknown,
    cause?: unknown,
  ) {
    super(
      status === undefined
        ? `WorkOS could not be reached (${reason})`
        : `WorkOS answered ${status} (${reason})`,
      { cause },
    );
    const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
    Object.defineProperty(this, 'body', { value: isObject ? body : {}, enumerable: false });
  }

  /** Whether it is worth a second try at once: nothing said how long to wait. */
  get isRetryable(): boolean {
    if (this.retryAfter !== undefined || this.reason === 'malformed') return false;
    return this.status === undefined || this.status >= 500 || this.status === 408;
  }

  /** The reply behind an error that the SDK wrapped. */
  static from(error: unknown): UpstreamError | undefined {
    for (let depth = 0, link = error; depth < 5 && link instanceof Error; depth += 1, link = link.cause) {
      if (link instanceof UpstreamError) return link;
    }
    return undefined;
  }
}

/**
 * `fetch` with one deadline for head and body, a bounded body, and no redirects.
 *
 * @param timeout Milliseconds.
 * @returns A function that resolves to successes holding JSON and their `Date`, and throws {@link UpstreamError} for everything else.
 */
export function createFetch(
  timeout: number,
): (input: string | URL | Request, init?: RequestInit) => Promise<Response> {
  return async (input, init) => {
    const { pathname: path } = new URL(input instanceof Request ? input.url : input);
    const started = performance.now();
    const publishUpstream = (outcome: Outcome, status: number | undefined) => {
      publish('upstream', {
        method: init?.method ?? 'GET',
        path,
        outcome,
        status,
        duration: performance.now() - started,
      });
    };
    try {
      const { status, body, date } = await ask(input, init, timeout);
      publishUpstream('ok', status);
      return Response.json(body, { headers: date === null ? {} : { date } });
    } catch (error) {
      if (error instanceof UpstreamError) publishUpstream(error.reason, error.status);
      throw error;
    }
  };
}

type Outcome = AuthKitEvents['authkit:upstream']['outcome'];

async function ask(
  input: string | URL | Request,
  init: RequestInit | undefined,
  timeout: number,
): Promise<{ status: number; body: unknown; date: string | null }> {
  const deadline = AbortSignal.timeout(timeout);
  const signal = init?.signal ? AbortSignal.any([init.signal, deadline]) : deadline;
  let response, text;
  try {
    response = await fetch(input, { ...init, signal, redirect: 'manual' });
    text = await bounded(response);
  } catch (error) {
    throw new UpstreamError(signal.aborted ? 'timeout' : 'network', undefined, undefined, undefined, error);
  }
  const { status } = response;
  const body = parse(text);
  if (!response.ok) throw new UpstreamError('status', status, retryAfter(response.headers), body);
  if (body === undefined) throw new UpstreamError('malformed', status, undefined, undefined);
  return { status, body, date: response.headers.get('date') };
}

async function bounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new RangeError('the answer is too large');
    chunks.push(chunk);
  }
  // As `Response.json()` reads it: a byte order mark is none of the text.
  return new TextDecoder().decode(Buffer.concat(chunks));
}

/** Nothing is an empty object: some calls have nothing to say. */
function parse(text: string): unknown {
  if (text === '') return {};
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** RFC 9110 section 10.2.3: seconds or a date. Anything else says nothing. */
function retryAfter(headers: Headers): number | undefined {
  const value = headers.get('retry-after')?.trim() ?? '';
  if (/^\d{1,10}$/.test(value)) return Number(value);
  const date = /[a-z]{3}/i.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}
