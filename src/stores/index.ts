/**
 * Where the processes of one application meet: text under keys, each with a time to live in milliseconds. `redisStore`
 * and `expressStore` make one; another database needs these five. A method that rejects, or that takes too long, is a
 * store that cannot be reached now, and no more than that.
 */
export interface Store {
  /** The value, or nothing once its time is over. */
  get(key: string): Promise<string | null | undefined>;
  set(key: string, value: string, ttl: number): Promise<unknown>;
  /** Sets what is not there yet, and says whether it did. Atomic, or a refresh may happen twice. */
  add(key: string, value: string, ttl: number): Promise<boolean>;
  /** Replaces, or with `undefined` deletes, a value that is still `expected`, and says whether it was. Atomic. */
  replace(key: string, expected: string, value: string | undefined, ttl: number): Promise<boolean>;
  delete(key: string): Promise<unknown>;
}

/** The names of a store's methods; the compiler keeps them complete. */
export const STORE_METHODS: Readonly<Record<keyof Store, true>> = {
  get: true,
  set: true,
  add: true,
  replace: true,
  delete: true,
};
