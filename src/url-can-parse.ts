/**
 * Whether `new URL` accepts an address. `URL.canParse` is not used because of a bug in Node 20: once V8 has optimized
 * the call, `URL.canParse` rejects some valid addresses that contain letters such as `é`.
 */
export function canParse(address: string, base?: string | URL): boolean {
  try {
    new URL(address, base);
    return true;
  } catch {
    return false;
  }
}
