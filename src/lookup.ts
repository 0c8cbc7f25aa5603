import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { withDeadline } from './keys.js';
import type { ApiResult } from './workos.js';

const MAX_ENTRIES = 10_000;
/** While a stale answer serves, WorkOS is tried this often, in milliseconds. */
const RETRY = 10_000;

export interface LookupOptions<T> {
  ask: (key: string) => Promise<ApiResult<T>>;
  /** Yes and no are both remembered this long, in milliseconds. */
  maxAge: number;
  /** A yes serves this much longer while WorkOS cannot be asked, in milliseconds. */
  staleIfError: number;
  /** How long a request waits for a newer answer while a stale one would do, in milliseconds. */
  softTimeout: number;
  now: () => number;
}

type Settled<T> = Exclude<ApiResult<T>, { kind: 'unavailable' }>;

interface Entry<T> {
  answer?: Settled<T>;
  freshUntil: number;
  staleUntil: number;
  inFlight?: Promise<ApiResult<T>> | undefined;
}

/** Asks WorkOS about a key once for all who want to know, and remembers the answer for a while. Never rejects. */
export type CachedLookup<T> = (key: string) => ApiResult<T> | Promise<ApiResult<T>>;

export function createCachedLookup<T>({
  ask,
  maxAge: fresh,
  staleIfError: stale,
  softTimeout: softTimeout,
  now,
}: LookupOptions<T>): CachedLookup<T> {
  const entries = new LRUCache<string, Entry<T>>({ max: MAX_ENTRIES });

  const load = async (key: string, entry: Entry<T>): Promise<ApiResult<T>> => {
    const answer = await ask(key);
    entry.inFlight = undefined;
    if (answer.kind === 'unavailable') {
      entry.freshUntil = now() + (entry.answer ? RETRY : 0);
      return answer;
    }
    entry.answer = answer;
    entry.freshUntil = now() + fresh;
    entry.staleUntil = entry.freshUntil + (answer.kind === 'ok' ? stale : 0);
    return answer;
  };
  return (key) => {
    // By a hash: the key may be a secret.
    const id = createHash('sha256').update(key).digest('base64url');
    const entry = entries.get(id) ?? { freshUntil: -Infinity, staleUntil: -Infinity };
    entries.set(id, entry);
    const { answer } = entry;
    const isUsable = answer !== undefined && now() < entry.staleUntil;
    if (answer && now() < entry.freshUntil && now() < entry.staleUntil) return answer;
    const pending = (entry.inFlight ??= load(key, entry));
    if (!isUsable) return pending;
    return withDeadline(softTimeout, pending).then((newer) => {
      const { kind } = (newer ?? { kind: 'unavailable' }) as { kind: ApiResult<T>['kind'] };
      return kind === 'unavailable' ? answer : (newer as ApiResult<T>);
    });
  };
}
