import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { withDeadline } from '../deadline.js';
import { log } from '../events.js';

/** A key set is asked for again after this long, in milliseconds. */
const FRESH = 600_000;

/** Keys outlive their server for this long: stale keys are better than a site where nobody is signed in. */
const STALE = 86_400_000;

/** At most one fetch in this time for key ids that nobody knows, so that forged tokens cannot flood WorkOS. */
const COOLDOWN = 30_000;

/** While stale keys serve, their server is tried this often. */
const RETRY = 10_000;

const MIN_MODULUS_BITS = 2048;

/** By their id; those without one are under `undefined`. */
type KeySet = ReadonlyMap<string | undefined, readonly KeyObject[]>;

/** Keys of that id, none of that id in a fresh set, or no set to look in. */
export type JWKSLookup = readonly KeyObject[] | 'unavailable';

export interface JWKS {
  /**
   * Finds the keys of an id, synchronously where a fresh set has it. Without an id it is the key of a set of one, as
   * `jose` has it.
   *
   * @param isTrusted The token came from WorkOS just now, so an unknown id is worth a fetch whatever was asked lately.
   */
  find: (kid: string | undefined, isTrusted?: boolean) => JWKSLookup | Promise<JWKSLookup>;
}

export interface JWKSOptions {
  fetchKeys: () => Promise<unknown>;
  now: () => number;
  /** How long a request waits for newer keys while stale ones would do, in milliseconds. */
  softTimeout: number;
}

/** WorkOS's public keys, kept while their server is down (stale if error, RFC 5861). */
export function createJWKS({ fetchKeys, now, softTimeout: softTimeout }: JWKSOptions): JWKS {
  let current: KeySet | undefined;
  let fetchedAt = -Infinity;
  let askedAt = -Infinity;
  let inFlight: Promise<void> | undefined;

  const load = async () => {
    askedAt = now();
    try {
      current = usable(await fetchKeys());
      fetchedAt = now();
      log('keys', { fetched: current.size });
    } catch (error) {
      log('keys', { unreachable: error instanceof Error ? error.message : 'unknown' });
    } finally {
      inFlight = undefined;
    }
  };
  const reload = () => (inFlight ??= load());
  const lookup = (kid: string | undefined): JWKSLookup => {
    if (!current || now() - fetchedAt >= STALE) return 'unavailable';
    return kid === undefined ? onlyKey(current) : (current.get(kid) ?? []);
  };

  return {
    find(kid, isTrusted = false) {
      const age = now() - fetchedAt;
      if (!current || age >= STALE) return reload().then(() => lookup(kid));
      if (age >= FRESH && (now() - askedAt >= RETRY || inFlight)) {
        return withDeadline(softTimeout, reload()).then(() => lookup(kid));
      }
      const found = lookup(kid);
      if (found.length > 0 || (!isTrusted && now() - askedAt < COOLDOWN && !inFlight)) return found;
      return reload().then(() => lookup(kid));
    },
  };
}

/** RSA signing keys of decent size; the rest of a set is passed over. A set without any is no set. */
function usable(jwks: unknown): KeySet {
  const list = (jwks as { keys?: unknown } | null)?.keys;
  const set = new Map<string | undefined, KeyObject[]>();
  for (const jwk of Array.isArray(list) ? (list as unknown[]) : []) {
    const { kid, key } = toKey(jwk) ?? {};
    if (key) set.set(kid, [...(set.get(kid) ?? []), key]);
  }
  if (set.size === 0) throw new TypeError('the key set has no usable key');
  return set;
}

function onlyKey(set: KeySet): readonly KeyObject[] {
  const all = [...set.values()].flat();
  return all.length === 1 ? all : [];
}

function toKey(value: unknown): { kid: string | undefined; key: KeyObject } | undefined {
  const jwk = value as (JsonWebKey & Record<string, unknown>) | null;
  if (jwk?.kty !== 'RSA' || !isForVerifying(jwk)) return undefined;
  const { kid, n, e } = jwk;
  if (kid !== undefined && typeof kid !== 'string') return undefined;
  try {
    const key = createPublicKey({ key: { kty: 'RSA', n, e } as JsonWebKey, format: 'jwk' });
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    return bits >= MIN_MODULUS_BITS ? { kid, key } : undefined;
  } catch {
    return undefined;
  }
}

/** RFC 7517 sections 4.2 to 4.4. */
function isForVerifying({ use = 'sig', alg = 'RS256', key_ops: ops = ['verify'] }: Record<string, unknown>) {
  return use === 'sig' && alg === 'RS256' && Array.isArray(ops) && ops.includes('verify');
}
