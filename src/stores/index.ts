/**
 * Storage that the processes of an application share. Each key has a string value that expires after its time to live.
 *
 * `redisStore`, `postgresStore` and `expressStore` create a store. To use a different database, implement these five
 * methods and check them with `testStore` from `authkit-express/testing`. If a method rejects or takes too long, this
 * package treats the store as unavailable for that call. After a call that takes too long, the store is not called for
 * up to one second.
 */
export interface Store {
  /** Resolves to the value of a key, or to `null` or `undefined` if there is no value or it has expired. */
  get(key: string): Promise<string | null | undefined>;
  /**
   * Sets the value of a key. Replaces the existing value, if there is one.
   *
   * @param ttl Time to live of the value, in milliseconds. It may have a fractional part.
   */
  set(key: string, value: string, ttl: number): Promise<unknown>;
  /**
   * Sets the value of a key only if the key has no value. Resolves to `true` if the value was set; anything else counts
   * as `false`. This method must be atomic across processes. Otherwise, two processes may refresh the same session at
   * the same time.
   *
   * @param ttl Time to live of the value, in milliseconds. It may have a fractional part.
   */
  add(key: string, value: string, ttl: number): Promise<boolean>;
  /**
   * Replaces the value of a key if the current value equals `expected`. If `value` is `undefined`, deletes the current
   * value instead. Resolves to `true` if the value was replaced or deleted; anything else counts as `false`. This
   * method must be atomic across processes.
   *
   * @param ttl Time to live of the new value, in milliseconds. It may have a fractional part. It is ignored if `value`
   * is `undefined`.
   */
  replace(key: string, expected: string, value: string | undefined, ttl: number): Promise<boolean>;
  /** Deletes the value of a key, if it has one. */
  delete(key: string): Promise<unknown>;
}

/** The method names of a store. The compiler checks that none is missing. */
export const STORE_METHODS: Readonly<Record<keyof Store, true>> = {
  get: true,
  set: true,
  add: true,
  replace: true,
  delete: true,
};
