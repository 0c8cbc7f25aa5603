import onHeaders from 'on-headers';
import type { Response } from './middleware.js';
import { trimOWS } from './request.js';

/** Adds `field` to `Vary` and keeps what is there. */
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

/**
 * What must be in the head of a response whatever its handler does: `setHeader('Set-Cookie', …)` drops cookies that
 * were set before, and `express.static` writes its own `Cache-Control`. So both are settled as the head is written.
 */
export interface ResponseState {
  readonly res: Response;
  /** By id: the name of a cookie, and its scope where two cookies of one name are written. */
  cookies: Map<string, PendingCookie> | undefined;
  /** Milliseconds by name; asked as the head is written. */
  timings: Map<string, () => number> | undefined;
  /** The answer depends on who asks: caches keep the answers to different cookies apart. */
  isPersonal: boolean;
  /** A guard let it through: no shared cache keeps it, and no cache serves it without asking. */
  isGuarded: boolean;
}

type Position = 'first' | 'middle' | 'last';

const POSITIONS: readonly Position[] = ['first', 'middle', 'last'];

interface PendingCookie {
  /** Called as the head is written: a session that has ended meanwhile gives `undefined`. */
  readonly line: () => string | undefined;
  readonly position: Position;
}

const responseStates = new WeakMap<Response, ResponseState>();

/**
 * Adds or replaces one cookie of this package.
 *
 * @param line Returns a complete `Set-Cookie` value; called as the head is written.
 * @param position The session is the last one, because a platform that keeps one `Set-Cookie` of several mostly keeps
 * the last; the marker that detects the loss of the session is the first, for one that keeps the first.
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
 * Tells in `Server-Timing` (W3C) how long something took, or has taken by the time the head is written. The first of
 * a name counts.
 *
 * @returns Stops the clock.
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
  if (!state) responseStates.set(res, (state = createHead(res)));
  return state;
}

function createHead(res: Response): ResponseState {
  const head = { res, cookies: undefined, timings: undefined, isPersonal: false, isGuarded: false };
  onHeaders(res, () => {
    settle(head);
  });
  return head;
}

function settle({ res, cookies, timings, isPersonal, isGuarded }: ResponseState): void {
  timings?.forEach((took, name) => res.appendHeader('Server-Timing', `${name};dur=${took().toFixed(2)}`));
  if (cookies && setCookies(res, cookies)) forbidStoring(res);
  else if (isGuarded && !isNeverStored(res)) res.setHeader('Cache-Control', 'private, no-cache');
  else if (!isPersonal && !isGuarded) return;
  vary(res, 'Cookie');
}

/** @returns Whether there is one. */
function setCookies(res: Response, cookies: NonNullable<ResponseState['cookies']>): boolean {
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

function isNeverStored(res: Response): boolean {
  const value = res.getHeader('cache-control');
  return value !== undefined && /(?:^|[\s,])no-store(?:$|[\s,])/i.test(String(value));
}

/** RFC 9213: a targeted field such as `CDN-Cache-Control` would outrank ours. */
function forbidStoring(res: Response): void {
  for (const name of res.getHeaderNames()) {
    if (name === 'expires' || name === 'surrogate-control' || name.endsWith('cdn-cache-control'))
      res.removeHeader(name);
  }
  res.setHeader('Cache-Control', 'private, no-store');
}
