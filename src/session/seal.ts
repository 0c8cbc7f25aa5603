import * as iron from 'iron-webcrypto';
import { createDecipheriv, createSecretKey, hash, timingSafeEqual } from 'node:crypto';

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

/** Characters of 16 bytes in base64url. */
const IV_LENGTH = 22;

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
  for (const derive of derivationsOf(passwords)) {
    if (!isAuthentic(parts, derive)) continue;
    if (parts.expiration !== '' && Number(parts.expiration) <= now - CLOCK_SKEW) return undefined;
    return decrypt(parts, derive);
  }
  return undefined;
}

const derivations = new WeakMap<readonly string[], readonly DeriveKey[]>();

/** Of the passwords of a configuration, which is one list for as long as it lives. */
function derivationsOf(passwords: readonly string[]): readonly DeriveKey[] {
  let made = derivations.get(passwords);
  if (!made) derivations.set(passwords, (made = passwords.map(keyDerivation)));
  return made;
}

interface Parts {
  signed: string;
  salt: string;
  iv: string;
  ciphertext: string;
  expiration: string;
  hmacSalt: string;
  hmac: string;
}

type Fields = [string, string, string, string, string, string, string, string];

/** The binary fields stay text until the seal is known to be authentic: its HMAC is over the text. */
function parse(sealed: string): Parts | undefined {
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

/** Compared as text, so that no other spelling of the same bytes passes: base64url has several. */
function isAuthentic({ signed, hmacSalt, hmac }: Parts, derive: DeriveKey): boolean {
  const expected = Buffer.from(hmacSha256(derive(hmacSalt), signed), 'latin1');
  const given = Buffer.from(hmac, 'latin1');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** Never throws: what is authentic was sealed with our password, but need not be JSON. */
function decrypt({ salt, iv, ciphertext }: Parts, derive: DeriveKey): unknown {
  try {
    // As a key object: Node 24 takes some 8 µs to make one of bytes wherever it is handed bytes.
    const key = createSecretKey(derive(salt));
    const decipher = createDecipheriv('aes-256-cbc', key, Buffer.from(iv, 'base64url'));
    const json = decipher.update(ciphertext, 'base64url', 'utf8') + decipher.final('utf8');
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
}

/**
 * The keys of a seal and its HMAC (RFC 2104) out of one-shot hashes, for the reading side.
 *
 * `pbkdf2Sync` and `createHmac` make objects outside the heap at each call, which have to be collected afterwards: with
 * them a seal takes half as long again to open. The tests hold these to them.
 *
 * All here is synchronous, so a scratch buffer is never written to by two.
 */
const BLOCK = 64;

const INNER = 0x36;

const OUTER = 0x5c;

const SHA1 = 20;

const SHA256 = 32;

/** Of an AES-256 key and of an HMAC key, in bytes: SHA-1's digest and the beginning of another. */
const KEY = 32;

/** Characters of a salt: hexadecimal, and salted with as they stand. */
const SALT = 64;

/** Makes the key of a salt: PBKDF2-SHA1 (RFC 8018) of a password, with one round. */
export type DeriveKey = (salt: string) => Buffer;

/** What can be done once for a password. */
export function keyDerivation(password: string): DeriveKey {
  const bytes = Buffer.from(password);
  const own = bytes.length > BLOCK ? hash('sha1', bytes, 'buffer') : bytes;
  const inner = padded(own, INNER, SALT + 4);
  const outer = padded(own, OUTER, SHA1);
  const counter = BLOCK + SALT + 3;
  return (salt) => {
    const key = Buffer.allocUnsafe(KEY);
    inner.write(salt, BLOCK, SALT, 'latin1');
    for (let block = 0; block * SHA1 < KEY; block += 1) {
      inner[counter] = block + 1;
      outer.write(hash('sha1', inner, 'binary'), BLOCK, SHA1, 'latin1');
      key.write(hash('sha1', outer, 'binary'), block * SHA1, KEY - block * SHA1, 'latin1');
    }
    return key;
  };
}

let macInner = padded(Buffer.alloc(0), INNER, 16_384);

const macOuter = padded(Buffer.alloc(0), OUTER, SHA256);

/** HMAC-SHA256 of a text of ASCII, as base64url. `key` is what `keyDerivation` makes. */
export function hmacSha256(key: Buffer, text: string): string {
  if (macInner.length < BLOCK + text.length) macInner = padded(Buffer.alloc(0), INNER, text.length);
  for (let at = 0; at < KEY; at += 1) {
    const byte = key[at] as number;
    macInner[at] = byte ^ INNER;
    macOuter[at] = byte ^ OUTER;
  }
  const end = BLOCK + macInner.write(text, BLOCK, 'latin1');
  macOuter.write(hash('sha256', macInner.subarray(0, end), 'binary'), BLOCK, SHA256, 'latin1');
  return hash('sha256', macOuter, 'base64url');
}

/** A key, filled up and masked as HMAC wants it, and room behind it. */
function padded(key: Buffer, mask: number, room: number): Buffer {
  const buffer = Buffer.alloc(BLOCK + room).fill(mask, 0, BLOCK);
  for (const [at, byte] of key.entries()) buffer[at] = byte ^ mask;
  return buffer;
}
