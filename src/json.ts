/** Whether a value is the same after a way through JSON: what a cookie carries comes back as it went in. */
export function isJson(value: unknown, depth = 0): boolean {
  if (depth > 32) return false;
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object') return false;
  const inside = (item: unknown) => isJson(item, depth + 1);
  if (Array.isArray(value)) return value.every(inside);
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);
  // A key without a value is no key in JSON either.
  return isPlain && Object.values(value).every((item) => item === undefined || inside(item));
}
