import { LRUCache } from 'lru-cache';

export interface ExpiringMapOptions<V extends object | number | true> {
  /** Most entries; the least recently used one makes room for a new one. Default: no limit but that of `size`. */
  max?: number;
  /** Milliseconds until an entry expires, unless `set` is given another lifetime. Default: never. */
  ttl?: number;
  /** Milliseconds since the epoch, or of a monotonic clock. */
  now: () => number;
  /** Limits the sum of the sizes of all entries too. A larger entry than that is not kept. */
  size?: { max: number; of: (value: V, key: string) => number };
  /** Called with each entry that made room for another one before it had expired. */
  onEvict?: (key: string) => void;
}

/** A map with string keys whose entries expire, limited in number: what every memory of this package is made of. */
export type ExpiringMap<V extends object | number | true> = Pick<
  LRUCache<string, V>,
  'get' | 'has' | 'delete' | 'clear' | 'size' | 'calculatedSize' | 'purgeStale'
> & {
  set: (key: string, value: V, options?: { ttl?: number }) => unknown;
};

/**
 * Makes an expiring map.
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
  return new LRUCache<string, V>({
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

/** A number of entries is limited as a size too: lru-cache allocates memory for `max` entries at once, 400 KB for 10,000. */
function limitOf<V>({ max, of }: { max: number | undefined; of: (value: V, key: string) => number }) {
  return max === undefined ? {} : { maxSize: max, sizeCalculation: of };
}
