import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Config } from '../config/index.js';
import type { SignUpAttributes } from '../config/authkit-options.js';
import type { ReturnToRules } from '../http/return-to.js';
import { ownProperties } from '../plain-objects.js';
import {
  CLOCK_SKEW,
  openPayload,
  type PayloadBinding,
  type PayloadPurpose,
  sealPayload,
} from '../session/purpose-bound-seal.js';
import type { EarlierSession } from '../session/sessions-in-store.js';
import { sha256 } from '../sha256.js';

/**
 * The data of one sign-in, from the login request to the callback.
 *
 * The transaction is sealed in `state`. This parameter is part of the authorization URL and of the callback URL, so it
 * appears in logs and browser histories. Therefore, the transaction contains only a hash of the secret in the browser's
 * cookie. The secret is needed to finish the sign-in, and the PKCE verifier is derived from the secret. Neither the
 * secret nor the verifier appears in a URL (RFC 9700 sections 2.1.1 and 4.7).
 */
export interface Transaction {
  /** The SHA-256 hash of the secret in the transaction cookie, in base64url. */
  readonly secretHash: string;
  /** The page that the user returns to, or the redirect URI of the native or single-page client that gets the code. */
  readonly returnTo: string;
  /** Where `state` and `attributes` come from: the application's code, or a link, which anyone can create. */
  readonly from?: 'app' | 'link';
  /** A JSON value that is passed through to `onSuccess`. */
  readonly state?: unknown;
  readonly attributes?: SignUpAttributes;
  /** The redirect URI of this sign-in, if it differs from the redirect URI of the instance. */
  readonly callback?: string;
  /**
   * The PKCE challenge of the native or single-page client that will fetch the tokens. If it is set, the callback
   * creates no session.
   */
  readonly clientChallenge?: string;
  /**
   * Set if this sign-in is a retry of one that WorkOS did not finish. It is the time at which the first attempt began,
   * in milliseconds since the epoch. A retry is not retried.
   */
  readonly restartOf?: number;
  /**
   * The maximum age, in seconds, of an authentication that WorkOS accepts for this sign-in. It is 0 for `prompt=login`.
   */
  readonly maxAge?: number;
  /**
   * Set for a sign-in with `prompt=none`, which may end without a session. `always` means that the application makes
   * every sign-in silent, and `once` means that only this sign-in is silent.
   */
  readonly silent?: 'once' | 'always';
  /** Set if the browser signed in a few seconds ago but did not send the session cookie back. */
  readonly isRepeat?: true;
  /** Set if the session cookie is strict, and the sign-in is known not to have begun on another site. */
  readonly beganHere?: true;
  /**
   * The sessions that the browser had when the sign-in began. Set only for `strict` cookies, because browsers do not
   * send these to the callback. For a session in the store, this contains only a hash of the ID in the session's
   * cookie.
   */
  readonly earlierSessions?: readonly EarlierSession[];
  /** The identity provider that a sign-in of `sso()` requested. The profile must come from this provider. */
  readonly identityProvider?: IdentityProvider;
  /** The host of the login request, if it differs from the host of the callback. */
  readonly host?: string;
  /** When the sign-in began, in milliseconds since the epoch. */
  readonly issuedAt: number;
}

/**
 * Returns the sessions that the browser had when the sign-in began, except those whose cookies were sent with the
 * callback. Browsers send even strict cookies with the callback if AuthKit has a custom domain on this site.
 *
 * @param sent The sessions whose cookies were sent with the callback. Invalid cookies are `undefined`.
 */
export function earlierSessionsOf(
  transaction: Pick<Transaction, 'earlierSessions'>,
  sent: readonly (EarlierSession | undefined)[],
): readonly EarlierSession[] {
  const { earlierSessions = [] } = ownProperties(transaction);
  const isSent = ({ idHash, sessionId }: EarlierSession) =>
    sent.some((one) => one !== undefined && one.idHash === idHash && one.sessionId === sessionId);
  return earlierSessions.map(ownProperties).filter((one) => !isSent(one));
}

/** The organization, the connection or the OAuth provider through which a user must sign in. */
export interface IdentityProvider {
  readonly organization?: string | undefined;
  readonly connection?: string | undefined;
  readonly provider?: string | undefined;
}

/**
 * How transactions are sealed. There is no `lifetime`: `openTransaction` checks the age, because the `returnTo` of an
 * expired transaction is still used.
 */
const TRANSACTION: PayloadPurpose = { name: 'transaction', isBoundToRedirectUri: true };

/** Creates a transaction and the secret for the browser's transaction cookie. The transaction has no prototype. */
export function newTransaction(
  fields: Omit<Transaction, 'secretHash' | 'issuedAt'>,
  now: number,
): { transaction: Transaction; secret: string } {
  const secret = randomBytes(32).toString('base64url');
  return { transaction: ownProperties({ ...fields, secretHash: sha256(secret), issuedAt: now }), secret };
}

/** Whether `secret` is the secret of the transaction. The comparison takes constant time. */
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

/** The part of a `Config` that is needed to open a transaction. */
export type TransactionRules = PayloadBinding & Pick<Config, 'signInLifetime'>;

/**
 * Opens a sealed transaction of this instance. An expired transaction is returned too, because its `returnTo` is still
 * used.
 */
export function openTransaction(sealed: string, rules: TransactionRules): OpenedTransaction {
  const payload = openPayload(TRANSACTION, rules, sealed);
  if (typeof payload?.['secretHash'] !== 'string' || typeof payload['returnTo'] !== 'string') return INVALID;
  const { issuedAt } = payload;
  const age = typeof issuedAt === 'number' ? rules.now() - issuedAt : -Infinity;
  if (age < -CLOCK_SKEW) return INVALID;
  const kind = age < rules.signInLifetime * 1000 ? 'ok' : 'expired';
  return { kind, transaction: payload as unknown as Transaction };
}

/** Whether two strings are equal. The duration of the comparison does not depend on where they differ. */
export function isSame(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(sha256(a)), Buffer.from(sha256(b)));
}

/**
 * Returns the rules for validating `returnTo`. A path is relative to the origin of `callback` or, if `callback` is
 * `undefined`, to the origin of the instance's redirect URI.
 */
export function returnRules({ returnToRules }: Config, callback: string | undefined): ReturnToRules {
  if (callback === undefined) return returnToRules;
  const { origin, pathname } = new URL(callback);
  return { ...returnToRules, origin, ownPaths: [...returnToRules.ownPaths, pathname] };
}

/**
 * Whether JSON can represent a value. Keys whose value is `undefined` are ignored. Values that are nested more than 32
 * levels deep are not accepted.
 */
export function isJson(value: unknown, depth = 0): boolean {
  if (depth > 32) return false;
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object') return false;
  const inside = (item: unknown) => isJson(item, depth + 1);
  if (Array.isArray(value)) return value.every(inside);
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);
  // JSON leaves out keys whose value is `undefined`.
  return isPlain && Object.values(value).every((item) => item === undefined || inside(item));
}
