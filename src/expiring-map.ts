import { LRUCache } from 'lru-cache';
import { ownProperties } from './plain-objects.js';

export interface ExpiringMapOptions<V extends object | number | true> {
  /**
   * The maximum number of entries. If the map is full, the least recently used entry is evicted. Default: the number of
   * entries is not limited.
   */
  max?: number;
  /**
   * How long an entry is kept, in milliseconds. A `ttl` that is passed to `set` takes precedence. Default: entries do
   * not expire.
   */
  ttl?: number;
  /** Returns the current time in milliseconds, either since the epoch or by a monotonic clock. */
  now: () => number;
  /**
   * Limits the total size of all entries to `max`. `of` returns the size of one entry, in the same unit. An entry that
   * is larger than `max` is not stored.
   */
  size?: { max: number; of: (value: V, key: string) => number };
  /** Called with the key of each entry that is evicted before it expires. */
  onEvict?: (key: string) => void;
}

/** A map with string keys and expiring entries. All caches in this package use it. */
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
    // With a resolution of 0, lru-cache reads the given clock on every access, so that tests can advance the clock.
    ttlResolution: 0,
    perf: { now },
    ...(onEvict && {
      dispose: (_value: V, key: string, reason: LRUCache.DisposeReason) => {
        if (reason === 'evict') onEvict(key);
      },
    }),
  });
}

/**
 * Passed to lru-cache if the caller passes no options. The object has no prototype, because lru-cache would otherwise
 * read options from a polluted `Object.prototype`.
 */
const NO_OPTIONS = Object.freeze(Object.create(null) as Record<string, never>);

/**
 * A cache that ignores inherited options. A polluted `Object.prototype.ttl` must not make a process forget that a
 * session has ended.
 */
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
 * Returns the lru-cache options that limit the total size. If only the number of entries is limited, each entry gets a
 * size of 1. lru-cache's `max` option is avoided in that case, because it allocates memory for all entries up front:
 * 400 KB for 10,000 entries.
 */
function limitOf<V>({ max, of }: { max: number | undefined; of: (value: V, key: string) => number }) {
  return max === undefined ? {} : { maxSize: max, sizeCalculation: of };
}
