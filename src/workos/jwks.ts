import { createLocalJWKSet, type CryptoKey, importJWK, type JWK, type JWTVerifyGetKey } from 'jose';
import { createOptionalWait } from '../deadline.js';
import { type KeysFailureReason, publish } from '../events.js';
import { expiringMap } from '../expiring-map.js';
import { UpstreamError } from './fetch.js';

/** The keys are fetched again after this time, in milliseconds. */
const MAX_AGE = 600_000;

/** While the keys cannot be fetched, the old ones are used for this long (stale-if-error, RFC 5861), in milliseconds. */
const STALE_IF_ERROR = 86_400_000;

/** While old keys are in use, a fetch is tried this often, in milliseconds. */
const RETRY = 10_000;

/**
 * The first and the longest pause after a fetch that did not bring the key id that it was made for, in milliseconds. It
 * doubles with each such fetch, so that forged key ids cannot flood WorkOS.
 */
const FIRST_PAUSE = 30_000;

const LONGEST_PAUSE = 60_000;

/** Key ids that are remembered as missing. */
const MAX_MISSING = 1000;

const MIN_MODULUS_BITS = 2048;

/** Where a key is looked for. */
export type JWKSLookup =
  /** The set has keys of that id. `keySet` selects among them. */
  | { readonly kind: 'found'; readonly keySet: JWTVerifyGetKey }
  /** The set was fetched after the id had been looked for, and does not have it. */
  | { readonly kind: 'missing' }
  /** The set does not have the id, and cannot be fetched again yet. `retryAfter` is in seconds. */
  | { readonly kind: 'unknown'; readonly retryAfter: number }
  /** No usable key set is available. */
  | { readonly kind: 'unavailable' };

export interface JWKS {
  /**
   * Finds the keys of an id, and fetches the set where that is due. Never rejects.
   *
   * @param kid Without an id, the only key of the set.
   * @param isTrusted The token was sent by WorkOS just now, so an unknown id is always worth a fetch.
   */
  find: (kid: string | undefined, isTrusted?: boolean) => Promise<JWKSLookup>;
}

export interface JWKSOptions {
  clientId: string;
  /** The OAuth server whose keys they are; `undefined` for the keys of sessions. */
  issuer?: string;
  fetchKeys: () => Promise<unknown>;
  now: () => number;
  /** How long a request waits for newer keys while old ones could be used, in milliseconds. */
  softTimeout: number;
}

/** Creates a cache of the public keys of WorkOS. It outlives an outage of the server that publishes them. */
export function createJWKS(options: JWKSOptions): JWKS {
  const { fetchKeys, now, softTimeout } = options;
  let current: KeySet | undefined;
  let fetchedAt = -Infinity;
  let triedAt = -Infinity;
  let inFlight: Promise<void> | undefined;
  const misses = createMisses(now);
  const age = () => since(fetchedAt, now);
  const report = createReporter(options);
  // Shorter than the middleware waits for the session that is verified with them.
  const waitForNewer = createOptionalWait(softTimeout / 4);

  const load = async () => {
    triedAt = now();
    try {
      current = await importKeys(await fetchKeys());
      fetchedAt = now();
      misses.forget();
      report({ kind: 'ok', keys: current });
    } catch (error) {
      report({ kind: 'unavailable', error, keys: current, age: current && age() });
    } finally {
      inFlight = undefined;
    }
  };
  const reload = () => (inFlight ??= load());
  const lookup = (kid: string | undefined): JWKSLookup => {
    if (!current || age() >= STALE_IF_ERROR) return { kind: 'unavailable' };
    return current.has(kid) ? { kind: 'found', keySet: current.select } : { kind: 'missing' };
  };
  const fetchFor = async (kid: string | undefined): Promise<JWKSLookup> => {
    const startedAt = now();
    await reload();
    const found = lookup(kid);
    if (found.kind !== 'missing') return found;
    // If the fetch failed, the old set does not say whether the key exists.
    if (fetchedAt < startedAt && triedAt > fetchedAt) return { kind: 'unknown', retryAfter: RETRY / 1000 };
    misses.add(kid, fetchedAt);
    return found;
  };

  return {
    async find(kid, isTrusted = false) {
      if (!current || age() >= STALE_IF_ERROR) return fetchFor(kid);
      const mayRetry = since(triedAt, now) >= RETRY;
      if (age() >= MAX_AGE && (mayRetry || inFlight)) await waitForNewer(reload());
      const found = lookup(kid);
      if (found.kind !== 'missing') return found;
      if (isTrusted || inFlight) return fetchFor(kid);
      if (misses.has(kid)) return found;
      const isFailing = triedAt > fetchedAt;
      const wait = isFailing ? RETRY - since(triedAt, now) : misses.pauseLeft();
      return wait > 0 ? { kind: 'unknown', retryAfter: wait / 1000 } : fetchFor(kid);
    },
  };
}

