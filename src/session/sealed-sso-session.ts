import type { Profile, User } from '@workos-inc/node';
import { randomUUID } from 'node:crypto';
import { isRecord, ownProperties } from '../plain-objects.js';
import { openPayload, type PayloadBinding, type PayloadPurpose, sealPayload } from './purpose-bound-seal.js';

/** A user's profile from the identity provider, without `rawAttributes`, which can be of any size. */
export type SSOProfile = Readonly<Omit<Profile<Record<string, unknown>>, 'rawAttributes'>>;

/**
 * The content of an SSO session cookie. It contains no tokens, because WorkOS does not create a session for a sign-in
 * with the SSO API.
 */
export interface SSOSession {
  readonly id: string;
  readonly profile: SSOProfile;
  /** When the user signed in, in seconds since the epoch. */
  readonly signedInAt: number;
  /** When the session expires, in seconds since the epoch. */
  readonly expiresAt: number;
  /** The `data` that `onSuccess` returned. */
  readonly data?: unknown;
}

/** An SSO session that was opened from a sealed cookie value. Its content is therefore authentic. */
export interface VerifiedSSOSession {
  readonly kind: 'sso';
  readonly session: SSOSession;
}

/**
 * The purpose of a sealed SSO session. Because this purpose is different from that of other sessions, `sso()` and
 * `authkit()` do not accept each other's sessions.
 */
const SSO_SESSION: PayloadPurpose = { name: 'sso-session', isBoundToRedirectUri: false };

/**
 * Creates an SSO session from a profile.
 *
 * @param data The `data` that `onSuccess` returned.
 * @param now The current time, in milliseconds since the epoch.
 * @param lifetime The lifetime of the session, in seconds.
 */
export function newSSOSession(
  { rawAttributes: _, ...profile }: Profile<Record<string, unknown>>,
  data: unknown,
  now: number,
  lifetime: number,
): SSOSession {
  const signedInAt = Math.floor(now / 1000);
  const times = { signedInAt, expiresAt: signedInAt + lifetime };
  const fields = { id: `sso_${randomUUID()}`, profile, ...times };
  return ownProperties({ ...fields, ...(data === undefined ? {} : { data }) });
}

export function sealSSOSession(session: SSOSession, binding: PayloadBinding): Promise<string> {
  return sealPayload(SSO_SESSION, binding, session);
}

/**
 * Opens an SSO session that was sealed for this client ID, even if the session has expired. Returns `undefined` for any
 * other value.
 */
export function openSSOSession(sealed: string, binding: PayloadBinding): SSOSession | undefined {
  const payload = openPayload(SSO_SESSION, binding, sealed);
  if (!payload) return undefined;
  const { id, profile, signedInAt, expiresAt, data } = payload;
  if (typeof id !== 'string' || !isRecord(profile) || typeof profile['id'] !== 'string') return undefined;
  if (typeof signedInAt !== 'number' || typeof expiresAt !== 'number') return undefined;
  return ownProperties({
    id,
    profile: profile as unknown as SSOProfile,
    signedInAt,
    expiresAt,
    ...(data === undefined ? {} : { data }),
  });
}

/**
 * Converts an SSO profile to a WorkOS user. The user's ID is the profile ID, because the SSO API has no users.
 * `emailVerified` is always false, because WorkOS does not report whether the address is verified.
 *
 * @param signedInAt When the user signed in, in seconds since the epoch.
 */
export function toUser(profile: SSOProfile, signedInAt: number): User {
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
