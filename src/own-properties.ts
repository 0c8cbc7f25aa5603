/** A copy without a prototype, so that an option is never read from a polluted `Object.prototype`. */
export function ownProperties<T extends object>(value: T): T {
  return Object.assign(Object.create(null) as T, value);
}
