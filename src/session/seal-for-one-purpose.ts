import { ownProperties } from '../own-properties.js';
import { open, seal } from './iron-seal.js';

/** The purpose of a sealed value, and how long it is valid. The same constant is used to seal and to open. */
export interface PayloadPurpose {
  /** Written into the payload, so that a value sealed for one purpose is not accepted for another. */
  readonly name: string;
  /** Whether the value is valid only at the redirect URI it was sealed for (mix-up defense, RFC 9700 section 4.4). */
  readonly isBoundToRedirectUri: boolean;
  /** How long the value is valid, in milliseconds. Default: its age is not checked. */
  readonly lifetime?: number;
  /** How far ahead the clock of the server that sealed the value may be, in milliseconds. Default: two minutes. */
  readonly clockSkew?: number;
}

/** The part of a `Config` that a seal is bound to. */
export interface PayloadBinding {
  readonly clientId: string;
  readonly redirectUri: string;
  /** The first password seals. Values that were sealed with any of the passwords can be opened. */
  readonly cookiePasswords: readonly [string, ...string[]];
  readonly now: () => number;
}

/** A payload that was opened. Its data is authentic: an instance with the same password sealed it. */
export type SealedPayload = Readonly<Record<string, unknown>>;

/**
 * The default `clockSkew`, in milliseconds. A sign-in may begin on one server and end on another whose clock is behind.
 */
const CLOCK_SKEW = 120_000;

/** The fields of a payload that are not data. */
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
  // iron can only seal plain data, and a session may contain objects of the SDK.
  return seal(JSON.parse(JSON.stringify({ ...data, ...envelope })) as object, cookiePasswords[0]);
}

/**
 * Opens a payload that was sealed for this purpose and this instance and has not expired. Returns `undefined` for a
 * different purpose, client, redirect URI or password, and for a value that is too old or was issued in the future.
 */
export function openPayload(
  purpose: PayloadPurpose,
  binding: PayloadBinding,
  sealed: string,
): SealedPayload | undefined {
  const now = binding.now();
  const payload = open(sealed, binding.cookiePasswords, now);
  if (!isRecord(payload)) return undefined;
  if (own(payload, 'purpose') !== purpose.name || own(payload, 'clientId') !== binding.clientId)
    return undefined;
  if (purpose.isBoundToRedirectUri && own(payload, 'redirectUri') !== binding.redirectUri) return undefined;
  return isCurrent(own(payload, 'issuedAt'), now, purpose) ? payload : undefined;
}

function isCurrent(issuedAt: unknown, now: number, purpose: PayloadPurpose): boolean {
  const { lifetime, clockSkew = CLOCK_SKEW } = ownProperties(purpose);
  if (lifetime === undefined) return true;
  if (typeof issuedAt !== 'number') return false;
  const age = now - issuedAt;
  return age >= -clockSkew && age < lifetime;
}

/** Reads an own property of the payload, so that a polluted `Object.prototype` adds nothing. */
function own(payload: SealedPayload, name: keyof Envelope): unknown {
  return Object.hasOwn(payload, name) ? payload[name] : undefined;
}

function isRecord(value: unknown): value is SealedPayload {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
