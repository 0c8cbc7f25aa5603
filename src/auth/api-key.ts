import type { ApiKey } from '@workos-inc/node';
import { AuthKitError } from '../errors.js';
import { sha256 } from '../sha256.js';
import type { ApiResult, WorkOSClient } from '../workos/api-client.js';
import { type CachedLookup, createCachedLookup } from '../workos/cached-lookup.js';

/** The format of a WorkOS API key. Values in any other format are refused without a call to WorkOS. */
const FORMAT = /^sk_[\w-]{6,253}$/;

/**
 * How long the response from WorkOS about an API key is cached, in milliseconds. During this time, a key that has been
 * revoked can still be accepted, and a key that was refused is refused again.
 */
const KEY_MAX_AGE = 30_000;

/**
 * How much longer than `KEY_MAX_AGE` a valid API key is accepted while WorkOS is unavailable or rate-limits the app, in
 * milliseconds. The two times add up to five minutes.
 */
const KEY_STALE_IF_ERROR = 300_000 - KEY_MAX_AGE;

export interface ApiKeyLookupDependencies {
  workos: Pick<WorkOSClient, 'callForAnonymous'>;
  now: () => number;
  /** How long a request waits for a new result if an older result can still be used, in milliseconds. */
  softTimeout: number;
}

/** Whether a value has the format of a WorkOS API key. */
export function isApiKey(value: string): boolean {
  return FORMAT.test(value);
}

/** Creates the cached lookup of API keys by value. The cache contains only a hash of each value. */
export function createApiKeyLookup({
  workos,
  now,
  softTimeout,
}: ApiKeyLookupDependencies): CachedLookup<ApiKey> {
  return createCachedLookup({
    nameOf: sha256,
    ask: (value, isKnown) => validateApiKey(value, isKnown, workos),
    maxAge: KEY_MAX_AGE,
    staleIfError: KEY_STALE_IF_ERROR,
    softTimeout,
    now,
  });
}

/**
 * Asks WorkOS whether an API key is valid.
 *
 * @param isKnown Whether WorkOS confirmed the key earlier and that result can still be used. The check of such a key
 * does not count against the budget for anonymous requests.
 */
async function validateApiKey(
  value: string,
  isKnown: boolean,
  { callForAnonymous }: Pick<WorkOSClient, 'callForAnonymous'>,
): Promise<ApiResult<ApiKey>> {
  const validate = ({ apiKeys }: Parameters<Parameters<typeof callForAnonymous>[0]>[0]) =>
    apiKeys.createValidation({ value });
  const isValid = ({ apiKey }: { apiKey: ApiKey | null }) => apiKey !== null;
  const answer = await callForAnonymous(validate, isValid, isKnown);
  if (answer.kind !== 'ok') return answer;
  const { apiKey } = answer.value;
  if (apiKey !== null) return { kind: 'ok', value: apiKey };
  return { kind: 'refused', error: new AuthKitError('unauthenticated', 'WorkOS does not know the API key') };
}
