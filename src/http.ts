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

/**
 * Whether something is a request. By its looks: to import a value of `node:http` makes Node load all that `http` has,
 * WebSocket included, which takes Node 22 as long as the rest of this package.
 */
export function isRequest(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'httpVersion' in value && 'rawHeaders' in value;
}

/** The request target as the client sent it, whatever mount path was stripped since. */
export function target(req: Request): string {
  return req.originalUrl ?? req.url ?? '/';
}

/** The query of the request, parsed here: `req.query` differs between frameworks and may hold objects. */
export function query(req: Request): URLSearchParams {
  const url = target(req);
  const start = url.indexOf('?');
  return new URLSearchParams(start === -1 ? '' : url.slice(start + 1).split('#', 1)[0]);
}

/** What the path of the request ends in, whatever mount path was stripped since. */
export function lastSegment(req: Request): string {
  const [path = ''] = target(req).split(/[?#]/, 1);
  return path.replace(/\/$/, '').split('/').at(-1) ?? '';
}

export function header(req: Request, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/**
 * Whether a browser will show the answer as a page.
 *
 * Fetch Metadata is the browser's word and decides where it is present; older browsers name `text/html` in `Accept`.
 */
export function isNavigation(req: Request): boolean {
  const mode = header(req, 'sec-fetch-mode');
  if (mode !== undefined && mode !== '') return mode === 'navigate';
  return header(req, 'x-requested-with') === undefined && accepts(req, 'text/html');
}

/** A page load: a navigation that a redirect can serve without losing a request body. */
export function isPageLoad(req: Request): boolean {
  return (req.method === 'GET' || req.method === 'HEAD') && isNavigation(req);
}

/** Whether the request itself says that a script sent it. Says nothing: curl, supertest, a form of an old browser. */
export function isScripted(req: Request): boolean {
  const mode = header(req, 'sec-fetch-mode');
  if (mode !== undefined && mode !== '') return mode !== 'navigate';
  if (header(req, 'x-requested-with') !== undefined) return true;
  return accepts(req, 'application/json') && !accepts(req, 'text/html');
}

/** Prefetch and prerender: the person has not asked for the page yet. */
export function isSpeculative(req: Request): boolean {
  return ['sec-purpose', 'purpose', 'x-moz'].some((name) => header(req, name) !== undefined);
}

/** Whether `Accept` names a type and does not refuse it (RFC 9110 section 12.4.2). */
function accepts(req: Request, type: string): boolean {
  const ranges = (header(req, 'accept') ?? '').toLowerCase().split(',');
  return ranges.some((range) => {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim());
    return name === type && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
  });
}

/** Adds `field` to `Vary` and keeps what is there. */
export function vary(res: Response, field: string): void {
  const present = res.getHeader('vary');
  if (present === undefined) {
    res.setHeader('Vary', field);
    return;
  }
  const current = [present].flat().map(String).join(', ');
  const named = current.split(',').map((name) => name.trim().toLowerCase());
  if (named.includes('*') || named.includes(field.toLowerCase())) return;
  res.setHeader('Vary', current === '' ? field : `${current}, ${field}`);
}

/** A redirect that no cache keeps. Only 302 and 303: a 307 would replay the body at another origin. */
export function redirect(res: Response, location: string, status: 302 | 303 = 302): 'sent' {
  res.statusCode = status;
  res.setHeader('Location', location);
  return noStore(res, '');
}

export function json(res: Response, status: number, body: object): 'sent' {
  res.statusCode = status;
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  return noStore(res, JSON.stringify(body));
}

export function noStore(res: Response, body: string): 'sent' {
  res.setHeader('Cache-Control', 'private, no-store');
  res.end(body);
  return 'sent';
}
