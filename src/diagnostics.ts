import debug from 'debug';
import { channel } from 'node:diagnostics_channel';
import type { AuthKitErrorCode } from './errors.js';

/**
 * The messages that an instance publishes through `node:diagnostics_channel`, by channel name. They contain IDs, but no
 * tokens, cookies, email addresses or query strings.
 *
 * @example
 * import { subscribe } from 'node:diagnostics_channel';
 * subscribe('authkit:denied', (message) => {
 *   const { code, path } = message as AuthKitEvents['authkit:denied'];
 *   metrics.increment('denied', { code, path });
 * });
 */
export interface AuthKitEvents {
  /** A user signed in, and `onSuccess` did not reject the sign-in. */
  'authkit:sign-in': Who & { authenticationMethod: string | undefined; isImpersonated: boolean };
  /**
   * A sign-in failed: the callback route responded with an error, or redirected to a native or single-page client with
   * an error.
   */
  'authkit:sign-in-failed': { clientId: string; code: AuthKitErrorCode };
  /** A session was refreshed. The message is published once per refresh, no matter how many requests waited for it. */
  'authkit:refresh': Who;
  /**
   * A refresh failed. `refused`: the session has ended, or WorkOS requires a further step from the user. `unavailable`:
   * WorkOS sent no usable response, so the session is kept. `status` is the HTTP status of WorkOS's response, if there
   * was one.
   */
  'authkit:refresh-failed': Who & {
    outcome: 'refused' | 'unavailable';
    code: AuthKitErrorCode;
    reason: RefreshFailureReason;
    status: number | undefined;
  };
  /** A user signed out. */
  'authkit:sign-out': Who;
  /** A guard denied a request. `path` does not include the query string. */
  'authkit:denied': {
    clientId: string;
    code: AuthKitErrorCode;
    userId: string | undefined;
    method: string;
    path: string;
    /**
     * The condition of the guard's rule that the request does not meet, such as `{ role: 'admin' }`. `undefined` if the
     * request was denied before the rule was checked, for example because no user is signed in.
     */
    rule: FailedCondition | undefined;
  };
  /**
   * The application's `onSuccess` or `signIn` function threw an error or returned an invalid value. No message is
   * published if `onSuccess` throws an `AuthKitError`, because that is how an application rejects a sign-in.
   */
  'authkit:error': { clientId: string; source: 'onSuccess' | 'signIn'; error: unknown };
  /** A call to WorkOS finished. `duration` is in milliseconds. `status` is `undefined` if there was no response. */
  'authkit:upstream': {
    method: string;
    path: string;
    outcome: 'ok' | 'status' | 'network' | 'timeout' | 'malformed';
    status: number | undefined;
    duration: number;
  };
  /**
   * The circuit breaker around calls to WorkOS changed state. `open`: calls fail immediately, for `pause` milliseconds.
   * `half-open`: one call is made as a probe. `closed`: WorkOS is responding again.
   */
  'authkit:breaker': {
    clientId: string;
    /**
     * `anonymous`: calls for requests without a valid credential, for example to check a made-up API key. `keys`: calls
     * that fetch signing keys. Each server that publishes keys has a separate circuit breaker. `main`: all other calls.
     */
    scope: 'main' | 'anonymous' | 'keys';
    state: 'closed' | 'open' | 'half-open';
    reason: 'failures' | 'rate_limit' | 'probe' | 'recovered';
    pause: number;
  };
  /**
   * The outcome of a store operation differs from the previous outcome of the same operation. The first outcome is
   * published only if it is not `ok`. `duration` is in milliseconds. `code` is the error's `code` or, if it has none,
   * its `name`.
   */
  'authkit:store': {
    clientId: string;
    operation: 'get' | 'set' | 'add' | 'replace' | 'delete';
    outcome: 'ok' | 'timeout' | 'error';
    duration: number;
    code: string | undefined;
  };
  /**
   * Signing keys were fetched for the first time, the keys have changed, or the outcome of fetching them has changed.
   * `count` is the number of keys in use. `age` is the time since these keys were fetched, in milliseconds. `issuer` is
   * the OAuth server of a protected resource, or `undefined` for the keys that verify sessions.
   */
  'authkit:keys': {
    clientId: string;
    issuer: string | undefined;
    outcome: 'ok' | 'unavailable';
    reason: KeysFailureReason | undefined;
    status: number | undefined;
    count: number;
    age: number | undefined;
  };
  /**
   * A session cookie was not accepted, or the session in the store is older than the cookie. The message is published
   * for every request that sends the cookie. `userId` and `sessionId` are `undefined` if they cannot be read from the
   * cookie.
   */
  'authkit:session': {
    clientId: string;
    reason: 'invalid' | 'expired' | 'ended' | 'unavailable' | 'outdated';
    why: SessionProblem;
    /** The part of the token that is invalid, such as `issuer` or `signature`. `undefined` unless `why` is `token`. */
    detail: string | undefined;
    userId: string | undefined;
    sessionId: string | undefined;
  };
  /**
   * A webhook was received. `refused`: the webhook is not genuine, contains no readable event, or was received before.
   * `failed`: the webhook is genuine but could not be processed, so WorkOS will send it again. `event` and `eventId`
   * are set only if the webhook is genuine and contains an event.
   */
  'authkit:webhook': {
    clientId: string;
    outcome: 'accepted' | 'refused' | 'failed';
    reason: WebhookProblem | undefined;
    event: string | undefined;
    eventId: string | undefined;
  };
  /**
   * A session, or every session of a user, was ended before its access token expired. `sessionId` is `undefined` if all
   * sessions of the user were ended. `isShared` is false if the store was unavailable, so the other processes have not
   * been told. If the app has no store, `isShared` is true.
   */
  'authkit:revoked': {
    clientId: string;
    sessionId: string | undefined;
    userId: string | undefined;
    isShared: boolean;
  };
}

