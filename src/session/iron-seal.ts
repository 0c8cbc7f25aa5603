import {
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  pbkdf2Sync,
  timingSafeEqual,
} from 'node:crypto';
import { isRecord } from '../config/problem-list.js';
import { ownProperties } from '../own-properties.js';

/**
 * The format is iron's `Fe26.2` with the version suffix of iron-session, as every WorkOS SDK writes it:
 *
 *   Fe26.2*<password id>*<salt>*<iv>*<ciphertext>*<expiration>*<hmac salt>*<hmac>~2
 *
 * The ciphertext is AES-256-CBC under PBKDF2-SHA1(password, salt, 1 round). The HMAC is HMAC-SHA256 over everything
 * before `*<hmac salt>`. With one round of PBKDF2, the entropy of the password is the only protection.
 */
const PREFIX = 'Fe26.2';

const VERSION_SUFFIX = '~2';

const PASSWORD_ID = '1';

/**
 * The longest seal that is opened, in characters. A longer one is refused before any cryptography. By default, Node
 * does not accept a Cookie header of this length.
 */
const MAX_SEAL_LENGTH = 16_384;

/** Length of an initialization vector (16 bytes) in base64url, in characters. */
const IV_LENGTH = 22;

/** Length of an AES-256 key and of an HMAC key, in bytes. */
const KEY_LENGTH = 32;

const HEX_SALT = /^[0-9a-f]{64}$/;

const MILLISECONDS = /^[1-9][0-9]{0,15}$/;

/** The clock difference that iron allows, in milliseconds. */
const CLOCK_SKEW = 60_000;

/** Seals `data` so that this package and every WorkOS SDK with the same password can open it. */
export async function seal(data: object, password: string): Promise<string> {
  // Imported on demand, because most requests only open seals.
  const iron = await import('iron-webcrypto');
  const { encryption, integrity, ...others } = iron.defaults;
  // Without prototypes: a polluted Object.prototype must not choose the salt or the initialization vector.
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
 * Opens a seal with the first password that fits. Returns `undefined` if the value was not sealed with any of the
 * passwords, or has expired.
 *
 * This function is synchronous and uses `node:crypto`. `iron-webcrypto` takes about 30 times as long for the same
 * bytes, because of promises and thread hops. It is used only to seal; the tests check that both open the same seals.
 *
 * @param passwords Each password is tried, because the SDKs write the id `1` for every password.
 * @param now The current time in milliseconds since the epoch, for seals that expire.
 * @param maxLength The longest seal to open, in characters. A seal that does not come from a header may be longer than
 * one that does.
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

/** Whether a value has the form of a seal, whatever its password. */
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
 * Splits a seal into its fields. The binary fields are not decoded until the seal is known to be authentic, because the
 * HMAC covers the text.
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
 * Checks the HMAC of a seal. It is compared as text, because base64url has several spellings for the same bytes, of
 * which only one is accepted.
 */
function isAuthentic({ signed, hmacSalt, hmac }: SealParts, password: string): boolean {
  const key = deriveKey(password, hmacSalt);
  const expected = Buffer.from(createHmac('sha256', key).update(signed).digest('base64url'), 'latin1');
  const given = Buffer.from(hmac, 'latin1');
  return given.length === expected.length && timingSafeEqual(expected, given);
}

/**
 * Decrypts an authentic seal. Never throws: the seal was made with our password, but its content need not be JSON. An
 * object is returned without a prototype, so that a polluted `Object.prototype` adds no fields.
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
 * Derives a key from a password. The salt is used as text, as in iron. The result is a key object, because on Node 24
 * each HMAC and each cipher takes 9 µs longer if it is given the key as bytes.
 */
function deriveKey(password: string, salt: string): KeyObject {
  return createSecretKey(pbkdf2Sync(password, salt, 1, KEY_LENGTH, 'sha1'));
}
