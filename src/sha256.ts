import { hash } from 'node:crypto';

/** SHA-256 of a UTF-8 text in base64url, 43 characters. Used as a key where the text itself must not be stored. */
export function sha256(text: string): string {
  return hash('sha256', text, 'base64url');
}