/**
 * The condition of a guard's rule that a request did not meet, with the required value. If the required value is a
 * function, the condition contains the function's name, or `anonymous` if the function has no name.
 */
export interface FailedCondition {
  readonly role?: RequiredValues;
  readonly permission?: RequiredValues;
  readonly entitlement?: RequiredValues;
  readonly featureFlag?: RequiredValues;
  /** `true`, an organization ID, or the name of a function. */
  readonly organization?: true | string;
  readonly impersonation?: boolean;
  readonly sameOrigin?: true | readonly string[];
  /** The maximum time since the user last authenticated, in seconds. */
  readonly maxAge?: number;
  /** The name of the `check` function. */
  readonly check?: string;
}

type RequiredValues = string | readonly string[] | { readonly any: readonly string[] };

/**
 * Why a refresh failed.
 *
 * - `session_ended`: WorkOS no longer accepts the refresh token.
 * - `next_step`: WorkOS requires another step from the user first, such as a second factor. `code` names the step.
 * - `refused`: WorkOS refused the refresh for a different reason, for example because the user has left the
 *   organization. `code` gives the reason.
 * - `status`: WorkOS responded with an error status, such as 429 for a rate limit.
 * - `network`: WorkOS could not be reached.
 * - `timeout`: WorkOS did not respond in time.
 * - `malformed`: WorkOS did not respond with JSON.
 * - `circuit_open`: WorkOS was not called, because recent calls failed or WorkOS asked this app to slow down.
 * - `misconfigured`: WorkOS refused the refresh because of the app's configuration, such as a wrong API key or client
 *   ID.
 * - `answer`: WorkOS's response is incomplete, is for a different user, or contains an invalid token.
 * - `internal`: the refresh failed for any other reason, for example because the SDK cannot be loaded.
 */
export type RefreshFailureReason =
  | 'session_ended'
  | 'next_step'
  | 'refused'
  | 'status'
  | 'network'
  | 'timeout'
  | 'malformed'
  | 'circuit_open'
  | 'misconfigured'
  | 'answer'
  | 'internal';

/**
 * Why the signing keys could not be fetched. `no_usable_key`: the response contains no RSA signing key. The other
 * values have the same meaning as in {@link RefreshFailureReason}.
 */
export type KeysFailureReason =
  'status' | 'network' | 'timeout' | 'malformed' | 'circuit_open' | 'no_usable_key';

