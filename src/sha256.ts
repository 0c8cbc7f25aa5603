import { hash } from 'node:crypto';

/**
 * Returns the SHA-256 hash of a text in UTF-8, as 43 base64url characters. It serves as a key for values that must not
 * be stored themselves.
 */
export function sha256(text: string): string {
  return hash('sha256', text, 'base64url');
}
