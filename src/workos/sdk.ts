import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkOS } from '@workos-inc/node';
import type { Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import type { Fetch } from './fetch.js';

/** The installed `@workos-inc/node`. */
export interface SDK {
  /** Imports the SDK. It has 4 MB, so it is imported when the first call to WorkOS needs it. */
  load: () => Promise<{ WorkOS: typeof WorkOS }>;
  /** The version, without loading the SDK: `missing`, or `undefined` if it is part of a bundle. */
  version: () => string | undefined;
}

export const installedSDK: SDK = {
  load: () => import('@workos-inc/node'),
  version() {
    try {
      return installedVersion(import.meta.url);
    } catch {
      return undefined;
    }
  },
};

/** @param url Of the file that imports the SDK. */
function installedVersion(url: string): string | undefined {
  const require = createRequire(url);
  try {
    return (require('@workos-inc/node/package.json') as { version: string }).version;
  } catch {
    // A bundle may contain the SDK. Its files are not in the folder of this package.
    const folder = dirname(require.resolve('authkit-express/package.json'));
    return fileURLToPath(url).startsWith(folder + sep) ? 'missing' : undefined;
  }
}

/** Warns at start-up that the SDK is missing or too old, so that this is not found at the first sign-in. */
export function warnAboutSDK({ version }: SDK): void {
  const installed = version();
  if (installed === undefined || isSupported(installed)) return;
  const { message } = sdkMissing(installed === 'missing' ? NOT_FOUND : TOO_OLD);
  process.emitWarning(message, { code: 'AUTHKIT_SDK_MISSING' });
}

/** The peer dependency of package.json. A newer major version may work, which {@link loadClient} finds out. */
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
  const { apiKey, clientId, api, timeout } = config;
  const { hostname: apiHostname, https, port } = api;
  const base = { apiHostname, https, ...(port === undefined ? {} : { port }) };
  let client: WorkOS;
  try {
    const sdk = await load();
    // Our deadline comes first: the timeout of the SDK hides what happened.
    client = new sdk.WorkOS({ apiKey, clientId, ...base, timeout: timeout + 1000, maxRetries: 0, fetchFn });
  } catch (cause) {
    throw sdkMissing(NOT_FOUND, cause);
  }
  if (!isComplete(client)) throw sdkMissing(TOO_OLD);
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
