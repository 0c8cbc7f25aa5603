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
  /**
   * A refresh failed. `refused` means that the session has ended or needs another step, `unavailable` that it is kept.
   * `status` is that of WorkOS's answer, if there was one.
   */
  'authkit:refresh-failed': Who & {
    outcome: 'refused' | 'unavailable';
    code: AuthKitErrorCode;
    reason: RefreshFailureReason;
    status: number | undefined;
  };
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
    /** `anonymous`: the calls that requests without a valid credential cause, such as those with a made-up API key. */
    scope: 'main' | 'anonymous';
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
  /**
   * The signing keys of WorkOS were fetched for the first time, have changed, or the outcome of fetching them is not the
   * same as before. `count` is the number of keys in use, and `age` their age in milliseconds. `issuer` is the OAuth server of a
   * protected resource, and `undefined` for the keys of sessions.
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
   * A session cookie was not accepted, or the session in the store is older than the cookie. Published for each request.
   * The ids are `undefined` if the cookie could not be opened.
   */
  'authkit:session': {
    clientId: string;
    reason: 'invalid' | 'expired' | 'ended' | 'unavailable' | 'outdated';
    why: SessionProblem;
    /** With `token`: the claim or the part of the token that is not valid, such as `issuer` or `signature`. */
    detail: string | undefined;
    userId: string | undefined;
    sessionId: string | undefined;
  };
  /**
   * A webhook was received. `refused`: it is not genuine, or was received before. `failed`: it is genuine, but did not
   * take effect, so WorkOS sends it again. `event` and `eventId` are `undefined` for a webhook that is not genuine.
   */
  'authkit:webhook': {
    clientId: string;
    outcome: 'accepted' | 'refused' | 'failed';
    reason: WebhookProblem | undefined;
    event: string | undefined;
    eventId: string | undefined;
  };
  /**
   * A session, or every session of a user, was ended before its access token expires. Without `sessionId`, the event is
   * about all sessions of the user. `isShared` is false if the store is unavailable, so that the other processes do not
   * know about it. Without a store it is true.
   */
  'authkit:revoked': {
    clientId: string;
    sessionId: string | undefined;
    userId: string | undefined;
    isShared: boolean;
  };
}

/**
 * Why a refresh failed.
 *
 * - `session_ended`: WorkOS does not accept the refresh token any more.
 * - `next_step`: WorkOS requires something of the user first, such as a second factor. `code` says what.
 * - `refused`: WorkOS refused for another reason, such as an organization that the user has left. `code` says which.
 * - `status`: WorkOS answered with an error status; 429 is a rate limit.
 * - `network`, `timeout`, `malformed`: WorkOS could not be reached, did not answer in time, or its answer was not JSON.
 * - `circuit_open`: WorkOS was not called, because it failed a moment ago or asked for a pause.
 * - `misconfigured`: WorkOS refused the app: the API key or the client id is wrong.
 * - `answer`: the answer of WorkOS is incomplete, is about another user, or has an invalid token.
 * - `internal`: none of these, such as an SDK that cannot be loaded.
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

/** Why the signing keys could not be fetched. `no_usable_key`: the answer has no RSA key for signatures. */
export type KeysFailureReason =
  'status' | 'network' | 'timeout' | 'malformed' | 'circuit_open' | 'no_usable_key';

/**
 * Why a session was not accepted.
 *
 * - `format`: the value is not one that a WorkOS SDK makes.
 * - `password`: it has the right form, but none of the cookie passwords fits. A forged value looks the same.
 * - `content`: it was sealed with the password, but is not a session or has expired.
 * - `token`: the access token is not valid. `subject`: it is about another user.
 * - `token_expired`: the access token has expired, and there was no response that could set a new cookie.
 * - `not_in_store`: the store does not have the session. `revoked`: it was ended.
 * - `refused`: WorkOS refused to refresh it.
 * - `store`: the store is unavailable. `store_entry`: the entry in the store cannot be read.
 * - `keys`: the signing keys are unavailable. `workos`: WorkOS is unavailable.
 * - `clock`: the clock of this server is ahead, so that new tokens have expired already.
 * - `store_older`: the store holds an older session than the cookie says, for example after a failover.
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
  | 'clock'
  | 'store_older';

/**
 * Why a webhook was refused or failed.
 *
 * - `header`: there is no usable `WorkOS-Signature`. `body`: the body could not be read.
 * - `signature`: the secret is wrong, or the body was changed. `too_old`: it was signed more than three minutes ago, or
 *   in the future. `no_event`: the body contains no event. `replayed`: the delivery was received before.
 * - `store`: the store is unavailable. `handler`: `onEvent` failed.
 */
export type WebhookProblem =
  'header' | 'body' | 'signature' | 'too_old' | 'no_event' | 'replayed' | 'store' | 'handler';

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
  keys: channel('authkit:keys'),
  session: channel('authkit:session'),
  webhook: channel('authkit:webhook'),
  revoked: channel('authkit:revoked'),
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
  | 'revoked'
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
