import { createHash, randomBytes } from 'node:crypto';

/** Crockford's base 32, in which WorkOS writes the ULID of an identifier. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LENGTH = 26;

/** A new identifier in WorkOS's form, such as `session_01…`. */
export function newId(prefix: string): string {
  return format(prefix, randomBytes(LENGTH));
}

/** The same identifier for the same name in every process, so that a restarted example still knows its people. */
export function idFor(prefix: string, name: string): string {
  return format(prefix, createHash('sha256').update(name.toLowerCase()).digest());
}

/** An opaque value that nobody can guess: a code, a refresh token. */
export function newSecret(): string {
  return randomBytes(24).toString('base64url');
}

function format(prefix: string, bytes: Uint8Array): string {
  const ulid = Array.from(bytes.subarray(0, LENGTH), (byte) => ALPHABET.charAt(byte % ALPHABET.length)).join(
    '',
  );
  return `${prefix}_01${ulid.slice(2)}`;
}
