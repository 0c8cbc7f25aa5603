/** Copies an object without its prototype, so options are never read from a polluted `Object.prototype`. */
export function ownProperties<T extends object>(value: T): T {
  return Object.assign(Object.create(null) as T, value);
}
