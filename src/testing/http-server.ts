import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { type TestRequest, type TestResponse, json } from './endpoints/request-and-response.js';
import type { Delivery } from './faults.js';
import { newId } from './state/tokens.js';

const HOST = '127.0.0.1';
const MAX_BODY = 1_048_576;

export interface TestServer {
  readonly port: number;
  readonly url: string;
  /** Closes the server and all its connections. Can be called more than once. */
  close: () => Promise<void>;
}

export interface ServerOptions {
  /** The port to listen on. 0 means any free port. */
  port: number;
  /** Whether the open server keeps the process running. */
  keepsProcess: boolean;
  /** The signal that is aborted when the server closes. */
  signal: AbortSignal;
  /** Returns the time for the `Date` header of the responses, in milliseconds since the epoch. */
  now: () => number;
  answer: (request: TestRequest) => Promise<Delivery>;
}

/** Starts the HTTP server. It passes each request to `answer`, which decides how the server responds. */
export async function listen(options: ServerOptions): Promise<TestServer> {
  const { port, keepsProcess, signal, now, answer } = options;
  const server = createServer((req, res) => {
    res.setHeader('date', new Date(now()).toUTCString());
    void respond(req, res, answer, signal);
  });
  if (!keepsProcess) server.unref().on('connection', (socket) => socket.unref());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, HOST, resolve);
  });
  const { port: actual } = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  return {
    port: actual,
    url: `http://${HOST}:${actual}`,
    close: () =>
      (closing ??= new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      })),
  };
}

/**
 * Responds to one request. If the request cannot be read or the response cannot be sent, closes the connection, so the
 * returned promise never rejects.
 */
async function respond(
  req: IncomingMessage,
  res: ServerResponse,
  answer: ServerOptions['answer'],
  signal: AbortSignal,
): Promise<void> {
  try {
    const delivery = await answer(await read(req)).catch(failure(signal));
    if (delivery.kind === 'reset') req.socket.resetAndDestroy();
    else if (delivery.kind === 'response') await send(res, delivery, signal);
  } catch {
    req.socket.destroy();
  }
}

/**
 * Creates an error handler that responds with status 500 and the error message. This reveals mistakes in a test, such
 * as an `alter` function that throws. While the server is closing, the handler resets the connection instead.
 */
function failure(signal: AbortSignal) {
  return (error: unknown): Delivery => {
    if (signal.aborted) return { kind: 'reset' };
    return { kind: 'response', response: json(500, { message: `The test WorkOS failed: ${String(error)}` }) };
  };
}

async function read(req: IncomingMessage): Promise<TestRequest> {
  const { pathname, searchParams } = new URL(req.url ?? '/', `http://${HOST}`);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Error('the body is too large');
    chunks.push(chunk);
  }
  return {
    method: req.method ?? 'GET',
    path: pathname,
    query: searchParams,
    body: parse(Buffer.concat(chunks).toString('utf8'), req.headers['content-type'] ?? ''),
    authorization: req.headers.authorization,
    userAgent: req.headers['user-agent'],
    wantsPage: req.headers.accept?.includes('text/html') === true,
  };
}

/**
 * Returns the fields of a request body, which is either a form, as in RFC 6749, or JSON, as the WorkOS SDKs send it.
 * Returns an empty object if there is no body, and `undefined` if the JSON is malformed or not an object.
 */
function parse(body: string, type: string): TestRequest['body'] {
  if (body === '') return {};
  if (type.startsWith('application/x-www-form-urlencoded'))
    return Object.fromEntries(new URLSearchParams(body));
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

type ResponseDelivery = Extract<Delivery, { kind: 'response' }>;

async function send(res: ServerResponse, delivery: ResponseDelivery, signal: AbortSignal): Promise<void> {
  const { response, millisecondsPerByte, isTruncated = false } = delivery;
  const body = Buffer.from(response.body);
  writeHead(res, response, body.length + (isTruncated ? 100 : 0));
  if (millisecondsPerByte !== undefined) await trickle(res, body, millisecondsPerByte, signal);
  if (isTruncated) {
    // The connection is destroyed only after the data has been flushed. Otherwise, the client would receive no response
    // at all instead of a truncated one.
    res.write(millisecondsPerByte === undefined ? body : '', () => res.destroy());
  } else {
    res.end(millisecondsPerByte === undefined ? body : undefined);
  }
}

function writeHead(res: ServerResponse, { status, headers }: TestResponse, length: number): void {
  // A 204 response must not have a `Content-Length` header (RFC 9110 section 8.6).
  const contentLength = status === 204 ? {} : { 'content-length': length };
  res.writeHead(status, { 'x-request-id': newId('req'), ...contentLength, ...headers });
}

async function trickle(res: ServerResponse, body: Buffer, pause: number, signal: AbortSignal): Promise<void> {
  for (const byte of body) {
    if (res.destroyed) return;
    res.write(Buffer.of(byte));
    await wait(pause, undefined, { signal });
  }
}
