import { randomUUID } from 'node:crypto';
import type { Profile, User } from '@workos-inc/node';
import type { Claims } from '../access-token.js';
import type { SSOConfig } from '../config/index.js';
import { isRecord } from '../config/problems.js';
import { open, seal } from '../seal.js';
import type { Session, SSOProfile } from '../session.js';

/** Not that of any other seal: a session of `authkit()` is none here, nor the reverse. */
const PURPOSE = 'sso-session';

/** What the cookie holds. WorkOS keeps no session for it, so there are no tokens. */
export interface SSOSession {
  readonly id: string;
  readonly profile: SSOProfile;
  /** Seconds since the epoch, as all times here. */
  readonly signedInAt: number;
  readonly expiresAt: number;
  readonly data?: unknown;
}

export function newSession(
  { rawAttributes: _, ...profile }: Profile<Record<string, unknown>>,
  data: unknown,
  { now, sessionLifetime }: SSOConfig,
): SSOSession {
  const signedInAt = Math.floor(now() / 1000);
  const times = { signedInAt, expiresAt: signedInAt + sessionLifetime };
  return { id: `sso_${randomUUID()}`, profile, ...times, ...(data === undefined ? {} : { data }) };
}

export function sealSSOSession(
  session: SSOSession,
  { clientId, cookiePasswords }: SSOConfig,
): Promise<string> {
  // By way of JSON: iron takes plain data only.
  const plain = JSON.parse(JSON.stringify({ purpose: PURPOSE, clientId, ...session })) as object;
  return seal(plain, cookiePasswords[0]);
}

/** Opens a session of this client, whether or not it has expired; anything else is `undefined`. */
export function openSSOSession(
  sealed: string,
  { clientId, cookiePasswords, now }: SSOConfig,
): SSOSession | undefined {
  const payload = open(sealed, cookiePasswords, now());
  if (!isRecord(payload) || payload['purpose'] !== PURPOSE || payload['clientId'] !== clientId)
    return undefined;
  const { id, profile, signedInAt, expiresAt } = payload;
  if (typeof id !== 'string' || !isRecord(profile) || typeof profile['id'] !== 'string') return undefined;
  if (typeof signedInAt !== 'number' || typeof expiresAt !== 'number') return undefined;
  return payload as unknown as SSOSession;
}

/** What guards and `req.auth` are made of, whichever workos was used. */
export function toSession({ profile, signedInAt, data }: SSOSession): Session {
  return {
    accessToken: '',
    refreshToken: '',
    user: userOf(profile, signedInAt),
    authenticationMethod: 'SSO',
    ...(profile.organizationId ? { organizationId: profile.organizationId } : {}),
    extension: { profile, signedInAt, ...(data === undefined ? {} : { data }) },
  };
}

/** What a token of WorkOS's would say. */
export function claimsOf({ id, profile, signedInAt, expiresAt }: SSOSession, issuer: string): Claims {
  const { organizationId, role, roles } = profile;
  return {
    iss: issuer,
    sub: profile.id,
    sid: id,
    iat: signedInAt,
    exp: expiresAt,
    ...(organizationId ? { org_id: organizationId } : {}),
    ...(role ? { role: role.slug } : {}),
    ...(roles ? { roles: roles.map(({ slug }) => slug) } : {}),
  };
}

/**
 * A profile in the form of a WorkOS user. Its id is the profile's: standalone SSO knows no users. WorkOS does not say
 * whether the address was verified.
 */
export function userOf(profile: SSOProfile, signedInAt: number): User {
  const at = new Date(signedInAt * 1000).toISOString();
  const { id, email, idpId, firstName = null, lastName = null, name = null } = profile;
  return {
    object: 'user',
    id,
    email,
    emailVerified: false,
    name,
    firstName,
    lastName,
    profilePictureUrl: null,
    lastSignInAt: at,
    locale: null,
    createdAt: at,
    updatedAt: at,
    externalId: idpId,
    metadata: {},
  };
}
