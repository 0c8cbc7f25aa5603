import onHeaders from 'on-headers';
import { log } from '../events.js';
import type { Request, Response } from './handler-to-middleware.js';
import { isNavigation, isWebSocketUpgrade, trimOWS } from './request.js';
import { perObjectState } from './per-request-state.js';

/** Adds `field` to the `Vary` header and keeps the fields that are already in it. */
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
 * Sends a redirect that caches do not store. The status must be 302 or 303, because with 307 the browser would send the
 * request body to the new location.
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

/** Ends a response that no cache may store, whatever headers other middleware sets. */
export function noStore(res: Response, body: string): 'sent' {
  responseStateOf(res).isNoStore = true;
  removeTargetedFields(res);
  removeHeader(res, 'Expires');
  res.setHeader('Cache-Control', 'private, no-store');
  res.end(body);
  return 'sent';
}

/**
 * The headers that a response must have, whatever its handler does. They are added when the head is written, because a
 * handler could replace them until then: `setHeader('Set-Cookie', …)` drops the cookies that were set before, and
 * `express.static` writes its own `Cache-Control`.
 */
export interface ResponseState {
  readonly res: Response;
  /** The cookies to set, by name. If two cookies with the same name are set, the key also contains the scope. */
  cookies: Map<string, PendingCookie> | undefined;
  /**
   * Functions that return a duration in milliseconds, by the name of the timer. They are called when the head is
   * written.
   */
  timings: Map<string, () => number> | undefined;
  /** This package sends the response itself, so no cache may store it. */
  isNoStore: boolean;
  /** The response depends on the user, so caches must keep the responses to different cookies apart. */
  isPersonal: boolean;
  /**
   * The request has reached a guard, so shared caches must not store the response, and private caches must revalidate
   * it.
   */
  isGuarded: boolean;
  /** The guarded request is a navigation, so browsers must not show the page again after a sign-out. */
  isGuardedPage: boolean;
  /**
   * The `Cache-Control` header as it was before the guard ran. If the value is different later, the handler has set it.
   */
  cacheControlBefore: string | undefined;
  /** Whether earlier middleware replaced `writeHead`, and so may change headers after this package. */
  readonly hasInnerWriteHead: boolean;
}

type Position = 'first' | 'middle' | 'last';

const POSITIONS: readonly Position[] = ['first', 'middle', 'last'];

interface PendingCookie {
  /**
   * Returns the complete `Set-Cookie` value, or `undefined` if the session has ended in the meantime. Called when the
   * head is written.
   */
  readonly line: () => string | undefined;
  readonly position: Position;
}

const responseStates = perObjectState<ResponseState>('authkit-express.responseState');

/**
 * Adds or replaces one cookie of this package.
 *
 * @param line Returns the complete `Set-Cookie` value. It is called when the head is written.
 * @param position The position among all `Set-Cookie` headers. Some platforms keep only one of them. Most of these keep
 * the last, so the session cookie is `last`. Others keep the first, so the marker that detects the loss of the session
 * is `first`.
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
 * Starts a timer that the `Server-Timing` header (W3C) reports. If the timer has not been stopped when the head is
 * written, the time until then is reported. If a name is used twice, the first timer is reported.
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
  // An object without `writeHead`, such as the `{}` that is passed for a WebSocket upgrade, has no head.
  if (hasHead(res)) {
    onHeaders(res, () => {
      addHeaders(state);
    });
  }
  return state;
}

function hasHead(res: Partial<Response>): boolean {
  return [res.writeHead, res.setHeader, res.getHeader].every((method) => typeof method === 'function');
}

/**
 * Whether a cookie that is set now reaches the client. If it does not, sessions must not be refreshed: a refresh token
 * can be used only once, and the new one would be lost.
 *
 * An accepted WebSocket upgrade is answered by the WebSocket library and not by a response object: `ws` ignores the
 * response that express-ws or an application creates, and socket.io joins several cookies into one header.
 */
export function canSetCookie(req: Request, res: Response): boolean {
  const isUpgraded = isWebSocketUpgrade(req) && (req as { upgrade?: boolean }).upgrade !== false;
  return !isUpgraded && hasHead(res) && !res.headersSent;
}

/**
 * Marks a response as guarded. This is called when a guard starts, before it is known whether the guard accepts the
 * request.
 */
export function markGuarded(state: ResponseState, req: Request): void {
  if (state.isGuarded) return;
  state.isGuarded = true;
  state.isGuardedPage = isNavigation(req);
  state.cacheControlBefore = hasHead(state.res) ? cacheControlOf(state.res) : undefined;
}

/**
 * Adds the headers that the state requires. Exceptions are only logged: the application has called `writeHead`, so an
 * exception would surface in the application's code.
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

/** @returns Whether the response has cookies of this package, or rules for caches. */
function addCookiesAndCaching(state: ResponseState): boolean {
  const { res, cookies, isNoStore, isPersonal, isGuarded } = state;
  const hasCookies = cookies !== undefined && addCookies(res, cookies);
  const dependsOnUser = hasCookies || isPersonal || isGuarded;
  if (!dependsOnUser && !isNoStore) return false;
  removeTargetedFields(res);
  if (hasCookies || isNoStore || isGuarded) {
    removeHeader(res, 'Expires');
    res.setHeader('Cache-Control', hasCookies || isNoStore ? 'private, no-store' : cacheControlFor(state));
  }
  if (dependsOnUser) vary(res, 'Cookie');
  return true;
}

/** The methods that change headers. Node's `setHeaders` and `writeHead` call them too. */
const SETTERS = ['setHeader', 'appendHeader', 'removeHeader'] as const;

/**
 * Keeps other middleware from changing cookies and caching headers while `writeHead` continues. Each middleware that
 * uses `on-headers` replaces `writeHead`, and the last replacement runs first, so middleware that was mounted before
 * this package runs after it. That middleware must not make the response public or drop a refreshed session.
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

/** Makes `getHeader` return a copy of a list, so that a change to the list itself does not drop a cookie. */
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

/** @returns Whether there is a cookie to set. */
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
 * `Cache-Control` of a guarded response.
 *
 * A page is `no-store`, because Firefox would otherwise show it from its back/forward cache after a sign-out. If the
 * handler sets `Cache-Control` itself, the page is `no-cache` instead, unless the handler asks for `public`.
 */
function cacheControlFor({ res, isGuardedPage, cacheControlBefore }: ResponseState): string {
  const current = cacheControlOf(res);
  const isPublic = hasDirective(current, 'public');
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

/** The names of targeted cache-control fields (RFC 9213 section 2.1), and of similar fields that some CDNs use. */
const TARGETED = /-cache-control$|(?:^|-)(?:surrogate-control|edge-control|x-accel-expires)$/i;

/** The names of targeted fields that are removed from a response that cannot list its headers. */
const KNOWN = [
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
 * Removes targeted fields. A cache that obeys a targeted field, such as `CDN-Cache-Control`, ignores `Cache-Control`
 * (RFC 9213).
 */
function removeTargetedFields(res: Response): void {
  const { getHeaderNames } = res as Partial<Response>;
  const names = typeof getHeaderNames === 'function' ? getHeaderNames.call(res) : KNOWN;
  for (const name of names) {
    if (TARGETED.test(name)) removeHeader(res, name);
  }
}

function removeHeader(res: Partial<Response>, name: string): void {
  if (typeof res.removeHeader === 'function') res.removeHeader(name);
}
