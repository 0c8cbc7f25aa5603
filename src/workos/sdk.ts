import type { WorkOS } from '@workos-inc/node';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import type { Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import type { Fetch } from './fetch.js';

/** Imports `@workos-inc/node`. */
export type LoadSDK = () => Promise<SDK>;

export interface SDK {
  WorkOS: typeof WorkOS;
}

/** The SDK has 4 MB. It is loaded in the background, so that the app does not start later because of it. */
export const importSDK: LoadSDK = () => import('@workos-inc/node');

/**
 * Loads the SDK and creates a client with it.
 *
 * @throws {AuthKitError} `sdk_missing`, if `@workos-inc/node` is not installed or is too old.
 */
export async function loadClient(config: Config, fetchFn: Fetch, loadSDK: LoadSDK): Promise<WorkOS> {
  const timeout = config.timeout + 1000;
  let client: WorkOS;
  try {
    const sdk = await loadSDK();
    // Our deadline comes first: the timeout of the SDK hides what happened.
    client = new sdk.WorkOS({ ...credentialsOf(config), timeout, maxRetries: 0, fetchFn });
  } catch (cause) {
    throw sdkMissing('@workos-inc/node cannot be loaded', cause);
  }
  if (!isComplete(client)) throw sdkMissing('@workos-inc/node is too old');
  return client;
}

/**
 * The client that the application uses for its own calls, created when it is first read. Unlike the clients of this
 * package it throws the SDK's own exceptions, and repeats calls as the SDK does.
 *
 * @param loaded The SDK, if it has been imported already.
 * @throws {AuthKitError} `sdk_missing`
 */
export function createAppClient(config: Config, loaded: () => SDK | undefined): () => WorkOS {
  let client = config.workos;
  return () => (client ??= newAppClient(config, loaded() ?? requireSDK()));
}

function newAppClient(config: Config, sdk: SDK): WorkOS {
  const { timeout, fetch } = config;
  const fetchFn = fetch === undefined ? {} : { fetchFn: fetch };
  return new sdk.WorkOS({ ...credentialsOf(config), timeout, ...fetchFn });
}

/** What `authkit()` and `sso()` have in common for calls to WorkOS. */
export interface HasAppClient {
  /**
   * A `WorkOS` client of `@workos-inc/node` for your own calls, with the API key, client ID, address, `fetch` and
   * `timeout` of this instance, so in tests it calls the test WorkOS. It is created when it is first read, and it is the
   * `workos` option itself if there is one.
   *
   * @throws {AuthKitError} `sdk_missing` if `@workos-inc/node` cannot be loaded.
   * @example
   * app.get('/organizations', requireAuth(), async (req, res) => {
   *   const { user } = signedIn(req);
   *   const { data } = await auth.workos.userManagement.listOrganizationMemberships({ userId: user.id });
   *   res.json(data.map(({ organizationName }) => organizationName));
   * });
   */
  readonly workos: WorkOS;
}

/** Not enumerable: copying or printing an instance neither loads the SDK nor shows the API key. */
export function withAppClient<T extends object>(instance: T, appClient: () => WorkOS): T & HasAppClient {
  Object.defineProperty(instance, 'workos', { get: appClient });
  return instance as T & HasAppClient;
}

/**
 * Only in the first moments of a process, before the import has finished: a getter cannot wait for it. The SDK is found
 * from the program that runs, or from its working directory. `import.meta` would be simpler, but test runners that turn
 * this package into CommonJS cannot translate it.
 */
function requireSDK(): SDK {
  let cause: unknown;
  for (const from of [process.argv[1], join(process.cwd(), 'index.js')]) {
    if (from === undefined) continue;
    try {
      return createRequire(resolve(from))('@workos-inc/node') as SDK;
    } catch (error) {
      cause = error;
    }
  }
  throw sdkMissing('@workos-inc/node cannot be loaded', cause);
}

function credentialsOf({ apiKey, clientId, api }: Config) {
  const { hostname: apiHostname, https, port } = api;
  return { apiKey, clientId, apiHostname, https, ...(port === undefined ? {} : { port }) };
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
