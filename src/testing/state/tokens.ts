import { createHash, randomBytes } from 'node:crypto';
import type { OauthTokens } from '@workos-inc/node';

/** Crockford's base 32 alphabet. WorkOS uses it for the ULIDs in its identifiers. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LENGTH = 26;

/** Creates a random identifier in the format that WorkOS uses, such as `session_01…`. */
export function newId(prefix: string): string {
  return format(prefix, randomBytes(LENGTH));
}

/**
 * Derives an identifier from a name. The result is the same in every process, so the users of an example application
 * keep their identifiers after a restart.
 */
export function idFor(prefix: string, name: string): string {
  return format(prefix, createHash('sha256').update(name.toLowerCase()).digest());
}

/** Creates a random opaque value, such as a refresh token. */
export function newSecret(): string {
  return randomBytes(24).toString('base64url');
}

function format(prefix: string, bytes: Uint8Array): string {
  const ulid = Array.from(bytes.subarray(0, LENGTH), (byte) => ALPHABET.charAt(byte % ALPHABET.length));
  return `${prefix}_01${ulid.join('').slice(2)}`;
}

/** Lifetime of an authorization code, in milliseconds. RFC 6749 section 4.1.2 recommends at most ten minutes. */
const LIFETIME = 600_000;

/** The tokens that an OAuth provider issued, and the name of the provider. */
export interface ProviderTokens extends OauthTokens {
  readonly provider: string;
}

/** The result of a sign-in. It is stored until the application exchanges the authorization code. */
export interface Authorization {
  readonly userId: string;
  readonly organizationId: string | undefined;
  readonly authenticationMethod: string;
  /** The SSO connection that the user signed in through. */
  readonly connectionId: string | undefined;
  /** Whether the application requested this organization. */
  readonly isOrganizationNamed: boolean;
  /** The PKCE code challenge (RFC 7636). Its method is always S256. */
  readonly codeChallenge: string | undefined;
  /** When the user authenticated, in seconds since the epoch. */
  readonly authTime: number;
  /** The browser's `User-Agent` header. */
  readonly userAgent: string | undefined;
  readonly oauthTokens: ProviderTokens | undefined;
}

export interface AuthorizationCodes {
  issue: (authorization: Authorization) => string;
  /**
   * Returns the authorization for a code. Returns `undefined` if the code is unknown, used or expired. After this call,
   * the code counts as used, even if the rest of the exchange fails.
   */
  consume: (code: string) => Authorization | undefined;
}

/** Creates a store of authorization codes. A code is valid for ten minutes and can be used only once. */
export function createAuthorizationCodes(now: () => number): AuthorizationCodes {
  const pending = new Map<string, { authorization: Authorization; expiresAt: number }>();
  return {
    issue: (authorization) => {
      const code = newId('code').slice('code_'.length);
      pending.set(code, { authorization, expiresAt: now() + LIFETIME });
      return code;
    },
    consume: (code) => {
      const found = pending.get(code);
      pending.delete(code);
      return found && now() < found.expiresAt ? found.authorization : undefined;
    },
  };
}

/**
 * Checks a PKCE code verifier against a code challenge (RFC 7636 section 4.6). If there is no challenge, the check
 * succeeds.
 */
export function provesChallenge(challenge: string | undefined, verifier: string | undefined): boolean {
  if (challenge === undefined) return true;
  return verifier !== undefined && createHash('sha256').update(verifier).digest('base64url') === challenge;
}
