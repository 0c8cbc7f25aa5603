import { withDeadline } from '../deadline.js';
import { unavailable } from '../errors.js';
import { expiringMap } from '../expiring-map.js';
import type { ApiResult } from './api-client.js';

/** The maximum number of entries in each cache. */
const MAX_ENTRIES = 10_000;

/** After a failed lookup, an outdated result is used for this many milliseconds before the next lookup. */
const RETRY = 10_000;

/**
 * Looks up a user or an API key at WorkOS. Returns the cached result if it is current. Otherwise, returns a promise,
 * which never rejects. Concurrent lookups with the same key share one call.
 */
export type CachedLookup<T> = (key: string) => ApiResult<T> | Promise<ApiResult<T>>;

export interface CachedLookupOptions<T> {
  /** Returns the cache key for a user ID or API key. The cache key of a secret value is its hash. */
  nameOf: (key: string) => string;
  /**
   * Asks WorkOS for the user or API key that is identified by `key`.
   *
   * @param isKnown Whether an older `ok` result can still be used.
   */
  ask: (key: string, isKnown: boolean) => Promise<ApiResult<T>>;
  /** How long `ok` and `refused` results are cached, in milliseconds. */
  maxAge: number;
  /** How long an `ok` result can still be used after `maxAge`, in milliseconds, while WorkOS is unavailable. */
  staleIfError: number;
  /** How long a request waits for a new result, in milliseconds, if an older result can still be used. */
  softTimeout: number;
  now: () => number;
}

type Ok<T> = Extract<ApiResult<T>, { kind: 'ok' }>;
type Refused = Extract<ApiResult<never>, { kind: 'refused' }>;

interface KnownValue<T> {
  readonly answer: Ok<T>;
  readonly staleUntil: number;
  freshUntil: number;
}

/**
 * Creates a lookup with a cache. Refused keys have a separate cache, so that they cannot evict valid keys. A
 * successful answer without an ID counts as `unavailable`.
 */
export function createCachedLookup<T extends { id: string }>(
  options: CachedLookupOptions<T>,
): CachedLookup<T> {
  const { nameOf, ask, maxAge, staleIfError, softTimeout, now } = options;
  const known = expiringMap<KnownValue<T>>({ max: MAX_ENTRIES, now });
  const refusals = expiringMap<Refused>({ max: MAX_ENTRIES, ttl: maxAge, now });
  const inFlight = new Map<string, Promise<ApiResult<T>>>();

  const load = async (key: string, id: string, old: KnownValue<T> | undefined): Promise<ApiResult<T>> => {
    const answer = withId(await ask(key, old !== undefined));
    inFlight.delete(id);
    if (answer.kind === 'unavailable') {
      if (old) old.freshUntil = now() + RETRY;
      return answer;
    }
    if (answer.kind === 'refused') {
      known.delete(id);
      refusals.set(id, answer);
      return answer;
    }
    const freshUntil = now() + maxAge;
    known.set(id, { answer, freshUntil, staleUntil: freshUntil + staleIfError });
    return answer;
  };
  return (key) => {
    const id = nameOf(key);
    const found = known.get(id);
    const old = found && now() < found.staleUntil ? found : undefined;
    if (old && now() < old.freshUntil) return old.answer;
    const refusal = refusals.get(id);
    if (refusal) return refusal;
    let pending = inFlight.get(id);
    if (!pending) inFlight.set(id, (pending = load(key, id, old)));
    if (!old) return pending;
    return withDeadline(softTimeout, pending).then((newer) =>
      newer === undefined || newer.kind === 'unavailable' ? old.answer : newer,
    );
  };
}

/** Turns a successful result into `unavailable` if it does not contain the ID of the user or API key. */
function withId<T extends { id: string }>(answer: ApiResult<T>): ApiResult<T> {
  if (answer.kind !== 'ok') return answer;
  const { id } = answer.value as { id?: unknown };
  if (typeof id === 'string' && id !== '') return answer;
  return { kind: 'unavailable', error: unavailable('the answer of WorkOS has no id') };
}
