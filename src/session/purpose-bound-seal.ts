import { isRecord, ownProperties } from '../plain-objects.js';
import { open, seal } from './iron-seal.js';

/**
 * The purpose of a sealed value, and the rules that decide whether the value is valid. The same constant is used both
 * to seal a value and to open it.
 */
export interface PayloadPurpose {
  /**
   * The name of the purpose. It is part of the payload, so a value that was sealed for one purpose is not accepted for
   * a different one.
   */
  readonly name: string;
  /**
   * Whether the value is valid only at the redirect URI for which it was sealed (mix-up defense, RFC 9700 section 4.4).
   */
  readonly isBoundToRedirectUri: boolean;
  /** How long the value is valid, in milliseconds. By default, the age of the value is not checked. */
  readonly lifetime?: number;
  /**
   * How far ahead the sealing server's clock may be, in milliseconds. Checked only if `lifetime` is set. Default two
   * minutes.
   */
  readonly clockSkew?: number;
}

/** The parts of a `Config` that are needed to seal and open payloads. */
export interface PayloadBinding {
  readonly clientId: string;
  readonly redirectUri: string;
  /** The first password is used to seal, and all of them are used to open. */
  readonly cookiePasswords: readonly [string, ...string[]];
  readonly now: () => number;
}

/** An opened payload. Its data is authentic, because it was sealed with one of the instance's passwords. */
export type SealedPayload = Readonly<Record<string, unknown>>;

/**
 * The default `clockSkew`, in milliseconds. It is needed because a sign-in may begin on one server and end on a
 * different server whose clock is behind.
 */
export const CLOCK_SKEW = 120_000;

/** The fields of a payload that `sealPayload` adds to the data. */
interface Envelope {
  readonly purpose: string;
  readonly clientId: string;
  readonly redirectUri?: string;
  /** When the payload was sealed, in milliseconds since the epoch. */
  readonly issuedAt: number;
}

/** Seals data for one purpose and one instance. Values that JSON cannot represent are left out. */
export function sealPayload(
  purpose: PayloadPurpose,
  { clientId, redirectUri, cookiePasswords, now }: PayloadBinding,
  data: object = {},
): Promise<string> {
  const envelope: Envelope = {
    purpose: purpose.name,
    clientId,
    ...(purpose.isBoundToRedirectUri ? { redirectUri } : {}),
    issuedAt: now(),
  };
  // iron can only seal plain data, but a session may contain other kinds of objects that come from the WorkOS SDK.
  return seal(JSON.parse(JSON.stringify({ ...data, ...envelope })) as object, cookiePasswords[0]);
}

/**
 * Opens a payload that was sealed for this purpose and this instance and has not expired. Returns `undefined` if the
 * purpose, client ID, redirect URI or password is different, or if the value is too old or was sealed too far in
 * the future.
 */
export function openPayload(
  purpose: PayloadPurpose,
  binding: PayloadBinding,
  sealed: string,
): SealedPayload | undefined {
  const now = binding.now();
  const payload = open(sealed, binding.cookiePasswords, now);
  if (!isRecord(payload)) return undefined;
  // The payload has no prototype, so a polluted `Object.prototype` has no effect.
  const {
    purpose: name,
    clientId,
    redirectUri,
    issuedAt,
  }: Partial<Record<keyof Envelope, unknown>> = payload;
  if (name !== purpose.name || clientId !== binding.clientId) return undefined;
  if (purpose.isBoundToRedirectUri && redirectUri !== binding.redirectUri) return undefined;
  return isCurrent(issuedAt, now, purpose) ? payload : undefined;
}

function isCurrent(issuedAt: unknown, now: number, purpose: PayloadPurpose): boolean {
  const { lifetime, clockSkew = CLOCK_SKEW } = ownProperties(purpose);
  if (lifetime === undefined) return true;
  if (typeof issuedAt !== 'number') return false;
  const age = now - issuedAt;
  return age >= -clockSkew && age < lifetime;
}
