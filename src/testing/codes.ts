import { createHash } from 'node:crypto';
import type { OauthTokens } from '@workos-inc/node';
import { newId } from './identifier.js';

/** RFC 6749 section 4.1.2 recommends at most ten minutes. */
const LIFETIME = 600_000;

/** What a sign-in decided, until the application fetches it. */
export interface Authorization {
  readonly userId: string;
  readonly organizationId: string | undefined;
  readonly authenticationMethod: string;
  /** Of the sign-in that named it, or whose connection led to it. */
  readonly connectionId: string | undefined;
  readonly isOrganizationNamed: boolean;
  /** Of PKCE (RFC 7636), by S256. */
  readonly codeChallenge: string | undefined;
  /** Seconds since the epoch, if the sign-in asked for `max_age`. */
  readonly authTime: number | undefined;
  readonly oauthTokens: OauthTokens | undefined;
}

export interface Codes {
  issue: (authorization: Authorization) => string;
  /** Spends a code, whatever comes of it; `undefined` if it is unknown, spent or too old. */
  spend: (code: string) => Authorization | undefined;
}

/** Authorization codes: single use, ten minutes. */
export function createCodes(now: () => number): Codes {
  const pending = new Map<string, { authorization: Authorization; expiresAt: number }>();
  return {
    issue: (authorization) => {
      const code = newId('code').slice('code_'.length);
      pending.set(code, { authorization, expiresAt: now() + LIFETIME });
      return code;
    },
    spend: (code) => {
      const found = pending.get(code);
      pending.delete(code);
      return found && now() < found.expiresAt ? found.authorization : undefined;
    },
  };
}

/** RFC 7636 section 4.6. Without a challenge there is nothing to prove. */
export function provesChallenge(challenge: string | undefined, verifier: string | undefined): boolean {
  if (challenge === undefined) return true;
  return verifier !== undefined && createHash('sha256').update(verifier).digest('base64url') === challenge;
}
