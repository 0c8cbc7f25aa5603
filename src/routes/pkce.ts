import { createHmac } from 'node:crypto';
import { sha256 } from '../sha256.js';

/**
 * Derives the PKCE verifier of a sign-in (RFC 7636 section 4.1) from the secret in the browser's transaction cookie.
 */
export function codeVerifierOf(secret: string): string {
  return createHmac('sha256', secret).update('authkit-express PKCE code verifier').digest('base64url');
}

/** Returns the S256 challenge for a verifier (RFC 7636 section 4.2). */
export function codeChallenge(codeVerifier: string): string {
  return sha256(codeVerifier);
}
