import onHeaders from 'on-headers';
import { log } from '../diagnostics.js';
import type { Request, Response } from './handler-to-middleware.js';
import { isNavigation, isWebSocketUpgrade, trimOWS } from './request.js';
import { perObjectState } from '../per-object-state.js';

/** Adds `field` to the `Vary` header. Fields that are already in the header are kept. */
export function vary(res: Response, field: string): void {
  const present = res.getHeader('vary');
  if (present === undefined) {
    res.setHeader('Vary', field);
    return;
  }
  const current = [present].flat().map(String).join(', ');
  const named = current.split(',').map((name) => trimOWS(name).toLowerCase());
  if (named.includes('*') || named.includes(field.toLowerCase())) return;
  res.setHeader('Vary', current === '' ? field : `${current}, ${field}`);
}

/**
 * Sends a redirect that caches must not store. The status is 302 or 303: with 307, the browser would send the request
 * body to the new location.
 */
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

/** Ends the response and prevents all caches from storing it, regardless of the headers that other middleware sets. */
export function noStore(res: Response, body: string): 'sent' {
  responseStateOf(res).isNoStore = true;
  removeFields(res, OTHER_CACHING);
  res.setHeader('Cache-Control', 'private, no-store');
  res.end(body);
  return 'sent';
}

/**
 * The state that determines which headers this package adds to a response. They are added when the head is written,
 * because until then the handler can still replace them. For example, `setHeader('Set-Cookie', …)` drops cookies that
 * were set earlier, and `express.static` sets its own `Cache-Control`.
 */
export interface ResponseState {
  readonly res: Response;
  /**
   * The cookies to set, by ID. The ID is the name of the cookie. If a host-only cookie with the same name is cleared as
   * well, its ID is the name with a suffix.
   */
  cookies: Map<string, PendingCookie> | undefined;
  /**
   * Functions that return the duration of a timer in milliseconds, by the name of the timer. They are called when the
   * head is written.
   */
  timings: Map<string, () => number> | undefined;
  /** Whether this package sends the response itself. If so, no cache may store the response. */
  isNoStore: boolean;
  /**
   * Whether the response depends on the user. If so, caches must store a separate response for each `Cookie` header.
   */
  isPersonal: boolean;
  /**
   * Whether the request has reached a guard. If so, shared caches must not store the response, and private caches must
   * revalidate it.
   */
  isGuarded: boolean;
  /**
   * Whether the guarded request is a navigation. If so, browsers must not show the stored page again after a sign-out.
   */
  isGuardedPage: boolean;
  /**
   * The value of the `Cache-Control` header before the guard ran. If the header has a different value later, the
   * handler has changed it.
   */
  cacheControlBefore: string | undefined;
  /**
   * Whether earlier middleware has replaced `writeHead`. Such middleware can change headers after this package has
   * added its headers.
   */
  readonly hasInnerWriteHead: boolean;
}

type Position = 'first' | 'middle' | 'last';

const POSITIONS: readonly Position[] = ['first', 'middle', 'last'];

interface PendingCookie {
  /**
   * Returns the complete `Set-Cookie` value, or `undefined` if the cookie must no longer be set or cleared. This
   * function is called when the head is written.
   */
  readonly line: () => string | undefined;
  readonly position: Position;
}

const responseStates = perObjectState<ResponseState>();

/**
 * Adds a cookie of this package to the response, or replaces the cookie that was added with the same `id`.
 *
 * @param line Returns the complete `Set-Cookie` value, or `undefined` to leave the cookie out. Called when the head is
 * written.
 * @param position The position among this package's `Set-Cookie` headers. Some platforms keep only one `Set-Cookie`
 * header of a response. Most of them keep the last one, so the session cookie is `last`. The others keep the first one,
 * so the sign-in marker, which detects that the session cookie was lost, is `first`.
 */
export function setCookie(
  res: Response,
  id: string,
  line: () => string | undefined,
  position: Position = 'middle',
): void {
  const cookies = (responseStateOf(res).cookies ??= new Map<string, PendingCookie>());
  cookies.delete(id);
  cookies.set(id, { line, position });
}

/**
 * Starts a timer whose result is added to the `Server-Timing` response header (W3C). If the timer is still running when
 * the response headers are written, the time elapsed so far is used. If several timers have the same name, only the
 * result of the first one is added.
 *
 * @returns A function that stops the timer.
 */
export function startTimer(res: Response, name: string): () => void {
  const started = performance.now();
  let took: number | undefined;
  const timings = (responseStateOf(res).timings ??= new Map());
  if (!timings.has(name)) timings.set(name, () => took ?? performance.now() - started);
  return () => {
    took ??= performance.now() - started;
  };
}

