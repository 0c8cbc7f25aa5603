import { hash } from 'node:crypto';

/**
 * Returns the SHA-256 hash of a string, encoded in UTF-8, as 43 base64url characters. The hash is used as a key where
 * the string itself must not be stored.
 */
export function sha256(text: string): string {
  return hash('sha256', text, 'base64url');
}
