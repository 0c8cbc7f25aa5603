import type { ApiKey, User } from '@workos-inc/node';
import { withDeadline } from '../deadline.js';
import { AuthKitError, unavailable } from '../errors.js';
import { expiringMap } from '../expiring-map.js';
import { sha256 } from '../sha256.js';
import type { ApiResult, WorkOSClient } from '../workos/api-client.js';

/** How long a user is cached, in milliseconds. The value is the default lifetime of an access token. */
const USER_MAX_AGE = 300_000;

/**
 * How long after `USER_MAX_AGE` a cached user can still be used while WorkOS is unavailable, in milliseconds. It is
 * better to use possibly outdated user data than to let the app fail too.
 */
const USER_STALE_IF_ERROR = 86_400_000;

/**
 * How long the response from WorkOS about an API key is cached, in milliseconds. During this time, a key that has been
 * revoked can still be accepted, and a key that was refused is refused again.
 */
const KEY_MAX_AGE = 30_000;

/**
 * How long after `KEY_MAX_AGE` a valid API key is still accepted while WorkOS is unavailable or rate-limits the app, in
 * milliseconds. The two times add up to five minutes.
 */
const KEY_STALE_IF_ERROR = 300_000 - KEY_MAX_AGE;

/** The maximum number of entries in each cache. */
const MAX_ENTRIES = 10_000;

/** How long an outdated result is used before WorkOS is asked again, if WorkOS was unavailable, in milliseconds. */
const RETRY = 10_000;

export interface WorkOSLookups {
  /** Looks up a user by ID. */
  users: CachedLookup<User>;
  /** Looks up an API key by its value. Only a hash of the value is cached. */
  apiKeys: CachedLookup<ApiKey>;
}

export interface WorkOSLookupsDependencies {
  workos: Pick<WorkOSClient, 'call' | 'callForAnonymous'>;
  now: () => number;
  /** How long a request waits for a new result if an older result can still be used, in milliseconds. */
  softTimeout: number;
}

/** Creates the cached lookups of users and API keys that are needed to verify bearer tokens. */
export function createWorkOSLookups({ workos, now, softTimeout }: WorkOSLookupsDependencies): WorkOSLookups {
  return {
    users: createCachedLookup({
      // User IDs come from verified tokens and are not secret, so they do not have to be hashed.
      nameOf: (id) => id,
      ask: async (id) => withId(await workos.call(({ userManagement }) => userManagement.getUser(id))),
      maxAge: USER_MAX_AGE,
      staleIfError: USER_STALE_IF_ERROR,
      softTimeout,
      now,
    }),
    apiKeys: createCachedLookup({
      nameOf: sha256,
      ask: (value, isKnown) => validateApiKey(value, isKnown, workos),
      maxAge: KEY_MAX_AGE,
      staleIfError: KEY_STALE_IF_ERROR,
      softTimeout,
      now,
    }),
  };
}

/**
 * Asks WorkOS whether an API key is valid.
 *
 * @param isKnown Whether WorkOS confirmed the key earlier and that result can still be used.
 */
async function validateApiKey(
  value: string,
  isKnown: boolean,
  { callForAnonymous }: WorkOSLookupsDependencies['workos'],
): Promise<ApiResult<ApiKey>> {
  const validate = ({ apiKeys }: Parameters<Parameters<typeof callForAnonymous>[0]>[0]) =>
    apiKeys.createValidation({ value });
  const isValid = ({ apiKey }: { apiKey: ApiKey | null }) => apiKey !== null;
  const answer = await callForAnonymous(validate, isValid, isKnown);
  if (answer.kind !== 'ok') return answer;
  const { apiKey } = answer.value;
  if (apiKey !== null) return withId({ kind: 'ok', value: apiKey });
  return { kind: 'refused', error: new AuthKitError('unauthenticated', 'WorkOS does not know the API key') };
}

/** Turns a successful result into `unavailable` if it does not contain the ID of the user or API key. */
function withId<T extends { id: string }>(answer: ApiResult<T>): ApiResult<T> {
  if (answer.kind !== 'ok') return answer;
  const { id } = answer.value as { id?: unknown };
  if (typeof id === 'string' && id !== '') return answer;
  return { kind: 'unavailable', error: unavailable('the answer of WorkOS has no id') };
}

export interface CachedLookupOptions<T> {
  /** Returns the cache key for a user ID or API key. The cache key of a secret value is its hash. */
  nameOf: (key: string) => string;
  /**
   * Asks WorkOS for the user or API key that is identified by `key`.
   *
   * @param isKnown Whether an older `ok` result can still be used.
   */
  ask: (key: string, isKnown: boolean) => Promise<ApiResult<T>>;
  /** How long `ok` and `refused` results are cached, in milliseconds. */
  maxAge: number;
  /** How long after `maxAge` an `ok` result can still be used while WorkOS is unavailable, in milliseconds. */
  staleIfError: number;
  /** How long a request waits for a new result if an older result can still be used, in milliseconds. */
  softTimeout: number;
  now: () => number;
}

type Ok<T> = Extract<ApiResult<T>, { kind: 'ok' }>;
type Refused = Extract<ApiResult<never>, { kind: 'refused' }>;

interface KnownValue<T> {
  readonly answer: Ok<T>;
  readonly staleUntil: number;
  freshUntil: number;
}

/**
 * Looks up a user or an API key at WorkOS. Concurrent lookups with the same key share one call. Returns a promise only
 * if no current result is cached. The promise never rejects.
 */
export type CachedLookup<T> = (key: string) => ApiResult<T> | Promise<ApiResult<T>>;

/** Creates a lookup with a cache. Refused keys have a separate cache, so they cannot evict valid keys. */
function createCachedLookup<T>(options: CachedLookupOptions<T>): CachedLookup<T> {
  const { nameOf, ask, maxAge, staleIfError, softTimeout, now } = options;
  const known = expiringMap<KnownValue<T>>({ max: MAX_ENTRIES, now });
  const refusals = expiringMap<Refused>({ max: MAX_ENTRIES, ttl: maxAge, now });
  const inFlight = new Map<string, Promise<ApiResult<T>>>();

  const load = async (key: string, id: string, old: KnownValue<T> | undefined): Promise<ApiResult<T>> => {
    const answer = await ask(key, old !== undefined);
    inFlight.delete(id);
    if (answer.kind === 'unavailable') {
      if (old) old.freshUntil = now() + RETRY;
      return answer;
    }
    if (answer.kind === 'refused') {
      known.delete(id);
      refusals.set(id, answer);
      return answer;
    }
    const freshUntil = now() + maxAge;
    known.set(id, { answer, freshUntil, staleUntil: freshUntil + staleIfError });
    return answer;
  };
  return (key) => {
    const id = nameOf(key);
    const found = known.get(id);
    const old = found && now() < found.staleUntil ? found : undefined;
    if (old && now() < old.freshUntil) return old.answer;
    const refusal = refusals.get(id);
    if (refusal) return refusal;
    let pending = inFlight.get(id);
    if (!pending) inFlight.set(id, (pending = load(key, id, old)));
    if (!old) return pending;
    return withDeadline(softTimeout, pending).then((newer) =>
      newer === undefined || newer.kind === 'unavailable' ? old.answer : newer,
    );
  };
}
