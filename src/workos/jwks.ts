import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { createOptionalWait } from '../deadline.js';
import { type KeysFailureReason, publish } from '../diagnostics.js';
import { expiringMap } from '../expiring-map.js';
import { UpstreamError } from './fetch.js';

/** The age after which the keys are fetched again, in milliseconds. */
const MAX_AGE = 600_000;

/**
 * The maximum age, in milliseconds, of keys that are used while newer ones cannot be fetched (stale-if-error, RFC
 * 5861).
 */
const STALE_IF_ERROR = 86_400_000;

/** The minimum time, in milliseconds, between attempts to fetch keys while older keys are in use. */
const RETRY = 10_000;

/**
 * The minimum time, in milliseconds, between attempts by `load` to fetch keys while there are no keys. Requests may
 * fetch the keys more often, until {@link MAX_FAILURES} fetches in a row have failed.
 */
const FIRST_RETRY = 1000;

/**
 * The number of failed fetches in a row after which requests fetch the keys at most once per `FIRST_RETRY`
 * milliseconds. Anyone can send a token that needs a key, so without this limit, each request could cause a call while
 * there are no keys.
 */
const MAX_FAILURES = 10;

/**
 * The first pause after a fetch that did not find the requested key ID, in milliseconds. During a pause, a client's
 * token with an unknown key ID does not cause a fetch. The pause doubles with each further fetch of this kind, so that
 * tokens with forged key IDs cannot flood WorkOS.
 */
const FIRST_PAUSE = 30_000;

/** The longest pause after a fetch that did not find the requested key ID, in milliseconds. */
const LONGEST_PAUSE = 60_000;

/** The maximum number of key IDs that are remembered as missing. */
const MAX_MISSING = 1000;

/**
 * A request does not wait for a fetch that `load` began more than this many milliseconds ago, because the process may
 * have been frozen since then. Serverless platforms freeze a process between requests.
 */
const MAX_JOIN = 500;

/** The minimum modulus length of an accepted RSA key, in bits. */
const MIN_MODULUS_BITS = 2048;

/** The result of looking up a key ID. */
export type JWKSLookup =
  /**
   * The set has keys with this ID. `isFresh` is false if the set is old but is still used, because no newer set could
   * be fetched.
   */
  | { readonly kind: 'found'; readonly keys: readonly KeyObject[]; readonly isFresh: boolean }
  /** The set was fetched to find the ID, but does not contain it. */
  | { readonly kind: 'missing' }
  /** The set does not contain the ID, and must not be fetched again yet. `retryAfter` is in seconds. */
  | { readonly kind: 'unknown'; readonly retryAfter: number }
  /** No usable key set is available. */
  | { readonly kind: 'unavailable' };

export interface JWKS {
  /**
   * Finds the keys with the ID `kid`. If a fetch of the set is due, the set is fetched first. The returned promise
   * never rejects.
   *
   * @param kid The key ID. If it is `undefined`, a key is found only if it is the only one in the set.
   * @param isTrusted Whether WorkOS has just sent the token. If so, the set is always fetched again for an unknown ID.
   */
  find: (kid: string | undefined, isTrusted?: boolean) => Promise<JWKSLookup>;
  /** Whether the set is fresh and has a key with the ID `kid`. */
  hasFresh: (kid: string) => boolean;
  /**
   * Fetches the set if there is none or if a fetch is due, and waits for the fetch. No fetch begins within {@link
   * RETRY} milliseconds of the last attempt. If there are no keys, {@link FIRST_RETRY} applies instead. The returned
   * promise never rejects.
   *
   * @param isForced Whether a fetch is due even if the set is fresh.
   */
  load: (isForced?: boolean) => Promise<void>;
  /** Returns the time since the keys in use were fetched, in milliseconds, or `undefined` if there are no keys. */
  age: () => number | undefined;
}

export interface JWKSOptions {
  clientId: string;
  /** The OAuth server that publishes the keys; `undefined` for the keys of sessions. */
  issuer?: string;
  fetchKeys: () => Promise<unknown>;
  now: () => number;
  /**
   * How long the middleware waits for a session to be verified, in milliseconds. If old keys can still be used, a
   * request waits at most a quarter of this time for newer keys.
   */
  softTimeout: number;
}

/**
 * Creates a cache of WorkOS's public keys. The cache keeps working during an outage of the server that publishes the
 * keys.
 */
