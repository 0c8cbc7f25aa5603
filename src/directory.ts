import type { ApiKey, User } from '@workos-inc/node';
import { AuthKitError, unavailable } from './errors.js';
import { createCachedLookup, type CachedLookup } from './lookup.js';
import type { ApiResult, WorkOSClient } from './workos.js';

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
