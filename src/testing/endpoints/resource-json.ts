import type { User } from '@workos-inc/node';
import {
  rolesOf,
  type DirectoryUser,
  type Membership,
  type Organization,
} from '../state/users-and-organizations.js';
import type { Session, TokenPair } from '../state/sessions.js';
import type { ProviderTokens } from '../state/tokens.js';

/** Returns a user in the JSON format of the WorkOS API. */
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

export function organizationJson(organization: Organization): Record<string, unknown> {
  const { id, name, domains, metadata, externalId, stripeCustomerId, createdAt, updatedAt } = organization;
  return {
    object: 'organization',
    id,
    name,
    allow_profiles_outside_organization: false,
    domains: domains.map(({ id: domainId, domain, state }) => ({
      object: 'organization_domain',
      id: domainId,
      organization_id: id,
      domain,
      state,
      verification_strategy: 'manual',
      created_at: createdAt,
      updated_at: updatedAt,
    })),
    metadata,
    external_id: externalId,
    ...(stripeCustomerId === undefined ? {} : { stripe_customer_id: stripeCustomerId }),
    created_at: createdAt,
    updated_at: updatedAt,
  };
}

export function membershipJson({ user }: DirectoryUser, membership: Membership): Record<string, unknown> {
  const { id, organization, status, createdAt, updatedAt } = membership;
  const roles = rolesOf(membership).map((slug) => ({ slug }));
  return {
    object: 'organization_membership',
    id,
    user_id: user.id,
    organization_id: organization.id,
    organization_name: organization.name,
    status,
    directory_managed: false,
    role: roles[0],
    roles,
    custom_attributes: {},
    created_at: createdAt,
    updated_at: updatedAt,
    user: userJson(user),
  };
}

/**
 * Returns the response to a completed authentication, in the JSON format of the WorkOS API. Fields without a value are
 * left out.
 */
export function tokensJson(
  user: User,
  { session, accessToken, refreshToken }: TokenPair,
  oauthTokens?: ProviderTokens,
): Record<string, unknown> {
  const { organizationId, impersonator, authenticationMethod } = session;
  return {
    user: userJson(user),
    ...(organizationId === undefined ? {} : { organization_id: organizationId }),
    access_token: accessToken,
    refresh_token: refreshToken,
    authentication_method: authenticationMethod,
    ...(impersonator ? { impersonator } : {}),
    ...oauthTokensJson(oauthTokens),
  };
}

export function oauthTokensJson(tokens: ProviderTokens | undefined): Record<string, unknown> {
  if (!tokens) return {};
  const { provider, accessToken, refreshToken, expiresAt, scopes } = tokens;
  return {
    oauth_tokens: {
      provider,
      access_token: accessToken,
      refresh_token: refreshToken,
      expires_at: expiresAt,
      scopes,
    },
  };
}

const WEEK = 604_800_000;

/**
 * Returns a session in the JSON format of the WorkOS API. Sessions of the test WorkOS do not expire. The format
 * requires `expires_at`, so this field is set to one week after the start of the session.
 */
export function sessionJson(session: Session): Record<string, unknown> {
  const { id, userId, organizationId, impersonator, authenticationMethod, createdAt, endedAt } = session;
  const at = new Date(createdAt).toISOString();
  const ended = endedAt === undefined ? null : new Date(endedAt).toISOString();
  return {
    object: 'session',
    id,
    user_id: userId,
    ip_address: session.ipAddress ?? null,
    user_agent: session.userAgent ?? null,
    ...(organizationId === undefined ? {} : { organization_id: organizationId }),
    ...(impersonator ? { impersonator } : {}),
    auth_method: authMethodOf(authenticationMethod),
    status: ended === null ? 'active' : 'revoked',
    expires_at: new Date(createdAt + WEEK).toISOString(),
    ended_at: ended,
    created_at: at,
    updated_at: ended ?? at,
  };
}

const AUTH_METHODS: Readonly<Record<string, string>> = {
  CrossAppAuth: 'cross_app_auth',
  ExternalAuth: 'external_auth',
  Impersonation: 'impersonation',
  MagicAuth: 'magic_code',
  MigratedSession: 'migrated_session',
  Passkey: 'passkey',
  Password: 'password',
  SSO: 'sso',
};

/** Converts an authentication method from its name in authentication responses to its name in sessions. */
function authMethodOf(authenticationMethod: string): string {
  return AUTH_METHODS[authenticationMethod] ?? (authenticationMethod.endsWith('OAuth') ? 'oauth' : 'unknown');
}
