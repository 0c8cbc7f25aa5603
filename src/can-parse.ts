/**
 * Whether `new URL` accepts an address. In Node 20, `URL.canParse` rejects some valid addresses that contain letters such
 * as `é`, once it has been called so often that V8 has optimized the call.
 */
export function canParse(address: string, base?: string | URL): boolean {
  try {
    new URL(address, base);
    return true;
  } catch {
    return false;
  }
}
