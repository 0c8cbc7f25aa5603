import type { SignInOptions } from '../config/authkit-options.js';
import { type AuthKitError, isUnfinished } from '../errors.js';
import type { Transaction } from './sign-in-transaction.js';

/**
 * The errors that WorkOS returns for `prompt=none` if it cannot sign the user in without showing a page (OpenID Connect
 * Core section 3.1.2.6).
 */
const NEEDS_INTERACTION: readonly unknown[] = [
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
];

/**
 * Returns the `silent` field of the transaction, or `undefined` if the sign-in is not silent. In a silent sign-in,
 * WorkOS redirects the browser back immediately, without showing a page (OpenID Connect Core section 3.1.2.1).
 *
 * The field is `always` if `pinned` contains `prompt: 'none'`, because the sign-ins that guards start are then silent
 * too. Otherwise, it is `once`.
 *
 * @param pinned The options that the application sets for every sign-in.
 */
export function silence(
  { prompt }: SignInOptions,
  pinned: SignInOptions,
): Pick<Transaction, 'silent'> | undefined {
  if (prompt !== 'none') return undefined;
  return { silent: pinned.prompt === 'none' ? 'always' : 'once' };
}

/**
 * Whether a failed sign-in ends without an error, so that the user continues signed out. This is the case if the
 * sign-in was silent, and failed only because WorkOS could not complete it without interaction. The exception is a
 * sign-in that would otherwise continue a redirect loop.
 */
export function endsSilently(
  { code, details }: AuthKitError,
  { silent, isRepeat }: Pick<Transaction, 'silent' | 'isRepeat'>,
): boolean {
  if (silent === undefined) return false;
  const needsInteraction =
    isUnfinished(code) || (code === 'authorization_failed' && NEEDS_INTERACTION.includes(details?.['error']));
  // If every sign-in is silent, a guarded page would immediately start another sign-in, which would cause a redirect
  // loop. A repeated sign-in is therefore an error.
  return needsInteraction && !(silent === 'always' && isRepeat === true);
}