/** The outcome of one fetch, and the keys that are in use after it. */
type FetchOutcome =
  | { readonly kind: 'ok'; readonly keys: KeySet }
  | {
      readonly kind: 'unavailable';
      readonly error: unknown;
      readonly keys: KeySet | undefined;
      readonly age: number | undefined;
    };

/** Publishes `authkit:keys` for the first keys, for keys with other ids, and if the outcome is another one. */
function createReporter({ clientId, issuer }: JWKSOptions) {
  let last: string | undefined;
  return (outcome: FetchOutcome): void => {
    const { kind, keys } = outcome;
    const state = kind === 'ok' ? `ok ${outcome.keys.ids}` : kind;
    if (state === last) return;
    last = state;
    const facts = { clientId, issuer, outcome: kind, count: keys?.count ?? 0 };
    if (outcome.kind === 'ok') {
      publish('keys', { ...facts, reason: undefined, status: undefined, age: 0 });
      return;
    }
    const cause = UpstreamError.from(outcome.error);
    const reason: KeysFailureReason = cause?.reason ?? 'no_usable_key';
    publish('keys', { ...facts, reason, status: cause?.status, age: outcome.age });
  };
}

/** Milliseconds since a time. A clock that was set back makes everything due. */
function since(time: number, now: () => number): number {
  return now() < time ? Infinity : now() - time;
}

/** The key ids that a fetch did not bring, and the pause until the next fetch for such an id. */
function createMisses(now: () => number) {
  const ids = expiringMap<true>({ max: MAX_MISSING, now });
  let pause = 0;
  let missedAt = -Infinity;
  return {
    has: (kid: string | undefined) => ids.has(kid ?? '') && since(missedAt, now) < pause,
    /** Several requests can share a fetch, which makes the pause longer once. */
    add(kid: string | undefined, fetchedAt: number): void {
      ids.set(kid ?? '', true);
      if (missedAt === fetchedAt) return;
      const isRecent = since(missedAt, now) < 2 * LONGEST_PAUSE;
      pause = isRecent ? Math.min(pause * 2, LONGEST_PAUSE) : FIRST_PAUSE;
      missedAt = fetchedAt;
    },
    forget: () => {
      ids.clear();
    },
    pauseLeft: () => pause - since(missedAt, now),
  };
}

interface KeySet {
  readonly count: number;
  /** As one text, to compare two sets. */
  readonly ids: string;
  has: (kid: string | undefined) => boolean;
  readonly select: JWTVerifyGetKey;
}

/**
 * Imports the RSA signing keys of a set (RFC 7517) once. Other keys are ignored, so that one key of a new kind does not
 * make the others unusable.
 *
 * @throws {TypeError} if the set does not contain a usable key.
 */
async function importKeys(jwks: unknown): Promise<KeySet> {
  const list = (jwks as { keys?: unknown } | null)?.keys;
  const candidates = (Array.isArray(list) ? (list as unknown[]) : []).map(toSigningKey);
  const checked = await Promise.all(
    candidates.map(async (jwk) => (jwk && (await isUsable(jwk)) ? [jwk] : [])),
  );
  const keys = checked.flat();
  if (keys.length === 0) throw new TypeError('the key set has no usable key');
  const ids = new Set(keys.map(({ kid }) => kid));
  return {
    count: keys.length,
    ids: JSON.stringify([...ids].sort()),
    has: (kid) => (kid === undefined ? keys.length === 1 : ids.has(kid)),
    select: createLocalJWKSet({ keys }),
  };
}

/** Only what verification needs. `use`, `key_ops` and `alg` must allow it (RFC 7517 sections 4.2 to 4.4). */
function toSigningKey(value: unknown): JWK | undefined {
  const { kty, n, e, kid, use = 'sig', alg = 'RS256', key_ops: ops = ['verify'] } = (value ?? {}) as JWK;
  const isForVerifying = use === 'sig' && alg === 'RS256' && Array.isArray(ops) && ops.includes('verify');
  if (kty !== 'RSA' || !isForVerifying || (kid !== undefined && typeof kid !== 'string')) return undefined;
  return { kty, alg: 'RS256', ...(kid === undefined ? {} : { kid }), n, e } as JWK;
}

async function isUsable(jwk: JWK): Promise<boolean> {
  try {
    const key = await importJWK(jwk, 'RS256');
    const { modulusLength = 0 } = (key as CryptoKey).algorithm as { modulusLength?: number };
    return modulusLength >= MIN_MODULUS_BITS;
  } catch {
    return false;
  }
}
