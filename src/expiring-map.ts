import { LRUCache } from 'lru-cache';
import { ownProperties } from './own-properties.js';

export interface ExpiringMapOptions<V extends object | number | true> {
  /** Maximum number of entries; the least recently used is evicted first. Default: no limit other than `size`. */
  max?: number;
  /**
   * Milliseconds until an entry expires, unless `set` is given a different lifetime. Default: entries do not expire.
   */
  ttl?: number;
  /** The current time in milliseconds, since the epoch or from a monotonic clock. */
  now: () => number;
  /** Also limits the total size of all entries. An entry that is larger than `max` is not stored. */
  size?: { max: number; of: (value: V, key: string) => number };
  /** Called with the key of each entry that is evicted before it expires. */
  onEvict?: (key: string) => void;
}

/** A map with string keys whose entries expire. Every cache of this package is one. */
export type ExpiringMap<V extends object | number | true> = Pick<
  LRUCache<string, V>,
  'get' | 'has' | 'delete' | 'clear' | 'size' | 'calculatedSize' | 'purgeStale'
> & {
  set: (key: string, value: V, options?: { ttl?: number }) => unknown;
};

/**
 * Creates an expiring map.
 *
 * @example
 * const spentCodes = expiringMap<true>({ max: 10_000, ttl: 60_000, now: Date.now });
 */
export function expiringMap<V extends object | number | true>(
  options: ExpiringMapOptions<V>,
): ExpiringMap<V> {
  const { max, ttl, now, size, onEvict } = options;
  const limits = {
    ...(size && max !== undefined ? { max } : {}),
    ...(ttl === undefined ? {} : { ttl }),
    ...limitOf(size ?? { max, of: () => 1 }),
  } as LRUCache.OptionsMaxLimit<string, V, unknown>;
  return new OwnOptionsCache<V>({
    ...limits,
    // Expiry is exact to the millisecond of the clock that is passed in, so that tests can advance it.
    ttlResolution: 0,
    perf: { now },
    ...(onEvict && {
      dispose: (_value: V, key: string, reason: LRUCache.DisposeReason) => {
        if (reason === 'evict') onEvict(key);
      },
    }),
  });
}

/** Passed to every call without options, since lru-cache would read them from a polluted `Object.prototype`. */
const NO_OPTIONS = Object.freeze(Object.create(null) as Record<string, never>);

/** Reads only own options: a polluted `Object.prototype.ttl` must not make a process forget that a session has ended. */
class OwnOptionsCache<V extends object | number | true> extends LRUCache<string, V> {
  constructor(options: LRUCache.Options<string, V, unknown>) {
    super(ownProperties(options));
  }

  override get(key: string) {
    return super.get(key, NO_OPTIONS);
  }

  override has(key: string) {
    return super.has(key, NO_OPTIONS);
  }

  override set(key: string, value: V | undefined, options?: LRUCache.SetOptions<string, V, unknown>) {
    return super.set(key, value, options ? ownProperties(options) : NO_OPTIONS);
  }
}

/**
 * Limits the number of entries by giving each a size of 1: lru-cache would allocate memory for `max` entries up front,
 * 400 KB for 10,000.
 */
function limitOf<V>({ max, of }: { max: number | undefined; of: (value: V, key: string) => number }) {
  return max === undefined ? {} : { maxSize: max, sizeCalculation: of };
}
