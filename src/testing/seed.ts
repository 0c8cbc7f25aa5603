/** What a person may do in one organization. */
export interface TestMembership {
  /** Id or name of the organization. */
  organizationId: string;
  /** Slug of the role, default `member`. */
  role?: string;
  /** Slugs of all roles, default the one `role`. */
  roles?: readonly string[];
  permissions?: readonly string[];
}

/** A person to seed; everything but the address has a default. */
export interface TestUser {
  /** Default: derived from the address, so the same in every process. */
  id?: string;
  email: string;
  emailVerified?: boolean;
  firstName?: string;
  lastName?: string;
  profilePictureUrl?: string;
  locale?: string;
  externalId?: string;
  metadata?: Record<string, string>;
  memberships?: readonly TestMembership[];
}

/** A way of an organization to sign its members in: their own identity provider. */
export interface TestConnection {
  /** Default: derived from the organization's id, so the same in every process. */
  id?: string;
  /** Default `GenericSAML`. */
  type?: string;
}

export interface TestOrganization {
  /** Default: derived from the name, so the same in every process. */
  id?: string;
  name: string;
  entitlements?: readonly string[];
  featureFlags?: readonly string[];
  /** Default one. */
  connections?: readonly TestConnection[];
}

const ENGINES = 'Analytical Engines';

/** Who is there if a test does not say: an administrator, a member without permissions, and somebody on their own. */
export const seedUsers: readonly TestUser[] = [
  {
    email: 'ada@example.com',
    firstName: 'Ada',
    lastName: 'Lovelace',
    memberships: [
      { organizationId: ENGINES, role: 'admin', permissions: ['billing:read', 'members:manage'] },
    ],
  },
  {
    email: 'grace@example.com',
    firstName: 'Grace',
    lastName: 'Hopper',
    memberships: [{ organizationId: ENGINES }],
  },
  { email: 'alan@example.com', firstName: 'Alan', lastName: 'Turing' },
];

export const seedOrganizations: readonly TestOrganization[] = [{ name: ENGINES }];
