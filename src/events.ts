import debug from 'debug';
import { channel } from 'node:diagnostics_channel';
import type { AuthKitErrorCode } from './errors.js';

/**
 * The messages that an instance publishes, by channel of `node:diagnostics_channel`. They contain ids, but no token,
 * cookie, e-mail address or query.
 *
 * @example
 * import { subscribe } from 'node:diagnostics_channel';
 * subscribe('authkit:denied', (message) => {
 *   const { code, path } = message as AuthKitEvents['authkit:denied'];
 *   metrics.increment('denied', { code, path });
 * });
 */
export interface AuthKitEvents {
  /** A user signed in, and `onSuccess` did not refuse. */
  'authkit:sign-in': Who & { authenticationMethod: string | undefined; isImpersonated: boolean };
  /** The callback responded with an error. */
  'authkit:sign-in-failed': { clientId: string; code: AuthKitErrorCode };
  /** A session has new tokens. Published once, however many requests waited for them. */
  'authkit:refresh': Who;
  /** A refresh failed. `refused` means that the session has ended, `unavailable` that it is kept. */
  'authkit:refresh-failed': Who & { outcome: 'refused' | 'unavailable'; code: AuthKitErrorCode };
  /** A user signed out. */
  'authkit:sign-out': Who;
  /** A guard denied a request. `path` is without its query. */
  'authkit:denied': {
    clientId: string;
    code: AuthKitErrorCode;
    userId: string | undefined;
    method: string;
    path: string;
  };
  /**
   * Code of the application failed: an error that a hook threw, and that is not an `AuthKitError`. It goes to the error
   * handler of the application as well.
   */
  'authkit:error': { clientId: string; source: 'onSuccess'; error: unknown };
  /** One call to WorkOS. `duration` is in milliseconds. `status` is `undefined` if there was no response. */
  'authkit:upstream': {
    method: string;
    path: string;
    outcome: 'ok' | 'status' | 'network' | 'timeout' | 'malformed';
    status: number | undefined;
    duration: number;
  };
  /**
   * The circuit breaker around calls to WorkOS changed its state. `open`: calls fail at once for `pause` milliseconds.
   * `half-open`: one call is made as a probe. `closed`: WorkOS answers again.
   */
  'authkit:breaker': {
    clientId: string;
    state: 'closed' | 'open' | 'half-open';
    reason: 'failures' | 'rate_limit' | 'probe' | 'recovered';
    pause: number;
  };
  /**
   * The outcome of a store operation has changed; the first one is compared with `ok`. `duration` is in
   * milliseconds. `code` is the code or the name of the error.
   */
  'authkit:store': {
    clientId: string;
    operation: 'get' | 'set' | 'add' | 'replace' | 'delete';
    outcome: 'ok' | 'timeout' | 'error';
    duration: number;
    code: string | undefined;
  };
}

/** The session that an event is about, and the WorkOS client id of the instance. */
interface Who {
  clientId: string;
  userId: string;
  sessionId: string | undefined;
  organizationId: string | undefined;
}

/** An error of the application may hold anything, so only its name goes into the log. */
export function publishError(facts: AuthKitEvents['authkit:error']): void {
  const { clientId, source, error } = facts;
  log('error', { clientId, source, name: error instanceof Error ? error.name : typeof error });
  if (CHANNELS.error.hasSubscribers) CHANNELS.error.publish(facts);
}

type Name = keyof AuthKitEvents extends `authkit:${infer Short}` ? Short : never;

/** Publishes a message to the channel of its name, and logs it under `DEBUG=authkit:*`. */
export function publish<N extends Exclude<Name, 'error'>>(
  name: N,
  facts: AuthKitEvents[`authkit:${N}`],
): void {
  log(name, facts);
  const { [name]: to } = CHANNELS;
  if (to.hasSubscribers) to.publish(facts);
}

/** Created once, so that later subscribers use the same channels. */
const CHANNELS = {
  'sign-in': channel('authkit:sign-in'),
  'sign-in-failed': channel('authkit:sign-in-failed'),
  refresh: channel('authkit:refresh'),
  'refresh-failed': channel('authkit:refresh-failed'),
  'sign-out': channel('authkit:sign-out'),
  denied: channel('authkit:denied'),
  error: channel('authkit:error'),
  upstream: channel('authkit:upstream'),
  breaker: channel('authkit:breaker'),
  store: channel('authkit:store'),
} satisfies Record<Name, unknown>;

/** What a log line is about. Areas that are also events have the name of the event. */
type Area =
  | 'login'
  | 'session'
  | 'keys'
  | 'hook'
  | 'sign-in'
  | 'sign-in-failed'
  | 'refresh'
  | 'refresh-failed'
  | 'sign-out'
  | 'denied'
  | 'error'
  | 'upstream'
  | 'breaker'
  | 'store'
  | 'response'
  | 'webhook';

const loggers = new Map<Area, debug.Debugger>();

/**
 * Logs one line under `DEBUG=authkit:*`. Do not pass secrets to it. JSON with escaped control characters keeps
 * untrusted text on one line.
 */
export function log(area: Area, facts: object): void {
  let logger = loggers.get(area);
  if (!logger) loggers.set(area, (logger = debug(`authkit:${area}`)));
  if (logger.enabled) logger('%s', printable(JSON.stringify(facts)));
}

function printable(json: string): string {
  return json.replace(
    /[^\u0020-\u007e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
