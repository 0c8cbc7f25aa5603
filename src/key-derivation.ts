import { hash } from 'node:crypto';

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
