/**
 * Storage that the processes of an application share: strings under keys, each with a time to live in milliseconds.
 *
 * `redisStore`, `postgresStore` and `expressStore` create one; for another database, implement these five methods and
 * check them with `testStore` of `authkit-express/testing`. A method that rejects or takes too long means that the store
 * is unavailable for this call.
 */
export interface Store {
  /** Returns the value, or nothing if there is none or it has expired. */
  get(key: string): Promise<string | null | undefined>;
  /** Sets a value. `ttl` is in milliseconds and may have a fraction. */
  set(key: string, value: string, ttl: number): Promise<unknown>;
  /**
   * Sets a value if the key has none, and returns whether it did so. Has to be atomic, or a refresh may happen twice.
   * Anything but `true` counts as `false`.
   */
  add(key: string, value: string, ttl: number): Promise<boolean>;
  /**
   * Replaces a value that equals `expected`, or deletes it if `value` is `undefined`, and returns whether it did so. Has
   * to be atomic. Anything but `true` counts as `false`.
   */
  replace(key: string, expected: string, value: string | undefined, ttl: number): Promise<boolean>;
  /** Deletes a value, if there is one. */
  delete(key: string): Promise<unknown>;
}

/** The names of the methods of a store; the compiler checks that they are complete. */
export const STORE_METHODS: Readonly<Record<keyof Store, true>> = {
  get: true,
  set: true,
  add: true,
  replace: true,
  delete: true,
};
