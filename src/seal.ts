import {
  createDecipheriv,
  createHmac,
  createSecretKey,
  pbkdf2Sync,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto';
import * as iron from 'iron-webcrypto';

/**
 * The format is iron's `Fe26.2` with the version suffix of iron-session, as every WorkOS SDK writes it:
 *
 *   Fe26.2*<password id>*<salt>*<iv>*<ciphertext>*<expiration>*<hmac salt>*<hmac>~2
 *
 * AES-256-CBC under PBKDF2-SHA1(password, salt, 1 round), then HMAC-SHA256 over everything before
 * `*<hmac salt>`. One round means that the password's own entropy is all there is.
 */
const PREFIX = 'Fe26.2';
const VERSION_SUFFIX = '~2';
const PASSWORD_ID = '1';

/** Longer than any Cookie header that Node accepts by default; refused before any cryptography. */
const MAX_SEAL_LENGTH = 16_384;

const HEX_SALT = /^[0-9a-f]{64}$/;
const MILLISECONDS = /^[1-9][0-9]{0,15}$/;

/** iron's allowance for clocks that differ, in milliseconds. */
const CLOCK_SKEW = 60_000;

/** Seals `data` so that this package and every WorkOS SDK with the same password can open it. */
export async function seal(data: object, password: string): Promise<string> {
  const sealed = await iron.seal(data, { id: PASSWORD_ID, secret: password }, { ...iron.defaults, ttl: 0 });
  return sealed + VERSION_SUFFIX;
}

/**
 * Opens a seal with the first password that fits; anything that is not a seal of ours is `undefined`.
 *
 * Synchronous on `node:crypto`: `iron-webcrypto` spends some 30 times as long in promises and thread hops for
 * the same bytes. It stays the writer, and the reference that the tests hold this reader to.
 *
 * @param passwords All that may open. SDKs write the id `1` whatever the password, so each one is tried.
 * @param now Milliseconds since the epoch, for seals that expire.
 * @param longest In characters; a seal that did not come from outside may be longer than a header.
 */
export function open(
  sealed: string,
  passwords: readonly string[],
  now: number,
  longest = MAX_SEAL_LENGTH,
): unknown {
  const parts = sealed.length > longest ? undefined : parse(sealed);
  if (!parts) return undefined;
  for (const password of passwords) {
    if (!isAuthentic(parts, password)) continue;
    if (parts.expiration !== '' && Number(parts.expiration) <= now - CLOCK_SKEW) return undefined;
    return decrypt(parts, password);
  }
  return undefined;
}

interface Parts {
  signed: string;
  salt: string;
  iv: Buffer;
  ciphertext: Buffer;
  expiration: string;
  hmacSalt: string;
  hmac: Buffer;
}

function parse(sealed: string): Parts | undefined {
  if (!sealed.startsWith(`${PREFIX}*`)) return undefined;
  if (!sealed.endsWith(VERSION_SUFFIX)) return undefined;
  const body = sealed.slice(0, -VERSION_SUFFIX.length);
  const fields = body.split('*');
  if (fields.length !== 8) return undefined;
  const [, id, salt = '', iv = '', ciphertext = '', expiration = '', hmacSalt = '', hmac = ''] = fields;
  if (id !== PASSWORD_ID || !HEX_SALT.test(salt) || !HEX_SALT.test(hmacSalt)) return undefined;
  if (expiration !== '' && !MILLISECONDS.test(expiration)) return undefined;
  const binary = { iv: bytes(iv), ciphertext: bytes(ciphertext), hmac: bytes(hmac) };
  if (binary.iv?.length !== 16 || binary.hmac?.length !== 32 || !binary.ciphertext) return undefined;
  const signed = body.slice(0, body.length - hmac.length - hmacSalt.length - 2);
  return {
    signed,
    salt,
    hmacSalt,
    expiration,
    iv: binary.iv,
    hmac: binary.hmac,
    ciphertext: binary.ciphertext,
  };
}

function isAuthentic({ signed, hmacSalt, hmac }: Parts, password: string): boolean {
  return timingSafeEqual(createHmac('sha256', key(password, hmacSalt)).update(signed).digest(), hmac);
}

/** Never throws: what is authentic was sealed with our password, but need not be JSON. */
function decrypt({ salt, iv, ciphertext }: Parts, password: string): unknown {
  try {
    const decipher = createDecipheriv('aes-256-cbc', key(password, salt), iv);
    const json = Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString('utf8');
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
}

/** As a key object: Node 24 takes some 8 µs to make one of bytes wherever it is handed bytes. */
function key(password: string, salt: string): KeyObject {
  return createSecretKey(pbkdf2Sync(password, salt, 1, 32, 'sha1'));
}

/** Only the canonical form: otherwise the last character of a seal could change and the seal still open. */
function bytes(base64url: string): Buffer | undefined {
  const decoded = Buffer.from(base64url, 'base64url');
  return decoded.length > 0 && decoded.toString('base64url') === base64url ? decoded : undefined;
}