export function responseStateOf(res: Response): ResponseState {
  let state = responseStates.get(res);
  if (!state) responseStates.set(res, (state = createResponseState(res)));
  return state;
}

function createResponseState(res: Response): ResponseState {
  const state: ResponseState = {
    res,
    cookies: undefined,
    timings: undefined,
    isNoStore: false,
    isPersonal: false,
    isGuarded: false,
    isGuardedPage: false,
    cacheControlBefore: undefined,
    hasInnerWriteHead: Object.hasOwn(res, 'writeHead'),
  };
  // An object without `writeHead`, such as the `{}` that an application passes for a WebSocket upgrade, cannot have
  // headers.
  if (hasHead(res)) {
    onHeaders(res, () => {
      addHeaders(state);
    });
  }
  return state;
}

function hasHead(res: Partial<Response>): boolean {
  return (
    typeof res.writeHead === 'function' &&
    typeof res.setHeader === 'function' &&
    typeof res.getHeader === 'function'
  );
}

/**
 * Whether a cookie that is set now will reach the client. If it will not, sessions must not be refreshed: a refresh
 * token can be used only once, and the new one would be lost.
 *
 * The result is false for an accepted WebSocket upgrade, because the WebSocket library sends the response: `ws` ignores
 * the response that express-ws or an application creates, and socket.io joins several cookies into one header.
 */
export function canSetCookie(req: Request, res: Response): boolean {
  const isUpgraded = isWebSocketUpgrade(req) && (req as { upgrade?: boolean }).upgrade !== false;
  return !isUpgraded && hasHead(res) && !res.headersSent;
}

/**
 * Marks a response as guarded. This function is called when a guard starts, before the guard accepts or denies the
 * request.
 */
export function markGuarded(state: ResponseState, req: Request): void {
  if (state.isGuarded) return;
  state.isGuarded = true;
  state.isGuardedPage = isNavigation(req);
  state.cacheControlBefore = hasHead(state.res) ? cacheControlOf(state.res) : undefined;
}

/**
 * Adds the headers that the state requires. Exceptions are logged and not thrown, because they would surface in the
 * application code that called `writeHead`.
 */
function addHeaders(state: ResponseState): void {
  try {
    const { res, timings, hasInnerWriteHead } = state;
    if (timings) addServerTiming(res, timings);
    const isFinal = addCookiesAndCaching(state);
    if (isFinal && hasInnerWriteHead) keepCookiesAndCaching(state);
  } catch (error) {
    log('response', { error: String(error) });
  }
}

/** @returns Whether cookies or caching headers were added. */
function addCookiesAndCaching(state: ResponseState): boolean {
  const { res, cookies, isNoStore, isPersonal, isGuarded } = state;
  const hasCookies = cookies !== undefined && addCookies(res, cookies);
  const dependsOnUser = hasCookies || isPersonal || isGuarded;
  if (!dependsOnUser && !isNoStore) return false;
  const isUncached = hasCookies || isNoStore || isGuarded;
  removeFields(res, isUncached ? OTHER_CACHING : TARGETED);
  if (isUncached) {
    res.setHeader('Cache-Control', hasCookies || isNoStore ? 'private, no-store' : cacheControlFor(state));
  }
  if (dependsOnUser) vary(res, 'Cookie');
  return true;
}

/** The methods that change headers. Node's `setHeaders` and `writeHead` call these methods too. */
const SETTERS = ['setHeader', 'appendHeader', 'removeHeader'] as const;

/**
 * Prevents other middleware from changing cookies and caching headers while `writeHead` is still running. Middleware
 * that uses `on-headers` replaces `writeHead`, and the last replacement runs first. Middleware that was mounted before
 * this package can therefore change the headers that this package has added. Such middleware must not make the response
 * public or drop the cookie of a refreshed session.
 */
function keepCookiesAndCaching(state: ResponseState): void {
  const { res } = state;
  let isAdding = false;
  for (const name of SETTERS) {
    const original = (res as Partial<Response>)[name] as ((...args: unknown[]) => unknown) | undefined;
    if (typeof original !== 'function') continue;
    const replaced = (...args: unknown[]) => {
      const result = original.apply(res, args);
      if (isAdding || !decidesCaching(args[0])) return result;
      isAdding = true;
      try {
        addCookiesAndCaching(state);
      } catch (error) {
        log('response', { error: String(error) });
      }
      isAdding = false;
      return result;
    };
    Object.defineProperty(res, name, { value: replaced, configurable: true, writable: true });
  }
  returnCopies(res);
}

