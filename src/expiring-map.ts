import { LRUCache } from 'lru-cache';
import { ownProperties } from './own-properties.js';

export interface ExpiringMapOptions<V extends object | number | true> {
  /** Maximum number of entries; the least recently used is evicted first. Default: no limit other than `size`. */
  max?: number;
  /**
   * How long an entry is kept, in milliseconds, unless `set` receives a different lifetime. Default: entries do not
   * expire.
   */
  ttl?: number;
  /** The current time in milliseconds, since the epoch or from a monotonic clock. */
  now: () => number;
  /**
   * A limit on the total size of all entries, in the unit that `of` returns. An entry that is larger than `size.max` is
   * not stored.
   */
  size?: { max: number; of: (value: V, key: string) => number };
  /** Called with the key of each entry that is evicted before it expires. */
  onEvict?: (key: string) => void;
}

/** A map with string keys whose entries expire. All caches in this package use it. */
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
    // With a resolution of 0, lru-cache reads the given clock on every access, so tests can advance the clock.
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
 * The options of lru-cache that limit the total size. To limit the number of entries, each entry gets a size of 1: with
 * its `max` option, lru-cache would allocate memory for all entries up front, 400 KB for 10,000 entries.
 */
function limitOf<V>({ max, of }: { max: number | undefined; of: (value: V, key: string) => number }) {
  return max === undefined ? {} : { maxSize: max, sizeCalculation: of };
}
