import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Config } from '../config/index.js';
import type { SignUpAttributes } from '../config/options.js';
import type { ReturnToRules } from '../http/return-to.js';
import { ownProperties } from '../own-properties.js';
import {
  openPayload,
  type PayloadBinding,
  type PayloadPurpose,
  sealPayload,
} from '../session/seal-for-one-purpose.js';
import { sha256 } from '../sha256.js';

/**
 * One sign-in, from the login route to the callback.
 *
 * It is sealed in `state`, which is part of the authorization URL and the callback URL, and so ends up in logs and
 * browser histories. Therefore it contains only a hash of the secret in the browser's cookie. The secret is needed to
 * finish the sign-in, and the PKCE verifier is derived from it. Neither appears in a URL (RFC 9700 sections 2.1.1,
 * 4.7).
 */
export interface Transaction {
  /** SHA-256 of the secret in the cookie, in base64url. */
  readonly secretHash: string;
  readonly returnTo: string;
  /** Where `state` and `attributes` come from: the application, or a link that anyone can write. */
  readonly from?: 'app' | 'link';
  /** The application's own JSON value. */
  readonly state?: unknown;
  readonly attributes?: SignUpAttributes;
  /** Where WorkOS sends the browser back to, if not to the redirect URI of the instance. */
  readonly callback?: string;
  /**
   * PKCE challenge of the native or single-page client that will fetch the tokens. If it is set, the callback creates
   * no session.
   */
  readonly clientChallenge?: string;
  /**
   * Set on a retry: when the first attempt, which WorkOS did not finish, began, in milliseconds since the epoch. A
   * retry is not retried.
   */
  readonly restartOf?: number;
  /** The maximum age of the authentication that was requested from WorkOS, in seconds; 0 for `prompt=login`. */
  readonly maxAge?: number;
  /**
   * Set for a sign-in with `prompt=none`, which may end without a session. `always` means that the application makes
   * every sign-in silent.
   */
  readonly silent?: 'once' | 'always';
  /** Set if the browser signed in a few seconds ago but did not send the session cookie back. */
  readonly isRepeat?: true;
  /** Set if the sign-in began on a page of this site or in the application's code, not on another site. */
  readonly beganHere?: true;
  /** What a sign-in of `sso()` asked WorkOS for. The profile has to come from there. */
  readonly identityProvider?: IdentityProvider;
  /** The host of the login request, if it differs from the host of the callback. */
  readonly host?: string;
  /** When the sign-in began, in milliseconds since the epoch. */
  readonly issuedAt: number;
}

/** The organization, the connection or the OAuth provider through which a user has to sign in. */
export interface IdentityProvider {
  readonly organization?: string | undefined;
  readonly connection?: string | undefined;
  readonly provider?: string | undefined;
}

/**
 * Has no `lifetime`: `openTransaction` checks the age, because the `returnTo` of an expired transaction is still used.
 */
const TRANSACTION: PayloadPurpose = { name: 'transaction', isBoundToRedirectUri: true };

/** How far the clock of the server that receives the callback may be behind, in milliseconds. */
export const CLOCK_SKEW = 120_000;

/** Creates a transaction, as an object without a prototype, and the secret for the browser's transaction cookie. */
export function newTransaction(
  fields: Omit<Transaction, 'secretHash' | 'issuedAt'>,
  now: number,
): { transaction: Transaction; secret: string } {
  const secret = randomBytes(32).toString('base64url');
  return { transaction: ownProperties({ ...fields, secretHash: sha256(secret), issuedAt: now }), secret };
}

/** Whether this is the secret of a transaction. Compares in constant time. */
export function isSecretOf(secret: string, { secretHash }: Transaction): boolean {
  return isSame(sha256(secret), secretHash);
}

export function sealTransaction(
  transaction: Transaction,
  binding: Omit<PayloadBinding, 'now'>,
): Promise<string> {
  return sealPayload(TRANSACTION, { ...binding, now: () => transaction.issuedAt }, transaction);
}

export type OpenedTransaction =
  { readonly kind: 'ok' | 'expired'; readonly transaction: Transaction } | { readonly kind: 'invalid' };

const INVALID: OpenedTransaction = { kind: 'invalid' };

/** The part of a `Config` that opening a transaction depends on. */
export type TransactionRules = PayloadBinding & Pick<Config, 'signInLifetime'>;

/** Opens a transaction of this instance. An expired one still contains its `returnTo`. */
export function openTransaction(sealed: string, rules: TransactionRules): OpenedTransaction {
  const payload = openPayload(TRANSACTION, rules, sealed);
  if (typeof payload?.['secretHash'] !== 'string' || typeof payload['returnTo'] !== 'string') return INVALID;
  const { issuedAt } = payload;
  const age = typeof issuedAt === 'number' ? rules.now() - issuedAt : -Infinity;
  if (age < -CLOCK_SKEW) return INVALID;
  const kind = age < rules.signInLifetime * 1000 ? 'ok' : 'expired';
  return { kind, transaction: payload as unknown as Transaction };
}

/** Compares two strings in a time that does not depend on where they differ. */
export function isSame(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(sha256(a)), Buffer.from(sha256(b)));
}

/**
 * Rules for `returnTo`. A path is relative to the origin that the browser returns to, which is that of `callback` if it
 * is set.
 */
export function returnRules({ returnToRules }: Config, callback: string | undefined): ReturnToRules {
  if (callback === undefined) return returnToRules;
  const { origin, pathname } = new URL(callback);
  return { ...returnToRules, origin, ownPaths: [...returnToRules.ownPaths, pathname] };
}

/** Whether a value is the same after a round trip through JSON. */
export function isJson(value: unknown, depth = 0): boolean {
  if (depth > 32) return false;
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object') return false;
  const inside = (item: unknown) => isJson(item, depth + 1);
  if (Array.isArray(value)) return value.every(inside);
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);
  // JSON leaves out a key whose value is undefined.
  return isPlain && Object.values(value).every((item) => item === undefined || inside(item));
}
