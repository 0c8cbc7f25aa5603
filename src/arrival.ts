import { open, seal } from './seal.js';
import type { TransactionBinding } from './transaction.js';

/** A circle takes a second or two, with a slow WorkOS a few; in milliseconds. */
export const SIGN_IN_MARKER_LIFETIME = 10_000;

const PURPOSE = 'signInMarker';

/**
 * A completed sign-in, for as long as the next one could be the next round of a circle. Sealed, so that whoever plants
 * one, or keeps one, holds up a browser's sign-in for these seconds and not longer.
 */
export function sealSignInMarker(
  { clientId, redirectUri }: TransactionBinding,
  now: number,
  password: string,
): Promise<string> {
  return seal({ purpose: PURPOSE, clientId, redirectUri, at: now }, password);
}

/** Whether it is one of this instance, seconds old; clocks of two servers may differ either way. */
export function isSignInMarker(
  sealed: string,
  { clientId, redirectUri }: TransactionBinding,
  passwords: readonly string[],
  now: number,
): boolean {
  const payload = open(sealed, passwords, now) as Readonly<Record<string, unknown>> | null | undefined;
  if (payload?.['purpose'] !== PURPOSE) return false;
  if (payload['clientId'] !== clientId || payload['redirectUri'] !== redirectUri) return false;
  const { at } = payload;
  return typeof at === 'number' && Math.abs(now - at) < SIGN_IN_MARKER_LIFETIME;
}
