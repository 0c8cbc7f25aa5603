import { AuthKitError } from '../errors.js';
import type { Request } from './middleware.js';

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

/**
 * Removes optional whitespace around a value: SP and HTAB only (RFC 9110 section 5.6.3).
 *
 * `String.prototype.trim` also removes U+00A0 and others. Node reads headers as latin1, so the byte A0 in front of a
 * cookie's name would turn it into another cookie, one whose prefix no browser has checked.
 */
export function trimOWS(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isOWS(text[start])) start += 1;
  while (end > start && isOWS(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

function isOWS(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

/** Whether `Accept` names a type and does not refuse it (RFC 9110 section 12.4.2). */
function accepts(req: Request, type: string): boolean {
  const ranges = (header(req, 'accept') ?? '').toLowerCase().split(',');
  return ranges.some((range) => {
    const [name = '', ...parameters] = range.split(';').map(trimOWS);
    return name === type && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
  });
}

/**
 * The one value of a parameter that has several spellings.
 *
 * @throws {AuthKitError} `invalid_request` if it is repeated (RFC 6749 section 3.1).
 */
export function single(params: URLSearchParams, ...names: readonly string[]): string | undefined {
  const values = [...new Set(names)].flatMap((name) => params.getAll(name));
  if (values.length > 1) throw new AuthKitError('invalid_request', `${names[0] ?? ''} is repeated`);
  return values[0] === '' ? undefined : values[0];
}

/**
 * Whether a browser says that another site sent this request, riding on a cookie of ours: Fetch Metadata where it is
 * present, else `Origin`. A client that sends neither is no browser of today, and nobody can make it send a cookie.
 *
 * @param trusted Other origins that may.
 */
export function isCrossSite(req: Request, own: string, trusted: readonly string[]): boolean {
  const site = header(req, 'sec-fetch-site');
  const origin = header(req, 'origin');
  if (origin !== undefined && trusted.includes(origin)) return false;
  if (site === undefined || site === '') return origin !== undefined && origin !== own;
  return site !== 'same-origin' && site !== 'none';
}

/** RFC 9110 section 9.2.1: what a safe method does, another site may ask for. */
export function isSafeMethod({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}
