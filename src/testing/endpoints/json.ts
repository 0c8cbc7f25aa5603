import type { User } from '@workos-inc/node';
import type { Session, TokenPair } from '../state/sessions.js';

/** A user in WorkOS's JSON. */
export function userJson(user: User): Record<string, unknown> {
  return {
    object: user.object,
    id: user.id,
    email: user.email,
    email_verified: user.emailVerified,
    name: user.name,
    first_name: user.firstName,
    last_name: user.lastName,
    profile_picture_url: user.profilePictureUrl,
    last_sign_in_at: user.lastSignInAt,
    locale: user.locale,
    created_at: user.createdAt,
    updated_at: user.updatedAt,
    external_id: user.externalId,
    metadata: user.metadata,
  };
}

/** A finished authentication in WorkOS's JSON; what does not apply is left out. */
export function tokensJson(
  user: User,
  { session, accessToken, refreshToken }: TokenPair,
): Record<string, unknown> {
  const { organizationId, impersonator, authenticationMethod } = session;
  return {
    user: userJson(user),
    ...(organizationId === undefined ? {} : { organization_id: organizationId }),
    access_token: accessToken,
    refresh_token: refreshToken,
    authentication_method: authenticationMethod,
    ...(impersonator ? { impersonator } : {}),
  };
}

/** A session as WorkOS lists it; sessions of tests have no expiry but their tokens', so a week stands here. */
export function sessionJson(session: Session): Record<string, unknown> {
  const { id, userId, organizationId, impersonator, authenticationMethod, isEnded, createdAt } = session;
  const at = new Date(createdAt).toISOString();
  return {
    object: 'session',
    id,
    user_id: userId,
    ip_address: null,
    user_agent: null,
    ...(organizationId === undefined ? {} : { organization_id: organizationId }),
    ...(impersonator ? { impersonator } : {}),
    auth_method: authenticationMethod.toLowerCase(),
    status: isEnded ? 'revoked' : 'active',
    expires_at: new Date(createdAt + WEEK).toISOString(),
    ended_at: isEnded ? at : null,
    created_at: at,
    updated_at: at,
  };
}

const WEEK = 604_800_000;