export function createJWKS(options: JWKSOptions): JWKS {
  const { fetchKeys, now, softTimeout } = options;
  let current: KeySet | undefined;
  let fetchedAt = -Infinity;
  let triedAt = -Infinity;
  let failures = 0;
  let inFlight:
    { readonly done: Promise<void>; readonly isPreload: boolean; readonly at: number } | undefined;
  const misses = createMisses(now);
  const age = () => since(fetchedAt, now);
  const report = createReporter(options);
  // The wait for newer keys must be shorter than the time that the middleware waits for a session.
  const waitForNewer = createOptionalWait(softTimeout / 4);

  const fetchSet = async () => {
    triedAt = now();
    try {
      current = importKeys(await fetchKeys());
      fetchedAt = now();
      failures = 0;
      misses.forget();
      report({ kind: 'ok', keys: current });
    } catch (error) {
      failures += 1;
      report({ kind: 'unavailable', error, keys: current, age: current && age() });
    }
  };
  const start = (isPreload: boolean) => {
    const fetching = { done: fetchSet(), isPreload, at: performance.now() };
    inFlight = fetching;
    void fetching.done.then(() => {
      if (inFlight === fetching) inFlight = undefined;
    });
    return fetching.done;
  };
  const reload = async (isPreload = false): Promise<void> => {
    const joined = inFlight;
    const isFrozen = joined?.isPreload && performance.now() - joined.at > MAX_JOIN;
    if (!joined || isFrozen) return start(isPreload);
    await joined.done;
    // A fetch that `load` began may have failed because the process was frozen.
    if (joined.isPreload && !isPreload && !current) await reload();
  };
  const lookup = (kid: string | undefined): JWKSLookup => {
    if (!current || age() >= STALE_IF_ERROR) return { kind: 'unavailable' };
    const keys = current.find(kid);
    return keys.length > 0 ? { kind: 'found', keys, isFresh: age() < MAX_AGE } : { kind: 'missing' };
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

  /** Whether a request must not fetch the keys now, because many fetches have failed and the last one is recent. */
  const isPaused = () => !inFlight && failures >= MAX_FAILURES && since(triedAt, now) < FIRST_RETRY;

  return {
    hasFresh: (kid) => {
      const found = lookup(kid);
      return found.kind === 'found' && found.isFresh;
    },
    age: () => (current && age() < STALE_IF_ERROR ? age() : undefined),
    async load(isForced = false) {
      const isDue = isForced || !current || age() >= MAX_AGE;
      if (inFlight) await inFlight.done;
      else if (isDue && since(triedAt, now) >= (current ? RETRY : FIRST_RETRY)) await reload(true);
    },
    async find(kid, isTrusted = false) {
      if (!current || age() >= STALE_IF_ERROR)
        return !isTrusted && isPaused() ? { kind: 'unavailable' } : fetchFor(kid);
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

/**
 * Creates a function that publishes `authkit:keys` for the first keys, and whenever the key IDs or the outcome change.
 */
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

/**
 * Returns how many milliseconds have passed since `time`. If the clock was set back, the result is `Infinity`, so every
 * fetch is due.
 */
function since(time: number, now: () => number): number {
  return now() < time ? Infinity : now() - time;
}

/**
 * Creates the record of the key IDs that no fetch has found. The record also contains the pause before the next fetch
 * for such an ID.
 */
function createMisses(now: () => number) {
  const ids = expiringMap<true>({ max: MAX_MISSING, now });
  let pause = 0;
  let missedAt = -Infinity;
  return {
    has: (kid: string | undefined) => ids.has(kid ?? '') && since(missedAt, now) < pause,
    /** Adds an ID. If several requests share one fetch, the pause is lengthened only once. */
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
  find: (kid: string | undefined) => readonly KeyObject[];
  /** All key IDs in one string, to compare two sets. */
  readonly ids: string;
}

interface SigningKey {
  readonly kid: string | undefined;
  readonly key: KeyObject;
}

/**
 * Imports the RSA signing keys of a key set (RFC 7517). Other keys are ignored, so a key of a new kind does not make
 * the whole set unusable.
 *
 * @throws {TypeError} if the set does not contain a usable key.
 */
function importKeys(jwks: unknown): KeySet {
  const list = (jwks as { keys?: unknown } | null)?.keys;
  const imported = (Array.isArray(list) ? (list as unknown[]) : []).map(toSigningKey);
  const signingKeys = imported.filter((key) => key !== undefined);
  if (signingKeys.length === 0) throw new TypeError('the key set has no usable key');
  const only = signingKeys.length === 1 ? signingKeys.map(({ key }) => key) : [];
  const byId = new Map<string, KeyObject[]>();
  for (const { kid, key } of signingKeys) {
    if (kid !== undefined) byId.set(kid, [...(byId.get(kid) ?? []), key]);
  }
  return {
    count: signingKeys.length,
    ids: JSON.stringify(signingKeys.map(({ kid }) => kid).sort()),
    find: (kid) => (kid === undefined ? only : (byId.get(kid) ?? [])),
  };
}

/**
 * Imports a key that can verify RS256. Returns `undefined` for any other key. `use`, `key_ops` and `alg` must allow
 * verification with RS256 (RFC 7517 sections 4.2 to 4.4). Only the public parts of the key are read.
 */
function toSigningKey(value: unknown): SigningKey | undefined {
  const jwk = (value ?? {}) as Readonly<Record<string, unknown>>;
  const { kty, n, e, kid, use = 'sig', alg = 'RS256', key_ops: ops = ['verify'] } = jwk;
  const isForVerifying = use === 'sig' && alg === 'RS256' && Array.isArray(ops) && ops.includes('verify');
  if (kty !== 'RSA' || !isForVerifying || (kid !== undefined && typeof kid !== 'string')) return undefined;
  try {
    const key = createPublicKey({ key: { kty, n, e } as JsonWebKey, format: 'jwk' });
    const { modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
    return modulusLength >= MIN_MODULUS_BITS ? { kid, key } : undefined;
  } catch {
    return undefined;
  }
}
