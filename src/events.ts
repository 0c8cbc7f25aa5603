import debug from 'debug';
import { channel } from 'node:diagnostics_channel';
import type { AuthKitErrorCode } from './errors.js';

/**
 * What an instance tells about its decisions, by channel of `node:diagnostics_channel`. Ids only: no token, no cookie,
 * no e-mail address, no query.
 *
 * @example
 * import { subscribe } from 'node:diagnostics_channel';
 * subscribe('authkit:denied', (message) => {
 *   const { code, path } = message as AuthKitEvents['authkit:denied'];
 *   metrics.increment('denied', { code, path });
 * });
 */
export interface AuthKitEvents {
  /** WorkOS confirmed somebody, and `onSuccess` did not veto. */
  'authkit:sign-in': Who & { authenticationMethod: string | undefined; isImpersonated: boolean };
  /** The callback ended in an error. */
  'authkit:sign-in-failed': { clientId: string; code: AuthKitErrorCode };
  /** A session has new tokens. Once for any number of requests that waited for them. */
  'authkit:refresh': Who;
  /** `refused`: the session is over. `unreachable`: it is kept. */
  'authkit:refresh-failed': Who & { outcome: 'refused' | 'unavailable'; code: AuthKitErrorCode };
  /** A session was ended here. */
  'authkit:sign-out': Who;
  /** A guard did not let a request pass. `path` is without its query. */
  'authkit:denied': {
    clientId: string;
    code: AuthKitErrorCode;
    userId: string | undefined;
    method: string;
    path: string;
  };
  /** One call to WorkOS. `duration` in milliseconds; `status` unless nothing came. */
  'authkit:upstream': {
    method: string;
    path: string;
    outcome: 'ok' | 'status' | 'network' | 'timeout' | 'malformed';
    status: number | undefined;
    duration: number;
  };
}

/** Whose session an event is about, at which client of WorkOS. */
interface Who {
  clientId: string;
  userId: string;
  sessionId: string | undefined;
  organizationId: string | undefined;
}

type Name = keyof AuthKitEvents extends `authkit:${infer Short}` ? Short : never;

/** Told at the moment of the decision: a line under `DEBUG=authkit:*`, and a message to whoever subscribed. */
export function publish<N extends Name>(name: N, facts: AuthKitEvents[`authkit:${N}`]): void {
  log(name, facts);
  const { [name]: to } = CHANNELS;
  if (to.hasSubscribers) to.publish(facts);
}

/** Made once: a subscriber that comes later finds the same channel. */
const CHANNELS = {
  'sign-in': channel('authkit:sign-in'),
  'sign-in-failed': channel('authkit:sign-in-failed'),
  refresh: channel('authkit:refresh'),
  'refresh-failed': channel('authkit:refresh-failed'),
  'sign-out': channel('authkit:sign-out'),
  denied: channel('authkit:denied'),
  upstream: channel('authkit:upstream'),
} satisfies Record<Name, unknown>;

/** A decision, or the route or part that made it where it is no event. */
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
  | 'upstream'
  | 'store'
  | 'response'
  | 'webhook';

const loggers = new Map<Area, debug.Debugger>();

/**
 * One line a decision, under `DEBUG=authkit:*`. Nothing secret is ever passed in, and JSON keeps what came from
 * outside on one line.
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
