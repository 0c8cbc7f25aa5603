import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request as `node:http` gives it, with what Express, Connect and `router` add when they strip a mount path. */
export interface Request extends IncomingMessage {
  originalUrl?: string;
}

export type Response = ServerResponse;

export type Next = (error?: unknown) => void;

/** What Express 4, Express 5, Connect 3 and `router` call a middleware. */
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: Next) => void;

/** How a handler ended: it answered, it lets the request pass, or it hands an error on. */
export type Outcome = 'sent' | 'next' | { readonly error: unknown };

export type Handler = (req: Request, res: Response) => Outcome | Promise<Outcome>;

/**
 * The one place where a handler of ours meets `next`.
 *
 * On Express 4 and Connect a rejection that nobody catches ends the process, so every promise ends here.
 * A handler that answers synchronously stays synchronous.
 */
export function middleware(handler: Handler): Middleware {
  return function authkitMiddleware(req, res, next) {
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
  next(isRealError(error) ? error : new TypeError('something was thrown that is no error', { cause: error }));
}

/**
 * Whether `next(value)` is an error to every framework. To a router, nothing, `'route'` and `'router'` mean to go on:
 * whoever throws or passes one of these would open a guard.
 */
export function isRealError(value: unknown): boolean {
  return Boolean(value) && value !== 'route' && value !== 'router';
}
