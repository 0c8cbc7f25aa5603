// The imports are renamed, because ES module bundles often begin with a banner that declares the original names.
import { createRequire as createRequireFrom } from 'node:module';
import { fileURLToPath as toPath } from 'node:url';
import type { WorkOS } from '@workos-inc/node';
import type { Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import type { Fetch } from './fetch.js';

/** The part of `@workos-inc/node` that is used here. */
export interface SDKModule {
  WorkOS: typeof WorkOS;
}

/** The installed `@workos-inc/node`. */
export interface SDK {
  /** Imports the SDK. The SDK is 4 MB in size, so it is not imported until the first call to WorkOS. */
  load: () => Promise<SDKModule>;
  /** Loads the SDK synchronously. */
  loadNow: () => SDKModule;
  /**
   * Returns the version of the SDK without loading it. The result is `missing` if the SDK is not installed, and
   * `undefined` if the SDK is part of a bundle.
   */
  version: () => string | undefined;
}

/**
 * The name of the SDK's package. It is joined at run time, because webpack would try to resolve a literal at build
 * time. That would fail, because webpack uses different export conditions than Node.
 */
const NAME = ['@workos-inc', 'node'].join('/');

export const installedSDK: SDK = {
  load: () => import('@workos-inc/node'),
  loadNow() {
    // This loads the same module as `import` does, so there is only one class for each SDK exception.
    const isESM = typeof import.meta.resolve === 'function';
    const path = isESM ? toPath(import.meta.resolve(NAME)) : NAME;
    return createRequireFrom(import.meta.url)(path) as SDKModule;
  },
  version: () => installedVersion(import.meta.url),
};

/**
 * Reads the version from the SDK's manifest. Returns `missing` if the SDK is not installed, and `undefined` if it is
 * part of a bundle.
 *
 * @param url The URL of the file that imports the SDK.
 */
export function installedVersion(url: string): string | undefined {
  const sdk = readManifest('@workos-inc/node/package.json', url);
  if (sdk) return sdk.version;
  // The two paths lead from `dist` and from `src/workos` to the manifest of this package. If neither path does, this
  // code is part of a bundle, which may contain the SDK.
  const nearest = readManifest('../package.json', url) ?? readManifest('../../package.json', url);
  return nearest?.name === 'authkit-express' ? 'missing' : undefined;
}

function readManifest(path: string, url: string): { name: string; version: string } | undefined {
  try {
    return createRequireFrom(url)(path) as { name: string; version: string };
  } catch {
    return undefined;
  }
}

/** Warns at start-up if the SDK is missing or too old, so that the problem is noticed before the first sign-in. */
export function warnAboutSDK({ version }: SDK): void {
  const installed = version();
  if (installed === undefined || isSupported(installed)) return;
  const { message } = sdkMissing(installed === 'missing' ? NOT_FOUND : TOO_OLD);
  process.emitWarning(message, { code: 'AUTHKIT_SDK_MISSING' });
}

/**
 * Whether a version is in the range of the peer dependency in package.json, or is newer. A newer major version may
 * work. {@link loadClient} checks whether it does.
 */
function isSupported(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 10 || (major === 10 && minor >= 14);
}

const NOT_FOUND = '@workos-inc/node cannot be loaded';

const TOO_OLD = '@workos-inc/node is too old';

/**
 * Loads the SDK and creates a client with it.
 *
 * @throws {AuthKitError} `sdk_missing`, if `@workos-inc/node` is not installed or is too old.
 */
export async function loadClient(config: Config, fetchFn: Fetch, load: SDK['load']): Promise<WorkOS> {
  // This package's timeout must end a call before the SDK's timeout does, because an error from the SDK's timeout does
  // not show what happened.
  const timeout = config.timeout + 1000;
  let client: WorkOS;
  try {
    const sdk = await load();
    client = new sdk.WorkOS({ ...credentialsOf(config), timeout, maxRetries: 0, fetchFn });
  } catch (cause) {
    throw sdkMissing(NOT_FOUND, cause);
  }
  if (!isComplete(client)) throw sdkMissing(TOO_OLD);
  return client;
}

/**
 * Creates the function that returns the WorkOS client for the application's own calls: the client from the `workos`
 * option, or a new client that is created on the first call. A new client is also created if the client from the option
 * does not have the configured API key and API origin. Unlike the clients that this package uses itself, this client
 * throws the SDK's own exceptions and retries calls as the SDK does.
 *
 * @returns A function that returns the same client each time. If it has to create the client and `@workos-inc/node`
 * cannot be loaded, it throws an `AuthKitError` with the code `sdk_missing`.
 */
export function createAppClient(config: Config, { loadNow }: SDK = installedSDK): () => WorkOS {
  let client = config.workos;
  return () => (client ??= newAppClient(config, loadNow));
}

function newAppClient(config: Config, loadNow: SDK['loadNow']): WorkOS {
  const { timeout, fetch } = config;
  const fetchFn = fetch === undefined ? {} : { fetchFn: fetch };
  let sdk;
  try {
    sdk = loadNow();
  } catch (cause) {
    throw sdkMissing(NOT_FOUND, cause);
  }
  return new sdk.WorkOS({ ...credentialsOf(config), timeout, ...fetchFn });
}

/** The property that `authkit()` and `sso()` instances provide for calls to WorkOS. */
export interface HasAppClient {
  /**
   * A `WorkOS` client of `@workos-inc/node` for your own calls to WorkOS. It has the API key, client ID, API address,
   * `fetch` and `timeout` of this instance, so in tests it calls the test WorkOS of `authkit-express/testing`. The
   * client is created when this property is first read. If you passed the `workos` option, the property is the client
   * that you passed, unless you also passed a different API key or API address.
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

/**
 * Adds the property `workos` to an instance. The property is not enumerable, so copying or printing the instance
 * neither loads the SDK nor shows the API key.
 */
export function withAppClient<T extends object>(instance: T, appClient: () => WorkOS): T & HasAppClient {
  Object.defineProperty(instance, 'workos', { get: appClient });
  return instance as T & HasAppClient;
}

function credentialsOf({ apiKey, clientId, api }: Config) {
  const { hostname: apiHostname, https, port } = api;
  return { apiKey, clientId, apiHostname, https, ...(port === undefined ? {} : { port }) };
}

/** Whether the client has the methods that this package needs. Older versions of the SDK lack some of them. */
function isComplete({ userManagement, sso, apiKeys }: Partial<WorkOS>): boolean {
  return (
    typeof userManagement?.authenticateWithCode === 'function' &&
    typeof userManagement.authenticateWithRefreshToken === 'function' &&
    typeof sso?.getProfileAndToken === 'function' &&
    typeof apiKeys?.createValidation === 'function'
  );
}

function sdkMissing(problem: string, cause?: unknown): AuthKitError {
  const advice = 'install it next to authkit-express: npm install @workos-inc/node@11';
  return new AuthKitError('sdk_missing', `${problem}: ${advice}`, cause === undefined ? {} : { cause });
}
