import { createHash, randomBytes } from 'node:crypto';
import type { OauthTokens } from '@workos-inc/node';

/** Crockford's base 32 alphabet, in which WorkOS writes the ULIDs of its identifiers. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LENGTH = 26;

/** A new identifier in WorkOS's form, such as `session_01…`. */
export function newId(prefix: string): string {
  return format(prefix, randomBytes(LENGTH));
}

/** The identifier for a name. It is the same in every process, so a restarted example still knows its users. */
export function idFor(prefix: string, name: string): string {
  return format(prefix, createHash('sha256').update(name.toLowerCase()).digest());
}

/** A random opaque value, such as a code or a refresh token. */
export function newSecret(): string {
  return randomBytes(24).toString('base64url');
}

function format(prefix: string, bytes: Uint8Array): string {
  const ulid = Array.from(bytes.subarray(0, LENGTH), (byte) => ALPHABET.charAt(byte % ALPHABET.length));
  return `${prefix}_01${ulid.join('').slice(2)}`;
}

/** Lifetime of an authorization code, in milliseconds. RFC 6749 section 4.1.2 recommends at most ten minutes. */
const LIFETIME = 600_000;

/** The tokens of an OAuth provider, and which provider it is. */
export interface ProviderTokens extends OauthTokens {
  readonly provider: string;
}

/** The result of a sign-in, kept until the application exchanges the code. */
export interface Authorization {
  readonly userId: string;
  readonly organizationId: string | undefined;
  readonly authenticationMethod: string;
  /** The SSO connection that the user signed in through. */
  readonly connectionId: string | undefined;
  /** Whether the application asked for this organization. */
  readonly isOrganizationNamed: boolean;
  /** The PKCE challenge (RFC 7636), with the method S256. */
  readonly codeChallenge: string | undefined;
  /** When the user authenticated, in seconds since the epoch. */
  readonly authTime: number;
  /** The `User-Agent` of the browser. */
  readonly userAgent: string | undefined;
  readonly oauthTokens: ProviderTokens | undefined;
}

export interface AuthorizationCodes {
  issue: (authorization: Authorization) => string;
  /** Consumes a code, even if the exchange fails later. Returns `undefined` if it is unknown, used or expired. */
  consume: (code: string) => Authorization | undefined;
}

/** Creates the store of authorization codes, which are single-use and valid for ten minutes. */
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

/** Checks a PKCE verifier (RFC 7636 section 4.6). Without a challenge, no verifier is needed. */
export function provesChallenge(challenge: string | undefined, verifier: string | undefined): boolean {
  if (challenge === undefined) return true;
  return verifier !== undefined && createHash('sha256').update(verifier).digest('base64url') === challenge;
}
