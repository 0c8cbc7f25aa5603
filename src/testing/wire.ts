import type { User } from '@workos-inc/node';
import type { TokenPair } from './sessions.js';

/** A user in WorkOS's JSON. */
export function userOnTheWire(user: User): Record<string, unknown> {
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
export function tokensOnTheWire(
  user: User,
  { session, accessToken, refreshToken }: TokenPair,
): Record<string, unknown> {
  const { organizationId, impersonator, authenticationMethod } = session;
  return {
    user: userOnTheWire(user),
    ...(organizationId === undefined ? {} : { organization_id: organizationId }),
    access_token: accessToken,
    refresh_token: refreshToken,
    authentication_method: authenticationMethod,
    ...(impersonator ? { impersonator } : {}),
  };
}