/** Makes `getHeader` return a copy of a list, so that modifying the list does not drop a cookie. */
function returnCopies(res: Partial<Response>): void {
  const { getHeader } = res;
  if (typeof getHeader !== 'function') return;
  const replaced = (name: string) => {
    const value = getHeader.call(res, name);
    return Array.isArray(value) ? [...value] : value;
  };
  Object.defineProperty(res, 'getHeader', { value: replaced, configurable: true, writable: true });
}

function decidesCaching(name: unknown): boolean {
  return (
    typeof name === 'string' &&
    (/^(?:set-cookie|cache-control|expires|vary)$/i.test(name) || TARGETED.test(name))
  );
}

function addServerTiming(res: Response, timings: NonNullable<ResponseState['timings']>): void {
  const others = [res.getHeader('server-timing') ?? []].flat().map(String);
  const ours = [...timings].map(([name, took]) => `${name};dur=${took().toFixed(2)}`);
  res.setHeader('Server-Timing', [...others, ...ours]);
}

/** @returns Whether a cookie was added. */
function addCookies(res: Response, cookies: NonNullable<ResponseState['cookies']>): boolean {
  const pending = [...cookies.values()].sort(
    (a, b) => POSITIONS.indexOf(a.position) - POSITIONS.indexOf(b.position),
  );
  const lines = pending.map(({ line }) => line()).filter((line) => line !== undefined);
  if (lines.length === 0) return false;
  const names = new Set(lines.map(cookieName));
  const others = [res.getHeader('set-cookie') ?? []].flat().map(String);
  res.setHeader('Set-Cookie', [...others.filter((other) => !names.has(cookieName(other))), ...lines]);
  return true;
}

function cookieName(line: string): string {
  return line.slice(0, line.indexOf('='));
}

/**
 * Returns the `Cache-Control` value for a guarded response.
 *
 * - A value that contains `no-store`, but neither `public` nor `must-understand`, stays as it is.
 * - Any other value that contains `no-store` becomes `private, no-store`.
 * - A page gets `private, no-store` if the handler has not set `Cache-Control`, or has set a value that contains
 *   `public` or `must-understand`. Without `no-store`, Firefox shows the page from its back/forward cache after a
 *   sign-out.
 * - All other responses get `private, no-cache`.
 */
function cacheControlFor({ res, isGuardedPage, cacheControlBefore }: ResponseState): string {
  const current = cacheControlOf(res);
  // A cache that supports `must-understand` ignores `no-store` in the same header (RFC 9111 section 5.2.2.3).
  const isPublic = hasDirective(current, 'public') || hasDirective(current, 'must-understand');
  if (hasDirective(current, 'no-store')) return isPublic ? 'private, no-store' : (current as string);
  const isChosen = current !== undefined && current !== cacheControlBefore && !isPublic;
  return isGuardedPage && !isChosen ? 'private, no-store' : 'private, no-cache';
}

function cacheControlOf(res: Response): string | undefined {
  const value = res.getHeader('cache-control');
  return value === undefined ? undefined : String(value);
}

function hasDirective(value: string | undefined, name: string): boolean {
  return (
    value !== undefined &&
    value
      .toLowerCase()
      .split(/[\s,]+/)
      .includes(name)
  );
}

/**
 * Matches the names of targeted cache-control fields (RFC 9213 section 2.1), and of similar fields that some CDNs use.
 */
const TARGETED = /-cache-control$|(?:^|-)(?:surrogate-control|edge-control|x-accel-expires)$/i;

/** Matches the names of all fields other than `Cache-Control` that let a cache store a response. */
const OTHER_CACHING = new RegExp(`^expires$|${TARGETED.source}`, 'i');

/** The fields that are removed if the response object cannot list its headers. */
const KNOWN = [
  'expires',
  'surrogate-control',
  'edge-control',
  'x-accel-expires',
  'cdn-cache-control',
  'cloudflare-cdn-cache-control',
  'vercel-cdn-cache-control',
  'netlify-cdn-cache-control',
  'akamai-cache-control',
];

/**
 * Removes the header fields whose names match `names`, such as `CDN-Cache-Control`. A cache that obeys a targeted field
 * ignores `Cache-Control` (RFC 9213).
 */
function removeFields(res: Partial<Response>, names: RegExp): void {
  const { getHeaderNames, removeHeader } = res;
  if (typeof removeHeader !== 'function') return;
  for (const name of typeof getHeaderNames === 'function' ? getHeaderNames.call(res) : KNOWN) {
    if (names.test(name)) removeHeader.call(res, name);
  }
}
