import onHeaders from 'on-headers';
import { vary, type Response } from './http.js';

/**
 * What must be in the head of a response whatever its handler does: `setHeader('Set-Cookie', …)` drops cookies that
 * were set before, and `express.static` writes its own `Cache-Control`. So both are settled as the head is written.
 */
interface Head {
  /** By cookie name. Asked as the head is written: a session that has ended meanwhile gives `undefined`. */
  readonly cookies: Map<string, () => string | undefined>;
  /** Milliseconds by name; asked as the head is written. */
  readonly timings: Map<string, () => number>;
  /** The answer depends on who asks. */
  isPersonal: boolean;
  /** A guard let it through. */
  isGuarded: boolean;
}

const heads = new WeakMap<Response, Head>();

/** Adds or replaces one cookie of ours. `line` is a complete `Set-Cookie` value, asked for as late as possible. */
export function sendCookie(res: Response, name: string, line: () => string | undefined): void {
  const { cookies } = headOf(res);
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
  const { timings } = headOf(res);
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
    const created: Head = { cookies: new Map(), timings: new Map(), isPersonal: false, isGuarded: false };
    heads.set(res, (head = created));
    onHeaders(res, () => {
      settle(res, created);
    });
  }
  return head;
}

function settle(res: Response, { cookies, timings, isPersonal, isGuarded }: Head): void {
  for (const [name, took] of timings) res.appendHeader('Server-Timing', `${name};dur=${took().toFixed(2)}`);
  const lines = [...cookies].flatMap(([name, line]) => {
    const value = line();
    return value === undefined ? [] : [{ name, value }];
  });
  if (lines.length > 0) {
    const others = [res.getHeader('set-cookie') ?? []].flat().map(String);
    const kept = others.filter((other) => !lines.some(({ name }) => other.startsWith(`${name}=`)));
    res.setHeader('Set-Cookie', [...kept, ...lines.map(({ value }) => value)]);
    forbidStoring(res);
  } else if (isGuarded && !isNeverStored(res)) {
    res.setHeader('Cache-Control', 'private, no-cache');
  }
  if (isPersonal || lines.length > 0) vary(res, 'Cookie');
}

function isNeverStored(res: Response): boolean {
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
