import type { ApiKey, User } from '@workos-inc/node';
import { LRUCache } from 'lru-cache';
import { createHash } from 'node:crypto';
import { withDeadline } from '../deadline.js';
import { AuthKitError, unavailable } from '../errors.js';
import type { ApiResult, WorkOSClient } from '../workos/client.js';

/** As long as an access token lives by default, in milliseconds: a cookie's user is no newer. */
const USER_FRESH = 300_000;

/** A name or an address that may have changed is better than an API that is down with WorkOS's. */
const USER_STALE = 86_400_000;

/** How long a key that was withdrawn may still work, in milliseconds, and one that is new may not. */
const KEY_FRESH = 30_000;

export interface WorkOSLookups {
  /** By the user's id. */
  users: CachedLookup<User>;
  /** By the key itself, which is not kept. */
  apiKeys: CachedLookup<ApiKey>;
}

export interface DirectoryOptions {
  call: WorkOSClient['call'];
  now: () => number;
  /** How long a request waits for news of a user who is known already, in milliseconds. */
  softTimeout: number;
}

/** What WorkOS knows of the people and API keys that tokens speak of. */
export function createWorkOSLookups({
  call,
  now,
  softTimeout: softTimeout,
}: DirectoryOptions): WorkOSLookups {
  return {
    users: createCachedLookup({
      ask: async (id) => whole(await call(({ userManagement }) => userManagement.getUser(id))),
      maxAge: USER_FRESH,
      staleIfError: USER_STALE,
      softTimeout: softTimeout,
      now,
    }),
    apiKeys: createCachedLookup({
      ask: async (value) => {
        const answer = await call(({ apiKeys }) => apiKeys.createValidation({ value }));
        if (answer.kind !== 'ok') return answer;
        const { apiKey } = answer.value;
        return apiKey === null ? noSuchKey() : whole({ kind: 'ok', value: apiKey });
      },
      maxAge: KEY_FRESH,
      // A key that cannot be asked about is not known to be good.
      staleIfError: 0,
      softTimeout: softTimeout,
      now,
    }),
  };
}

function noSuchKey(): ApiResult<never> {
  return { kind: 'refused', error: new AuthKitError('unauthenticated', 'WorkOS knows no such API key') };
}

/** A 200 is believed only if it is about somebody. */
function whole<T extends { id: string }>(answer: ApiResult<T>): ApiResult<T> {
  if (answer.kind !== 'ok') return answer;
  const { id } = answer.value as { id?: unknown };
  if (typeof id === 'string' && id !== '') return answer;
  return { kind: 'unavailable', error: unavailable('WorkOS sent an answer without an id') };
}

const MAX_ENTRIES = 10_000;

/** While a stale answer serves, WorkOS is tried this often, in milliseconds. */
const RETRY = 10_000;

export interface LookupOptions<T> {
  ask: (key: string) => Promise<ApiResult<T>>;
  /** Yes and no are both remembered this long, in milliseconds. */
  maxAge: number;
  /** A yes serves this much longer while WorkOS cannot be asked, in milliseconds. */
  staleIfError: number;
  /** How long a request waits for a newer answer while a stale one would do, in milliseconds. */
  softTimeout: number;
  now: () => number;
}

type Settled<T> = Exclude<ApiResult<T>, { kind: 'unavailable' }>;

interface Entry<T> {
  answer?: Settled<T>;
  freshUntil: number;
  staleUntil: number;
  inFlight?: Promise<ApiResult<T>> | undefined;
}

/** Asks WorkOS about a key once for all who want to know, and remembers the answer for a while. Never rejects. */
export type CachedLookup<T> = (key: string) => ApiResult<T> | Promise<ApiResult<T>>;

export function createCachedLookup<T>({
  ask,
  maxAge: fresh,
  staleIfError: stale,
  softTimeout: softTimeout,
  now,
}: LookupOptions<T>): CachedLookup<T> {
  const entries = new LRUCache<string, Entry<T>>({ max: MAX_ENTRIES });

  const load = async (key: string, entry: Entry<T>): Promise<ApiResult<T>> => {
    const answer = await ask(key);
    entry.inFlight = undefined;
    if (answer.kind === 'unavailable') {
      entry.freshUntil = now() + (entry.answer ? RETRY : 0);
      return answer;
    }
    entry.answer = answer;
    entry.freshUntil = now() + fresh;
    entry.staleUntil = entry.freshUntil + (answer.kind === 'ok' ? stale : 0);
    return answer;
  };
  return (key) => {
    // By a hash: the key may be a secret.
    const id = createHash('sha256').update(key).digest('base64url');
    const entry = entries.get(id) ?? { freshUntil: -Infinity, staleUntil: -Infinity };
    entries.set(id, entry);
    const { answer } = entry;
    const isUsable = answer !== undefined && now() < entry.staleUntil;
    if (answer && now() < entry.freshUntil && now() < entry.staleUntil) return answer;
    const pending = (entry.inFlight ??= load(key, entry));
    if (!isUsable) return pending;
    return withDeadline(softTimeout, pending).then((newer) => {
      const { kind } = (newer ?? { kind: 'unavailable' }) as { kind: ApiResult<T>['kind'] };
      return kind === 'unavailable' ? answer : (newer as ApiResult<T>);
    });
  };
}
