import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { type TestRequest, type TestResponse, json } from './endpoints/http.js';
import type { Delivery } from './faults.js';
import { newId } from './state/tokens.js';

const HOST = '127.0.0.1';
const MAX_BODY = 1_048_576;

export interface TestServer {
  readonly port: number;
  readonly url: string;
  /** Closes the server and ends every connection. It may be called twice. */
  close: () => Promise<void>;
}

export interface ServerOptions {
  /** 0 means any free port. */
  port: number;
  /** Whether this server keeps the process running when nothing else does. */
  keepsProcess: boolean;
  /** Aborted when the server closes. */
  signal: AbortSignal;
  answer: (request: TestRequest) => Promise<Delivery>;
}

/** Starts the HTTP server, which reads a request, passes it to `answer` and sends the response. */
export async function listen({ port, keepsProcess, signal, answer }: ServerOptions): Promise<TestServer> {
  const server = createServer((req, res) => {
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

/** Never rejects: if a request cannot be read or answered, only its connection is closed. */
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

/** Creates a handler that reports a mistake in a test, such as an `alter` that throws, in the response. */
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

/** Parses a form, as in RFC 6749, or JSON, as WorkOS's SDKs send it. */
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
    // The connection is destroyed only after the data was flushed, because a response that breaks off differs from one
    // that never arrives.
    res.write(millisecondsPerByte === undefined ? body : '', () => res.destroy());
  } else {
    res.end(millisecondsPerByte === undefined ? body : undefined);
  }
}

function writeHead(res: ServerResponse, { status, headers }: TestResponse, length: number): void {
  // RFC 9110 section 8.6: a 204 has no Content-Length.
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
