/**
 * Storage that the processes of an application share. It maps each key to a string with a time to live.
 *
 * `redisStore`, `postgresStore` and `expressStore` create a store. For a different database, implement these five
 * methods and check them with `testStore` from `authkit-express/testing`. If a method rejects or takes too long, the
 * store counts as unavailable for that call.
 */
export interface Store {
  /** Resolves to the value of a key, or to `null` or `undefined` if there is no value or it has expired. */
  get(key: string): Promise<string | null | undefined>;
  /**
   * Sets the value of a key, and replaces an existing value.
   *
   * @param ttl Time to live of the value, in milliseconds. It may have a fraction.
   */
  set(key: string, value: string, ttl: number): Promise<unknown>;
  /**
   * Sets the value of a key that has none. Resolves to whether it did so; anything but `true` counts as `false`. This
   * method must be atomic across processes. Otherwise, two processes may refresh the same session.
   *
   * @param ttl Time to live of the value, in milliseconds. It may have a fraction.
   */
  add(key: string, value: string, ttl: number): Promise<boolean>;
  /**
   * Replaces the value of a key if it equals `expected`, or deletes it if `value` is `undefined`. Resolves to whether
   * it did so; anything but `true` counts as `false`. This method must be atomic across processes.
   *
   * @param ttl Time to live of the new value, in milliseconds. It may have a fraction, and is not used if `value` is
   * `undefined`.
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
