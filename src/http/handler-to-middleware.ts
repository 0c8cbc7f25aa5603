import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * A `node:http` request. Express, Connect and the `router` package add the `originalUrl` property, because they remove
 * the mount path from `url`.
 */
export interface Request extends IncomingMessage {
  originalUrl?: string;
}

export type Response = ServerResponse;

export type Next = (error?: unknown) => void;

/** Middleware for Express 4, Express 5, Connect 3 and the `router` package. */
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: Next) => void;

/** The outcome of a handler: it has sent the response, it lets the request continue, or it passes on an error. */
export type Outcome = 'sent' | 'next' | { readonly error: unknown };

export type Handler = (req: Request, res: Response) => Outcome | Promise<Outcome>;

/**
 * Turns a {@link Handler} into middleware, which calls `next` according to the outcome of the handler.
 *
 * Express 4 and Connect do not handle the promise that a handler returns, and an unhandled rejection ends the process.
 * Every promise is therefore handled here. If a handler returns synchronously, `next` is called synchronously.
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
 * continues as if there were no error. A guard that passed on such a value would let the request through.
 */
export function isRealError(value: unknown): boolean {
  return Boolean(value) && value !== 'route' && value !== 'router';
}

/**
 * Whether a value is a request. Checks the value's properties instead of using `instanceof`, which would require an
 * import from `node:http`. Node would then load the whole module, including WebSocket. On Node 22, that takes as long
 * as loading the rest of this package.
 */
export function isRequest(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'httpVersion' in value && 'rawHeaders' in value;
}

/** Returns an error if middleware was called with the wrong arguments, otherwise `undefined`. */
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
 * Reports that middleware was called with the wrong arguments. The error is not thrown, because an exception would end
 * the process in plain `node:http`, and in an async handler on Express 4 or Connect.
 *
 * @returns `undefined` if `next` was passed. Otherwise a promise that never settles, so code after `await
 * requireAuth()(req, res)` does not run.
 */
function rejectCall(error: TypeError, req: unknown, res: unknown, next: unknown): unknown {
  if (isRequest(res)) refuseWebSocket(error, req);
  if (typeof next === 'function') {
    (next as Next)(error);
    return undefined;
  }
  // Express stores the current `next` function on the request.
  const { next: current } = (req ?? {}) as { next?: unknown };
  if (typeof current === 'function') (current as Next)(error);
  else {
    process.emitWarning(error.message, { code: 'AUTHKIT_WRONG_CALL' });
    endWithStatus500(res);
  }
  return new Promise(() => undefined);
}

/**
 * Closes a WebSocket and warns about the wrong call. express-ws ignores the error unless an error handler responds.
 * Without this function, the socket could therefore stay open and the mistake could go unnoticed.
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
