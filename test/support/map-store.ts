import type { Store } from 'authkit-express';

/** A store backed by a Map that a test can inspect. */
export function mapStore(map = new Map<string, string>()): Required<Store> {
  return {
    get: async (key) => map.get(key),
    set: async (key, value) => map.set(key, value),
    add: async (key, value) => !map.has(key) && !!map.set(key, value),
    replace: async (key, expected, value) =>
      map.get(key) === expected && (value === undefined ? map.delete(key) : !!map.set(key, value)),
    delete: async (key) => map.delete(key),
  };
}
