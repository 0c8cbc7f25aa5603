import type { WorkOS } from '@workos-inc/node';
import type { Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import type { Fetch } from './fetch.js';

/** Imports `@workos-inc/node`. */
export type LoadSDK = () => Promise<{ WorkOS: typeof WorkOS }>;

/** The SDK has 4 MB. It is loaded in the background, so that the app does not start later because of it. */
export const importSDK: LoadSDK = () => import('@workos-inc/node');

/**
 * Loads the SDK and creates a client with it.
 *
 * @throws {AuthKitError} `sdk_missing`, if `@workos-inc/node` is not installed or is too old.
 */
export async function loadClient(config: Config, fetchFn: Fetch, loadSDK: LoadSDK): Promise<WorkOS> {
  const { apiKey, clientId, api, timeout } = config;
  const { hostname: apiHostname, https, port } = api;
  const base = { apiHostname, https, ...(port === undefined ? {} : { port }) };
  let client: WorkOS;
  try {
    const sdk = await loadSDK();
    // Our deadline comes first: the timeout of the SDK hides what happened.
    client = new sdk.WorkOS({ apiKey, clientId, ...base, timeout: timeout + 1000, maxRetries: 0, fetchFn });
  } catch (cause) {
    throw sdkMissing('@workos-inc/node cannot be loaded', cause);
  }
  if (!isComplete(client)) throw sdkMissing('@workos-inc/node is too old');
  return client;
}

/** Whether the client has the methods that this package calls and that older versions do not have. */
function isComplete({ userManagement, sso, apiKeys }: Partial<WorkOS>): boolean {
  return (
    typeof userManagement?.authenticateWithCode === 'function' &&
    typeof userManagement.authenticateWithRefreshToken === 'function' &&
    typeof sso?.getProfileAndToken === 'function' &&
    typeof apiKeys?.createValidation === 'function'
  );
}

function sdkMissing(problem: string, cause?: unknown): AuthKitError {
  const advice = 'install it beside authkit-express: npm install @workos-inc/node@11';
  return new AuthKitError('sdk_missing', `${problem}: ${advice}`, cause === undefined ? {} : { cause });
}
