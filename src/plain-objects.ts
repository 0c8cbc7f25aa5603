/** Copies an object without its prototype, so options are never read from a polluted `Object.prototype`. */
export function ownProperties<T extends object>(value: T): T {
  return Object.assign(Object.create(null) as T, value);
}

/** Whether a value is an object and not an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
