import { hash } from 'node:crypto';

/**
 * Returns the SHA-256 hash of a text in UTF-8, as 43 base64url characters. It serves as a key in place of a text that
 * must not be stored.
 */
export function sha256(text: string): string {
  return hash('sha256', text, 'base64url');
}