/**
 * Why a message was published on the channel `authkit:session`.
 *
 * - `format`: the cookie value does not have the format of the WorkOS SDKs' session cookies.
 * - `password`: the cookie value has the right format, but none of the cookie passwords decrypts it, or it was sealed
 *   with an expiry time that has passed. The cookie may be forged.
 * - `content`: one of the cookie passwords decrypts the cookie value, but the content is not a session.
 * - `token`: the access token is invalid.
 * - `subject`: the access token belongs to a different user.
 * - `token_expired`: the access token has expired, or its user has changed since it was issued. The session was not
 *   refreshed, because the response could not set a cookie with a new token.
 * - `not_in_store`: the session is not in the store.
 * - `revoked`: the session has been ended.
 * - `refused`: WorkOS refused to refresh the session.
 * - `store`: the store is unavailable.
 * - `store_entry`: the entry in the store cannot be read.
 * - `keys`: the signing keys are unavailable.
 * - `workos`: WorkOS is unavailable.
 * - `user_changed`: the user has changed, and several refreshes returned only tokens from before the change.
 * - `clock`: this server's clock is fast, so even new tokens look expired.
 * - `store_older`: the store holds an older version of the session than the cookie refers to, for example after a
 *   failover.
 */
export type SessionProblem =
  | 'format'
  | 'password'
  | 'content'
  | 'token'
  | 'subject'
  | 'token_expired'
  | 'not_in_store'
  | 'revoked'
  | 'refused'
  | 'store'
  | 'store_entry'
  | 'keys'
  | 'workos'
  | 'user_changed'
  | 'clock'
  | 'store_older';

/**
 * Why a webhook was refused or failed.
 *
 * - `header`: the request has no usable `WorkOS-Signature` header.
 * - `body`: the body could not be read.
 * - `signature`: the signature does not match, because the secret is wrong or the body was changed.
 * - `too_old`: the timestamp of the signature is more than three minutes in the past or in the future.
 * - `no_event`: the body contains no event.
 * - `replayed`: the same delivery was received before.
 * - `store`: the store is unavailable.
 * - `handler`: `onEvent` threw an error.
 */
export type WebhookProblem =
  'header' | 'body' | 'signature' | 'too_old' | 'no_event' | 'replayed' | 'store' | 'handler';

/** The session that an event is about, and the WorkOS client ID of the instance. */
interface Who {
  clientId: string;
  userId: string;
  sessionId: string | undefined;
  organizationId: string | undefined;
}

/**
 * Publishes an error on the channel `authkit:error`. The log contains only the error's name, because the message of an
 * error from the application may contain secrets.
 *
 * @param message A message to log in addition to the name. Pass a message only if this package has created the error.
 */
export function publishError(facts: AuthKitEvents['authkit:error'], message?: string): void {
  const { clientId, source, error } = facts;
  log('error', { clientId, source, name: errorNameOf(error), message });
  if (CHANNELS.error.hasSubscribers) CHANNELS.error.publish(facts);
}

type Name = keyof AuthKitEvents extends `authkit:${infer Short}` ? Short : never;

/** Publishes a message on the channel `authkit:<name>`, and logs the message if `DEBUG` selects that name. */
export function publish<N extends Exclude<Name, 'error'>>(
  name: N,
  facts: AuthKitEvents[`authkit:${N}`],
): void {
  log(name, facts);
  const { [name]: to } = CHANNELS;
  if (to.hasSubscribers) to.publish(facts);
}

/** The channel of each event, by its short name. */
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
  keys: channel('authkit:keys'),
  session: channel('authkit:session'),
  webhook: channel('authkit:webhook'),
  revoked: channel('authkit:revoked'),
} satisfies Record<Name, unknown>;

/**
 * The part of the package that a log line is about. For example, `DEBUG=authkit:session` selects the area `session`.
 * Each event is logged under the area that has the event's name.
 */
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
  | 'revoked'
  | 'response'
  | 'webhook';

const loggers = new Map<Area, debug.Debugger>();

/**
 * Logs `facts` if `DEBUG` selects `authkit:<area>`. The facts must not contain secrets. They are written as JSON, and
 * every character outside printable ASCII is escaped, so that untrusted text cannot start a new line.
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

/**
 * Returns an error's name, or the type of a thrown value that is not an error, for logs. The message is never logged,
 * because it may contain secrets.
 */
export function errorNameOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.name : typeof thrown;
}

/** The minimum time between two process warnings with the same code, in milliseconds. */
const WARN_EVERY = 60_000;

/**
 * Creates a function that emits a process warning, at most once a minute per process. The minute is measured with the
 * monotonic clock, because the system clock may be wrong. Call `createWarning` once per code, when a module is loaded.
 */
export function createWarning(code: string): (message: string) => void {
  let warnedAt = -Infinity;
  return (message) => {
    if (performance.now() - warnedAt < WARN_EVERY) return;
    warnedAt = performance.now();
    process.emitWarning(message, { code });
  };
}
