import onHeaders from 'on-headers';
import { vary, type Response } from './http.js';
import { createSlot } from './slot.js';

/**
 * What must be in the head of a response whatever its handler does: `setHeader('Set-Cookie', …)` drops cookies that
 * were set before, and `express.static` writes its own `Cache-Control`. So both are settled as the head is written.
 */
interface Head {
  /** By cookie name. Asked as the head is written: a session that has ended meanwhile gives `undefined`. */
  cookies: Map<string, () => string | undefined> | undefined;
  /** Milliseconds by name; asked as the head is written. */
  timings: Map<string, () => number> | undefined;
  /** The answer depends on who asks. */
  isPersonal: boolean;
  /** A guard let it through. */
  isGuarded: boolean;
}

const heads = createSlot<Response, Head>();

/** Adds or replaces one cookie of ours. `line` is a complete `Set-Cookie` value, asked for as late as possible. */
export function sendCookie(res: Response, name: string, line: () => string | undefined): void {
  const cookies = (headOf(res).cookies ??= new Map());
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
  const timings = (headOf(res).timings ??= new Map());
  if (!timings.has(name)) timings.set(name, () => took ?? performance.now() - started);
  return () => {
    took ??= performance.now() - started;
  };
}

/** Caches keep the answers to different cookies apart. */
export function markPersonal(res: Response): void {
  headOf(res).isPersonal = true;
}

/** No shared cache keeps it, and no cache serves it without asking. */
export function markGuarded(res: Response): void {
  const head = headOf(res);
  head.isPersonal = true;
  head.isGuarded = true;
}

function headOf(res: Response): Head {
  let head = heads.get(res);
  if (!head) {
    heads.set(res, (head = { cookies: undefined, timings: undefined, isPersonal: false, isGuarded: false }));
    onHeaders(res, settle);
  }
  return head;
}

function settle(this: Response): void {
  const { cookies, timings, isPersonal, isGuarded } = headOf(this);
  timings?.forEach((took, name) => this.appendHeader('Server-Timing', `${name};dur=${took().toFixed(2)}`));
  if (cookies && setCookies(this, cookies)) forbidStoring(this);
  else if (isGuarded && !isNeverStored(this)) this.setHeader('Cache-Control', 'private, no-cache');
  else if (!isPersonal) return;
  vary(this, 'Cookie');
}

/** @returns Whether there is one. */
function setCookies(res: Response, cookies: NonNullable<Head['cookies']>): boolean {
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
  if (!res.hasHeader('cache-control')) return false;
  return /(?:^|[\s,])no-store(?:$|[\s,])/i.test(String(res.getHeader('cache-control') ?? ''));
}

/** RFC 9213: a targeted field such as `CDN-Cache-Control` would outrank ours. */
function forbidStoring(res: Response): void {
  for (const name of res.getHeaderNames()) {
    if (name === 'expires' || name === 'surrogate-control' || name.endsWith('cdn-cache-control'))
      res.removeHeader(name);
  }
  res.setHeader('Cache-Control', 'private, no-store');
}
