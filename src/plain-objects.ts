/** Copies an object without its prototype, so that options are never read from a polluted `Object.prototype`. */
export function ownProperties<T extends object>(value: T): T {
  return Object.assign(Object.create(null) as T, value);
}

/**
 * Copies an object without the fields that are `undefined`. With TypeScript's `exactOptionalPropertyTypes`, an optional
 * field must be missing rather than `undefined`.
 */
export function withoutUndefined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const defined = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** Whether a value is an object and not an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Whether a value is an object whose own properties can be read as options. The result is false for promises, `Map`
 * objects, and instances of classes that only have getters or inherited properties. Such a value would be read as if it
 * were empty, and options such as `cookie.name` would be ignored without an error.
 */
export function isOptions(value: unknown): value is Record<string, unknown> {
  if (!isRecord(value)) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  // The `Object.prototype` of another realm, such as that of a Jest test, has no prototype either.
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return isPlain || Object.keys(value).length > 0;
}
