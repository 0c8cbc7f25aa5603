import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Config } from '../config/index.js';
import type { SignUpAttributes } from '../config/options.js';
import { TRANSACTION_LIFETIME } from '../http/cookies.js';
import type { ReturnToRules } from '../http/return-to.js';
import { open, seal } from '../session/seal.js';

/** Where the browser lands is where a path of this application leads. */
export function returnRules({ returnToRules }: Config, callback: string | undefined): ReturnToRules {
  if (callback === undefined) return returnToRules;
  const { origin, pathname } = new URL(callback);
  return { ...returnToRules, origin, ownPaths: [...returnToRules.ownPaths, pathname] };
}

/** A callback may reach a server whose clock is behind by this much, in milliseconds. */
const CLOCK_SKEW = 60_000;

/** One sign-in on its way: sealed, it is both the `state` parameter and the value of its cookie. */
export interface Transaction {
  readonly nonce: string;
  readonly codeVerifier: string;
  readonly returnTo: string;
  /** Whose words the next two are: the application's, or those of whoever wrote a link. */
  readonly from?: 'app' | 'link';
  /** The application's own value, JSON. */
  readonly state?: unknown;
  readonly attributes?: SignUpAttributes;
  /** Where WorkOS sends the browser back to, if it is not the instance's own redirect URI. */
  readonly callback?: string;
  /** Challenge of the client that is going to fetch the tokens, in place of a session here. */
  readonly clientChallenge?: string;
  /** When the sign-in was issued that WorkOS did not finish and that this one goes on with; it is not tried a third time. */
  readonly restartOf?: number;
  /** Whether WorkOS was asked to have the person authenticate afresh (`max_age` or `prompt=login`). */
  readonly isFresh?: true;
  /** Begun seconds after a sign-in whose session this browser did not bring back: its end would be one more round. */
  readonly isRepeat?: true;
  /** Milliseconds since the epoch. */
  readonly issuedAt: number;
}

/** What binds a transaction to one instance, so that another one's callback refuses it (mix-up, RFC 9700 section 4.4). */
export interface TransactionBinding {
  readonly clientId: string;
  readonly redirectUri: string;
}

const PURPOSE = 'transaction';

export function newTransaction(
  fields: Omit<Transaction, 'nonce' | 'codeVerifier' | 'issuedAt'>,
  now: number,
): Transaction {
  return { ...fields, nonce: random(), codeVerifier: random(), issuedAt: now };
}

/** RFC 7636 section 4.2, S256. */
export function codeChallenge(codeVerifier: string): string {
  return createHash('sha256').update(codeVerifier).digest('base64url');
}

export function sealTransaction(
  transaction: Transaction,
  binding: TransactionBinding,
  password: string,
): Promise<string> {
  const { clientId, redirectUri } = binding;
  return seal({ purpose: PURPOSE, clientId, redirectUri, ...transaction }, password);
}

/** Opens a transaction of this instance that is not too old; anything else is `undefined`. */
export function openTransaction(
  sealed: string,
  binding: TransactionBinding,
  passwords: readonly string[],
  now: number,
): Transaction | undefined {
  const payload = open(sealed, passwords, now) as
    (Record<keyof Transaction, unknown> & Record<string, unknown>) | null;
  if (payload?.['purpose'] !== PURPOSE) return undefined;
  if (payload['clientId'] !== binding.clientId || payload['redirectUri'] !== binding.redirectUri)
    return undefined;
  const { nonce, codeVerifier, returnTo, issuedAt } = payload;
  if (typeof nonce !== 'string' || typeof codeVerifier !== 'string' || typeof returnTo !== 'string')
    return undefined;
  if (typeof issuedAt !== 'number') return undefined;
  const age = now - issuedAt;
  return age >= -CLOCK_SKEW && age < TRANSACTION_LIFETIME ? (payload as unknown as Transaction) : undefined;
}

/** Compares in a time that does not depend on where two strings differ. */
export function isSame(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function random(): string {
  return randomBytes(32).toString('base64url');
}

/** Whether a value is the same after a way through JSON: what a cookie carries comes back as it went in. */
export function isJson(value: unknown, depth = 0): boolean {
  if (depth > 32) return false;
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object') return false;
  const inside = (item: unknown) => isJson(item, depth + 1);
  if (Array.isArray(value)) return value.every(inside);
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);
  // A key without a value is no key in JSON either.
  return isPlain && Object.values(value).every((item) => item === undefined || inside(item));
}
