import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * A request of `node:http`, with the `originalUrl` property that Express, Connect and `router` add when they strip a
 * mount path.
 */
export interface Request extends IncomingMessage {
  originalUrl?: string;
}

export type Response = ServerResponse;

export type Next = (error?: unknown) => void;

/** A middleware of Express 4, Express 5, Connect 3 and `router`. */
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: Next) => void;

/** How a handler ended: it sent the response, it let the request continue, or it passed an error on. */
export type Outcome = 'sent' | 'next' | { readonly error: unknown };

export type Handler = (req: Request, res: Response) => Outcome | Promise<Outcome>;

/**
 * Turns a {@link Handler} into a middleware. This is the only place that calls `next`.
 *
 * On Express 4 and Connect an unhandled rejection ends the process, so every promise is handled here. If a handler
 * returns synchronously, `next` is called synchronously.
 */
export function middleware(handler: Handler): Middleware {
  return function authkitMiddleware(req, res, next) {
    const mistake = wrongArguments(req, res, next);
    if (mistake) return rejectCall(mistake, req, res, next) as undefined;
    let outcome;
    try {
      outcome = handler(req, res);
    } catch (error) {
      fail(error, next);
      return;
    }
    if (outcome instanceof Promise) {
      outcome.then(
        (value) => {
          finish(value, next);
        },
        (error: unknown) => {
          fail(error, next);
        },
      );
    } else {
      finish(outcome, next);
    }
  };
}

function finish(outcome: Outcome, next: Next): void {
  if (outcome === 'next') next();
  else if (outcome !== 'sent') fail(outcome.error, next);
}

function fail(error: unknown, next: Next): void {
  next(
    isRealError(error) ? error : new TypeError('a value that is not an error was thrown', { cause: error }),
  );
}

/**
 * Whether every framework treats `next(value)` as an error. If the value is falsy, `'route'` or `'router'`, a router
 * continues as if there were no error. A guard that passed on such a value would therefore let the request through.
 */
export function isRealError(value: unknown): boolean {
  return Boolean(value) && value !== 'route' && value !== 'router';
}

/**
 * Whether a value is a request. It is recognized by its properties and not with `instanceof`: importing a value from
 * `node:http` would make Node load the whole module, including WebSocket, which takes as long on Node 22 as loading the
 * rest of this package.
 */
export function isRequest(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'httpVersion' in value && 'rawHeaders' in value;
}

/** The mistake in how a middleware was called, if there is one. */
function wrongArguments(req: unknown, res: unknown, next: unknown): TypeError | undefined {
  if (isRequest(res)) {
    return new TypeError(
      'a guard or middleware of authkit-express was called with (ws, req, next), as app.ws() of express-ws does: ' +
        'call auth.authenticate(req) in the WebSocket handler, or protect the path with app.use(path, requireAuth()) ' +
        'before app.ws()',
    );
  }
  if (typeof next === 'function') return undefined;
  return new TypeError(
    'a guard or middleware of authkit-express was called without next: pass it to app.use() or to a route, such as ' +
      'app.get(path, requireAuth(), handler), or call it with (req, res, next)',
  );
}

/**
 * Reports a wrong call without throwing: in an async handler on Express 4 or Connect, or in plain `node:http`, an
 * exception would end the process.
 *
 * @returns `undefined` if there is a `next`, or else a promise that is never settled, so code after `await
 * requireAuth()(req, res)` does not run.
 */
function rejectCall(error: TypeError, req: unknown, res: unknown, next: unknown): unknown {
  if (isRequest(res)) refuseWebSocket(error, req);
  if (typeof next === 'function') {
    (next as Next)(error);
    return undefined;
  }
  // Express keeps the current `next` on the request.
  const { next: current } = (req ?? {}) as { next?: unknown };
  if (typeof current === 'function') (current as Next)(error);
  else {
    process.emitWarning(error.message, { code: 'AUTHKIT_WRONG_CALL' });
    endWithStatus500(res);
  }
  return new Promise(() => undefined);
}

/**
 * Closes a WebSocket. Without this, express-ws would ignore the error unless an error handler responds, and the socket
 * would stay open silently.
 */
function refuseWebSocket({ message }: TypeError, socket: unknown): void {
  process.emitWarning(message, { code: 'AUTHKIT_WRONG_CALL' });
  const { close } = (socket ?? {}) as { close?: unknown };
  // 1011 means that the server encountered an unexpected condition (RFC 6455 section 7.4.1).
  if (typeof close === 'function') (socket as { close: (code: number) => void }).close(1011);
}

function endWithStatus500(res: unknown): void {
  const { headersSent, end } = (res ?? {}) as Partial<Response>;
  if (typeof end !== 'function') return;
  if (!headersSent) (res as Response).statusCode = 500;
  (res as Response).end();
}
