import type { ApiKey, User } from '@workos-inc/node';
import { AuthKitError, unavailable } from './errors.js';
import { createLookup, type Lookup } from './lookup.js';
import type { Answer, WorkOSDoor } from './workos.js';

/** As long as an access token lives by default, in milliseconds: a cookie's user is no newer. */
const USER_FRESH = 300_000;
/** A name or an address that may have changed is better than an API that is down with WorkOS's. */
const USER_STALE = 86_400_000;
/** How long a key that was withdrawn may still work, in milliseconds, and one that is new may not. */
const KEY_FRESH = 30_000;

export interface Directory {
  /** By the user's id. */
  users: Lookup<User>;
  /** By the key itself, which is not kept. */
  apiKeys: Lookup<ApiKey>;
}

export interface DirectoryOptions {
  call: WorkOSDoor['call'];
  now: () => number;
  /** How long a request waits for news of a user who is known already, in milliseconds. */
  patience: number;
}

/** What WorkOS knows of the people and API keys that tokens speak of. */
export function createDirectory({ call, now, patience }: DirectoryOptions): Directory {
  return {
    users: createLookup({
      ask: async (id) => whole(await call(({ userManagement }) => userManagement.getUser(id))),
      fresh: USER_FRESH,
      stale: USER_STALE,
      patience,
      now,
    }),
    apiKeys: createLookup({
      ask: async (value) => {
        const answer = await call(({ apiKeys }) => apiKeys.createValidation({ value }));
        if (answer.kind !== 'granted') return answer;
        const { apiKey } = answer.value;
        return apiKey === null ? noSuchKey() : whole({ kind: 'granted', value: apiKey });
      },
      fresh: KEY_FRESH,
      // A key that cannot be asked about is not known to be good.
      stale: 0,
      patience,
      now,
    }),
  };
}

function noSuchKey(): Answer<never> {
  return { kind: 'refused', error: new AuthKitError('unauthenticated', 'WorkOS knows no such API key') };
}

/** A 200 is believed only if it is about somebody. */
function whole<T extends { id: string }>(answer: Answer<T>): Answer<T> {
  if (answer.kind !== 'granted') return answer;
  const { id } = answer.value as { id?: unknown };
  if (typeof id === 'string' && id !== '') return answer;
  return { kind: 'unreachable', error: unavailable('WorkOS sent an answer without an id') };
}
