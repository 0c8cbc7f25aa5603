import type { Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import { invalidStateText } from '../http/page-texts.js';

/**
 * The reason why a callback does not belong to a sign-in that this browser began. An `invalid_state` error contains it
 * as `details.reason`.
 *
 * - `no_cookie`: the browser did not send the transaction cookie of the sign-in.
 * - `other_host`: the browser did not send the transaction cookie, because the sign-in began at a host other than the
 *   host of the redirect URI.
 * - `seal`: `state` was not created by this application, or was modified.
 * - `expired`: the sign-in took longer than `signInLifetime`.
 * - `spent`: a callback with this `state` has been handled before.
 */
export type InvalidStateReason = 'no_cookie' | 'other_host' | 'seal' | 'expired' | 'spent';

/**
 * Creates an `invalid_state` error.
 *
 * @param host The host at which the sign-in began, if `reason` is `other_host`.
 */
export function invalidState(reason: InvalidStateReason, config: Config, host = ''): AuthKitError {
  const publicMessage = invalidStateText(reason);
  return new AuthKitError('invalid_state', messageOf(reason, config, host), {
    details: { reason },
    ...(publicMessage === undefined ? {} : { publicMessage }),
  });
}

function messageOf(reason: InvalidStateReason, config: Config, host: string): string {
  const { origin } = new URL(config.redirectUri);
  switch (reason) {
    case 'no_cookie':
      return (
        'the browser did not send the cookie of this sign-in. Usual causes: the sign-in began under another name of ' +
        'this host (127.0.0.1 is not localhost for a cookie); it began over http although redirectUri is https, so ' +
        'the browser dropped the Secure cookie; it began in another browser; or cookies are blocked. ' +
        `Open the app at ${origin}`
      );
    case 'other_host':
      return (
        `the sign-in began at ${host}, but redirectUri is at ${origin}, and a browser does not send cookies of one ` +
        `host to another. Open the app at ${origin}, change redirectUri, or set cookie.domain`
      );
    case 'seal':
      return (
        'state was not made by this application, or was changed on the way. If it was made by another process of it, ' +
        'clientId, redirectUri or cookiePassword differ'
      );
    case 'expired':
      return `the sign-in took longer than signInLifetime, ${config.signInLifetime} seconds`;
    case 'spent':
      return 'a callback with this state has been handled before';
  }
}
