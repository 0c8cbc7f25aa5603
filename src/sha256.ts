import { hash } from 'node:crypto';

/** SHA-256 of a text in UTF-8, as base64url: 43 characters. Keys a map or a store without holding the text itself. */
export function sha256(text: string): string {
  return hash('sha256', text, 'base64url');
}
