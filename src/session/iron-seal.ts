import {
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  pbkdf2Sync,
  timingSafeEqual,
} from 'node:crypto';
import { isRecord, ownProperties } from '../plain-objects.js';

/**
 * Every seal starts with this prefix. The format of a seal is iron's `Fe26.2`, followed by the version suffix of
 * iron-session. All WorkOS SDKs use this format:
 *
 *   Fe26.2*<password id>*<salt>*<iv>*<ciphertext>*<expiration>*<hmac salt>*<hmac>~2
 *
 * The ciphertext is encrypted with AES-256-CBC. The HMAC is HMAC-SHA256 over everything before `*<hmac salt>`. Both
 * keys are derived with PBKDF2-SHA1(password, salt, 1 round), each with a different salt. A single round of PBKDF2 does
 * not slow down an attacker who guesses passwords, so the password itself must be strong.
 */
const PREFIX = 'Fe26.2';

const VERSION_SUFFIX = '~2';

const PASSWORD_ID = '1';

/**
 * The maximum length of a seal that comes from a header, in characters. A longer seal is refused before any
 * cryptographic operation. By default, Node rejects a `Cookie` header of this length.
 */
const MAX_SEAL_LENGTH = 16_384;

/** Length of a base64url-encoded initialization vector (16 bytes), in characters. */
const IV_LENGTH = 22;

/** Length of an AES-256 key and of an HMAC key, in bytes. */
const KEY_LENGTH = 32;

const HEX_SALT = /^[0-9a-f]{64}$/;

const MILLISECONDS = /^[1-9][0-9]{0,15}$/;

/** The clock difference that iron tolerates by default, in milliseconds. */
const CLOCK_SKEW = 60_000;

/** Seals `data`. This package and every WorkOS SDK that uses the same password can open the seal. */
export async function seal(data: object, password: string): Promise<string> {
  // Imported on demand, because most requests only open seals.
  const iron = await import('iron-webcrypto');
  const { encryption, integrity, ...others } = iron.defaults;
  // The options have no prototype, so a polluted `Object.prototype` cannot set the salt or the initialization vector.
  const options = ownProperties({
    ...others,
    encryption: ownProperties(encryption),
    integrity: ownProperties(integrity),
    ttl: 0,
  });
  const sealed = await iron.seal(data, ownProperties({ id: PASSWORD_ID, secret: password }), options);
  return sealed + VERSION_SUFFIX;
}

/**
 * Opens a seal with the first password that matches, and returns the data that was sealed. Returns `undefined` if the
 * value was not sealed with any of the passwords, or if the seal has expired.
 *
 * This function is synchronous and uses `node:crypto`. `iron-webcrypto` takes about 30 times as long for the same seal,
 * because it uses promises and other threads. This package therefore uses `iron-webcrypto` only to seal. The tests
 * check that both implementations open the same seals.
 *
 * @param passwords The passwords to try, in this order. A seal does not show which password was used, because the SDKs
 * write the password ID `1` into every seal.
 * @param now The current time, in milliseconds since the epoch. It is used only for seals that have an expiration time.
 * @param maxLength The maximum length of the seal, in characters. A seal that does not come from a header may be longer
 * than the default.
 */
export function open(
  sealed: string,
  passwords: readonly string[],
  now: number,
  maxLength = MAX_SEAL_LENGTH,
): unknown {
  const parts = sealed.length > maxLength ? undefined : parse(sealed);
  if (!parts) return undefined;
  for (const password of passwords) {
    if (!isAuthentic(parts, password)) continue;
    if (parts.expiration !== '' && Number(parts.expiration) <= now - CLOCK_SKEW) return undefined;
    return decrypt(parts, password);
  }
  return undefined;
}

/** Whether a value has the format of a seal. The password is not checked. */
export function isSealed(value: string): boolean {
  return value.length <= MAX_SEAL_LENGTH && parse(value) !== undefined;
}

interface SealParts {
  signed: string;
  salt: string;
  iv: string;
  ciphertext: string;
  expiration: string;
  hmacSalt: string;
  hmac: string;
}

type Fields = [string, string, string, string, string, string, string, string];

/**
 * Splits a seal into its fields. Returns `undefined` if the format is wrong. The binary fields are decoded only after
 * the seal has been authenticated, because the HMAC covers the encoded text.
 */
function parse(sealed: string): SealParts | undefined {
  if (!sealed.startsWith(`${PREFIX}*`) || !isAscii(sealed)) return undefined;
  if (!sealed.endsWith(VERSION_SUFFIX)) return undefined;
  const body = sealed.slice(0, -VERSION_SUFFIX.length);
  const fields = body.split('*');
  if (fields.length !== 8) return undefined;
  const [, id, salt, iv, ciphertext, expiration, hmacSalt, hmac] = fields as Fields;
  if (id !== PASSWORD_ID || !HEX_SALT.test(salt) || !HEX_SALT.test(hmacSalt)) return undefined;
  if (iv.length !== IV_LENGTH) return undefined;
  if (expiration !== '' && !MILLISECONDS.test(expiration)) return undefined;
  const signed = body.slice(0, body.length - hmac.length - hmacSalt.length - 2);
  return { signed, salt, iv, ciphertext, expiration, hmacSalt, hmac };
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

/**
 * Checks the HMAC of a seal. The HMACs are compared as text, because several base64url strings can decode to the same
 * bytes, and only one of them may be accepted.
 */
function isAuthentic({ signed, hmacSalt, hmac }: SealParts, password: string): boolean {
  const key = deriveKey(password, hmacSalt);
  const expected = Buffer.from(createHmac('sha256', key).update(signed).digest('base64url'), 'latin1');
  const given = Buffer.from(hmac, 'latin1');
  return given.length === expected.length && timingSafeEqual(expected, given);
}

/**
 * Decrypts a seal that has been authenticated. Returns `undefined` if it cannot be decrypted, or if its content is not
 * valid JSON. An object is returned without a prototype, so a polluted `Object.prototype` cannot add fields to it.
 */
function decrypt({ salt, iv, ciphertext }: SealParts, password: string): unknown {
  try {
    const key = deriveKey(password, salt);
    const decipher = createDecipheriv('aes-256-cbc', key, Buffer.from(iv, 'base64url'));
    const json = decipher.update(ciphertext, 'base64url', 'utf8') + decipher.final('utf8');
    const value = JSON.parse(json) as unknown;
    return isRecord(value) ? ownProperties(value) : value;
  } catch {
    return undefined;
  }
}

/**
 * Derives a key from a password. As in iron, the salt is the hexadecimal text itself, not the bytes that it encodes.
 * The result is a key object, because on Node 24, each HMAC and each cipher takes 9 µs longer if the key is passed as
 * bytes.
 */
function deriveKey(password: string, salt: string): KeyObject {
  return createSecretKey(pbkdf2Sync(password, salt, 1, KEY_LENGTH, 'sha1'));
}
