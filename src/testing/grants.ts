import type { Directory, Person } from './directory.js';

/** What an access token says about a person in an organization. */
export interface Grants {
  role?: string | undefined;
  roles?: readonly string[] | undefined;
  permissions?: readonly string[] | undefined;
  entitlements?: readonly string[] | undefined;
  featureFlags?: readonly string[] | undefined;
}

/**
 * What a person is granted: by the membership and the organization, unless it is `named`. As at WorkOS, permissions
 * come with the role: who names a role names the permissions too, or has none.
 */
export function grantsOf(
  directory: Directory,
  person: Person,
  organizationId: string | undefined,
  named: Grants = {},
): Grants {
  const organization = organizationId === undefined ? undefined : directory.findOrganization(organizationId);
  const membership = person.memberships.find((one) => one.organizationId === organizationId);
  const ownRole = named.role ?? named.roles?.[0];
  const role = ownRole ?? membership?.role ?? (organizationId === undefined ? undefined : 'member');
  const roles =
    named.roles ??
    (ownRole === undefined ? membership?.roles : undefined) ??
    (role === undefined ? undefined : [role]);
  const inherited = ownRole === undefined ? membership?.permissions : undefined;
  return {
    role,
    roles,
    permissions: named.permissions ?? inherited ?? (organizationId === undefined ? undefined : []),
    entitlements: named.entitlements ?? organization?.entitlements,
    featureFlags: named.featureFlags ?? organization?.featureFlags,
  };
}
