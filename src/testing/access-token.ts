import type { JWTPayload } from 'jose';
import type { Grants } from './grants.js';
import { newId } from './identifier.js';
import type { Session } from './sessions.js';

export interface AccessTokenContext {
  issuer: string;
  clientId: string;
  /** Seconds since the epoch. */
  issuedAt: number;
  /** Seconds; negative for a token that has expired already. */
  lifetime: number;
}

/**
 * The claims of a WorkOS access token. A claim without a value is left out.
 *
 * @see https://workos.com/docs/reference/authkit/session-tokens/access-token
 */
export function accessTokenClaims(session: Session, grants: Grants, context: AccessTokenContext): JWTPayload {
  const { issuer, clientId, issuedAt, lifetime } = context;
  const claims: Record<string, unknown> = {
    iss: issuer,
    sub: session.userId,
    // RFC 8693 section 4.1: the party that acts for the subject.
    act: session.impersonator ? { sub: session.impersonator.email } : undefined,
    sid: session.id,
    jti: newId('jti').slice('jti_'.length),
    org_id: session.organizationId,
    role: grants.role,
    roles: grants.roles,
    permissions: grants.permissions,
    entitlements: grants.entitlements,
    feature_flags: grants.featureFlags,
    client_id: clientId,
    auth_time: session.authTime,
    exp: issuedAt + lifetime,
    iat: issuedAt,
    ...session.claims,
  };
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}
