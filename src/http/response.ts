import onHeaders from 'on-headers';
import type { Response } from './middleware.js';

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

/**
 * What must be in the head of a response whatever its handler does: `setHeader('Set-Cookie', …)` drops cookies that
 * were set before, and `express.static` writes its own `Cache-Control`. So both are settled as the head is written.
 */
export interface ResponseState {
  readonly res: Response;
  /** By cookie name. Asked as the head is written: a session that has ended meanwhile gives `undefined`. */
  cookies: Map<string, () => string | undefined> | undefined;
  /** Milliseconds by name; asked as the head is written. */
  timings: Map<string, () => number> | undefined;
  /** The answer depends on who asks: caches keep the answers to different cookies apart. */
  isPersonal: boolean;
  /** A guard let it through: no shared cache keeps it, and no cache serves it without asking. */
  isGuarded: boolean;
}

const responseStates = new WeakMap<Response, ResponseState>();

/** Adds or replaces one cookie of ours. `line` is a complete `Set-Cookie` value, asked for as late as possible. */
export function setCookie(res: Response, name: string, line: () => string | undefined): void {
  const cookies = (responseStateOf(res).cookies ??= new Map());
  cookies.delete(name);
  cookies.set(name, line);
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
  const lines = [...cookies].flatMap(([name, line]) => {
    const value = line();
    return value === undefined ? [] : [{ name, value }];
  });
  if (lines.length === 0) return false;
  const others = [res.getHeader('set-cookie') ?? []].flat().map(String);
  const kept = others.filter((other) => !lines.some(({ name }) => other.startsWith(`${name}=`)));
  res.setHeader('Set-Cookie', [...kept, ...lines.map(({ value }) => value)]);
  return true;
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
