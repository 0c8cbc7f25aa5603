import type { User } from '@workos-inc/node';
import { withoutUndefined } from '../../plain-objects.js';
import { idFor, newId } from './tokens.js';

/** A user's membership in one organization. */
export interface TestMembership {
  /** Id or name of the organization. */
  organizationId: string;
  /** Slug of the role. Default: `member`. */
  role?: string;
  /** Slugs of all roles of the member. Default: only `role`. */
  roles?: readonly string[];
  permissions?: readonly string[];
  /** Status of the membership. Default: `active`. */
  status?: MembershipStatus;
}

export type MembershipStatus = 'active' | 'inactive' | 'pending';

/** A user to create. Only the email address is required. */
export interface TestUser {
  /** Id of the user. The default is derived from the email address, so it is the same in every process. */
  id?: string;
  email: string;
  /** Whether the email address is verified. Default: true. */
  emailVerified?: boolean;
  /** The user's password, for the password grant. By default, the user has no password. */
  password?: string;
  firstName?: string;
  lastName?: string;
  profilePictureUrl?: string;
  locale?: string;
  externalId?: string;
  metadata?: Record<string, string>;
  memberships?: readonly TestMembership[];
}

/** An SSO connection between an organization and the organization's identity provider. */
export interface TestConnection {
  /** Id of the connection. The default is derived from the organization's id, so it is the same in every process. */
  id?: string;
  /** Type of the connection. Default: `GenericSAML`. */
  type?: string;
}

export interface TestOrganization {
  /** Id of the organization. The default is derived from the name, so it is the same in every process. */
  id?: string;
  name: string;
  externalId?: string;
  metadata?: Record<string, string>;
  /** Verified domains, such as `example.com`. */
  domains?: readonly string[];
  entitlements?: readonly string[];
  featureFlags?: readonly string[];
  /** SSO connections of the organization. Default: one connection. */
  connections?: readonly TestConnection[];
}

const ENGINES = 'Analytical Engines';

/** The default users of a test WorkOS: an administrator, an ordinary member and a user without an organization. */
const defaultUsers: readonly TestUser[] = [
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

const defaultOrganizations: readonly TestOrganization[] = [{ name: ENGINES }];

export interface Connection {
  readonly id: string;
  readonly type: string;
  readonly organizationId: string;
  readonly createdAt: string;
}

export interface OrganizationDomain {
  readonly id: string;
  readonly domain: string;
  readonly state: 'pending' | 'verified';
}

export interface Organization {
  readonly id: string;
  readonly name: string;
  readonly externalId: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly domains: readonly OrganizationDomain[];
  readonly stripeCustomerId: string | undefined;
  readonly entitlements: readonly string[] | undefined;
  readonly featureFlags: readonly string[] | undefined;
  readonly connections: readonly Connection[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface Membership {
  readonly id: string;
  readonly userId: string;
  readonly organizationId: string;
  readonly organization: Organization;
  readonly role: string | undefined;
  readonly roles: readonly string[] | undefined;
  readonly permissions: readonly string[] | undefined;
  readonly status: MembershipStatus;
  readonly createdAt: string;
  readonly updatedAt: string;
}

type StoredMembership = Omit<Membership, 'organization'>;

export interface DirectoryUser {
  /** The user in the format of `@workos-inc/node`, which is also the format in session cookies. */
  readonly user: User;
  /** The user's active memberships. */
  readonly memberships: readonly Membership[];
}

/** The fields of a user that the API can change. */
export type UserChanges = Partial<
  Pick<
    User,
    | 'email'
    | 'emailVerified'
    | 'firstName'
    | 'lastName'
    | 'profilePictureUrl'
    | 'locale'
    | 'externalId'
    | 'metadata'
  >
>;

/** The fields of an organization that the API can change. */
export type OrganizationChanges = Partial<
  Pick<Organization, 'name' | 'externalId' | 'metadata' | 'domains' | 'stripeCustomerId'>
>;

/** The users and organizations of a WorkOS environment. */
export interface Directory {
  /** Returns all users, oldest first. Every other list in the directory has the same order. */
  users: () => readonly DirectoryUser[];
  /** Finds a user by id or email address. The address is not case-sensitive. */
  findUser: (idOrEmail: string) => DirectoryUser | undefined;
  /** Finds a user by id only. */
  getUser: (id: string) => DirectoryUser | undefined;
  /**
   * Creates a user. If the user already exists, changes the given fields instead. The user is found by id or, if no id
   * is given, by email address.
   */
  putUser: (user: TestUser) => DirectoryUser;
  createUser: (fields: UserChanges & { email: string }) => DirectoryUser;
  updateUser: (id: string, changes: UserChanges) => DirectoryUser;
  removeUser: (id: string) => void;
  recordSignIn: (id: string) => void;

  organizations: () => readonly Organization[];
  /** Finds an organization by id or name. */
  findOrganization: (idOrName: string) => Organization | undefined;
  getOrganization: (id: string) => Organization | undefined;
  createOrganization: (fields: OrganizationChanges & { name: string }) => Organization;
  updateOrganization: (id: string, changes: OrganizationChanges) => Organization;
  /** Removes an organization and all memberships in it. */
  removeOrganization: (id: string) => void;
  connections: () => readonly Connection[];
  findConnection: (id: string) => Connection | undefined;

  memberships: () => readonly Membership[];
  getMembership: (id: string) => Membership | undefined;
  /** Finds a user's membership in an organization, whatever its status. */
  findMembership: (userId: string, organizationId: string) => Membership | undefined;
  /** Creates an active membership. If the membership already exists, replaces its roles and activates it. */
  putMembership: (userId: string, organizationId: string, roles: readonly string[]) => Membership;
  setMembershipStatus: (id: string, status: MembershipStatus) => Membership;
  removeMembership: (id: string) => void;
}

export interface DirectorySeed {
  users?: readonly TestUser[];
  organizations?: readonly TestOrganization[];
}

/**
 * Creates the directory of a test WorkOS.
 *
 * @param seed The users and organizations to start with. If neither is given, the directory starts with three users and
 * one organization.
 */
export function createDirectory(seed: DirectorySeed, now: () => number): Directory {
  const at = () => new Date(now()).toISOString();
  const organizations = createOrganizations(at);
  const memberships = createMemberships(organizations, at);
  const users = createUsers(memberships, at);

  for (const one of seed.organizations ?? (seed.users ? [] : defaultOrganizations)) organizations.seed(one);
  for (const user of seed.users ?? (seed.organizations ? [] : defaultUsers)) users.putUser(user);

  const { removeUser, ...ofUsers } = users;
  const { removeOrganization, ...ofOrganizations } = organizations;
  return {
    ...ofOrganizations,
    ...memberships,
    ...ofUsers,
    removeUser: (id) => {
      for (const { id: membershipId } of memberships.memberships().filter((one) => one.userId === id))
        memberships.removeMembership(membershipId);
      removeUser(id);
    },
    removeOrganization: (id) => {
      for (const { id: membershipId } of memberships.memberships().filter((one) => one.organizationId === id))
        memberships.removeMembership(membershipId);
      removeOrganization(id);
    },
  };
}

function createOrganizations(at: () => string) {
  const stored = new Map<string, Organization>();
  const put = (organization: Organization) => {
    stored.set(organization.id, organization);
    return organization;
  };
  const organizations = () => [...stored.values()];
  const connections = () => organizations().flatMap((organization) => organization.connections);
  return {
    organizations,
    connections,
    getOrganization: (id: string) => stored.get(id),
    findOrganization: (idOrName: string) =>
      organizations().find(({ id, name }) => id === idOrName || name === idOrName),
    findConnection: (id: string) => connections().find((connection) => connection.id === id),
    createOrganization: (fields: OrganizationChanges & { name: string }) =>
      put({ ...NO_ORGANIZATION, ...fields, id: newId('org'), createdAt: at(), updatedAt: at() }),
    updateOrganization: (id: string, changes: OrganizationChanges) => {
      const known = stored.get(id);
      if (!known) throw new Error(`the test WorkOS has no organization ${id}`);
      return put({ ...known, ...changes, updatedAt: at() });
    },
    removeOrganization: (id: string) => void stored.delete(id),
    seed: (given: TestOrganization) => put(toOrganization(given, at())),
  };
}

const NO_ORGANIZATION = {
  externalId: null,
  metadata: {},
  domains: [],
  stripeCustomerId: undefined,
  entitlements: undefined,
  featureFlags: undefined,
  connections: [],
};

function toOrganization(given: TestOrganization, at: string): Organization {
  const id = given.id ?? idFor('org', given.name);
  return {
    id,
    name: given.name,
    externalId: given.externalId ?? null,
    metadata: given.metadata ?? {},
    domains: (given.domains ?? []).map((domain) => ({
      id: idFor('org_domain', `${id}/${domain}`),
      domain,
      state: 'verified',
    })),
    stripeCustomerId: undefined,
    entitlements: given.entitlements,
    featureFlags: given.featureFlags,
    connections: (given.connections ?? [{}]).map((connection, index) => ({
      id: connection.id ?? idFor('conn', `${id}/${index}`),
      type: connection.type ?? 'GenericSAML',
      organizationId: id,
      createdAt: at,
    })),
    createdAt: at,
    updatedAt: at,
  };
}

function createMemberships(organizations: ReturnType<typeof createOrganizations>, at: () => string) {
  const stored = new Map<string, StoredMembership>();
  const resolve = (membership: StoredMembership): Membership => {
    const organization = organizations.getOrganization(membership.organizationId);
    if (!organization) throw new Error(`the test WorkOS has no organization ${membership.organizationId}`);
    return { ...membership, organization };
  };
  const put = (membership: StoredMembership) => {
    stored.set(membership.id, membership);
    return resolve(membership);
  };
  const memberships = () => [...stored.values()].map(resolve);
  const get = (id: string) => {
    const membership = stored.get(id);
    return membership && resolve(membership);
  };
  const idOf = (userId: string, organizationId: string) => idFor('om', `${userId}/${organizationId}`);

  /**
   * Returns the permissions of a new membership. As in WorkOS, they depend on the role, so they are copied from an
   * existing membership with the same role, preferably in the same organization. If there is none, returns `undefined`.
   */
  const permissionsOf = (organizationId: string, role: string) => {
    const sameRole = memberships().filter((one) => rolesOf(one)[0] === role && one.permissions !== undefined);
    return (sameRole.find((one) => one.organizationId === organizationId) ?? sameRole[0])?.permissions;
  };

  return {
    memberships,
    getMembership: get,
    findMembership: (userId: string, organizationId: string) => get(idOf(userId, organizationId)),
    putMembership: (userId: string, organizationId: string, roles: readonly string[]) => {
      const id = idOf(userId, organizationId);
      return put({
        id,
        userId,
        organizationId,
        role: roles[0],
        roles,
        permissions: roles[0] === undefined ? undefined : permissionsOf(organizationId, roles[0]),
        status: 'active',
        createdAt: stored.get(id)?.createdAt ?? at(),
        updatedAt: at(),
      });
    },
    setMembershipStatus: (id: string, status: MembershipStatus) => {
      const known = stored.get(id);
      if (!known) throw new Error(`the test WorkOS has no membership ${id}`);
      return put({ ...known, status, updatedAt: at() });
    },
    removeMembership: (id: string) => void stored.delete(id),
    /** Replaces all memberships of a user. */
    replaceMemberships: (userId: string, given: readonly TestMembership[]) => {
      const next = given.map((one): StoredMembership => {
        const organization = organizations.findOrganization(one.organizationId);
        if (!organization)
          throw new Error(
            `No organization has the id or name "${one.organizationId}": add it to \`organizations\``,
          );
        const id = idOf(userId, organization.id);
        return {
          id,
          userId,
          organizationId: organization.id,
          role: one.role,
          roles: one.roles,
          permissions: one.permissions,
          status: one.status ?? 'active',
          createdAt: stored.get(id)?.createdAt ?? at(),
          updatedAt: at(),
        };
      });
      for (const one of stored.values()) if (one.userId === userId) stored.delete(one.id);
      for (const one of next) stored.set(one.id, one);
    },
  };
}

function createUsers(
  { memberships, replaceMemberships }: ReturnType<typeof createMemberships>,
  at: () => string,
) {
  const stored = new Map<string, User>();
  const resolve = (user: User): DirectoryUser => ({
    user,
    memberships: memberships().filter((one) => one.userId === user.id && one.status === 'active'),
  });
  const find = (idOrEmail: string) =>
    stored.get(idOrEmail) ??
    [...stored.values()].find(({ email }) => email.toLowerCase() === idOrEmail.toLowerCase());
  const findUser = (idOrEmail: string) => {
    const user = find(idOrEmail);
    return user && resolve(user);
  };
  const put = (user: User) => {
    stored.set(user.id, user);
    return resolve(user);
  };
  const update = (id: string, changes: UserChanges) => {
    const known = stored.get(id);
    if (!known) throw new Error(`the test WorkOS has no user ${id}`);
    return put(toUser({ ...known, ...changes, updatedAt: at() }));
  };
  return {
    users: () => [...stored.values()].map(resolve),
    findUser,
    getUser: (id: string) => {
      const user = stored.get(id);
      return user && resolve(user);
    },
    putUser: ({ id, memberships: given, password: _, ...fields }: TestUser) => {
      const known = find(id ?? fields.email);
      const before = known ?? { ...newUser(fields.email, at()), id: id ?? idFor('user', fields.email) };
      const { user } = put(toUser({ ...before, ...withoutUndefined(fields), updatedAt: at() }));
      if (given) replaceMemberships(user.id, given);
      return resolve(user);
    },
    createUser: (fields: UserChanges & { email: string }) =>
      put(toUser({ ...newUser(fields.email, at()), emailVerified: false, ...fields })),
    updateUser: update,
    removeUser: (id: string) => void stored.delete(id),
    recordSignIn: (id: string) => {
      const user = stored.get(id);
      if (user) put({ ...user, lastSignInAt: at() });
    },
  };
}

function newUser(email: string, at: string): Omit<User, 'name'> {
  return {
    object: 'user',
    id: newId('user'),
    email,
    emailVerified: true,
    firstName: null,
    lastName: null,
    profilePictureUrl: null,
    lastSignInAt: null,
    locale: null,
    createdAt: at,
    updatedAt: at,
    externalId: null,
    metadata: {},
  };
}

/**
 * Adds the user's full name. The fields have the same order as in the SDK, so the same user always has the same JSON
 * representation.
 */
function toUser(user: Omit<User, 'name'>): User {
  const { object, id, email, emailVerified, firstName, lastName, ...others } = user;
  const name = [firstName, lastName].filter((part) => part !== null && part !== '').join(' ') || null;
  const { profilePictureUrl, lastSignInAt, locale, createdAt, updatedAt, externalId, metadata } = others;
  return {
    object,
    id,
    email,
    emailVerified,
    name,
    firstName,
    lastName,
    profilePictureUrl,
    lastSignInAt,
    locale,
    createdAt,
    updatedAt,
    externalId,
    metadata,
  };
}

/** Returns the slugs of a member's roles. If `role` is set, it comes first. */
export function rolesOf({ role, roles }: Pick<Membership, 'role' | 'roles'>): readonly string[] {
  if (roles === undefined || roles.length === 0) return [role ?? 'member'];
  return role === undefined ? roles : [role, ...roles.filter((slug) => slug !== role)];
}

/** The roles, permissions and other rights of a user in an organization, as they appear in access tokens. */
export interface Grants {
  role?: string | undefined;
  roles?: readonly string[] | undefined;
  permissions?: readonly string[] | undefined;
  entitlements?: readonly string[] | undefined;
  featureFlags?: readonly string[] | undefined;
}

/**
 * Returns the rights that a user's membership and organization grant. Values in `named` take precedence. As in WorkOS,
 * permissions depend on the role: if `named` contains a role, the permissions of the membership do not apply.
 */
export function grantsOf(
  directory: Directory,
  { memberships }: DirectoryUser,
  organizationId: string | undefined,
  named: Grants = {},
): Grants {
  const organization = organizationId === undefined ? undefined : directory.getOrganization(organizationId);
  const membership = memberships.find((one) => one.organizationId === organizationId);
  const isRoleNamed = named.role !== undefined || named.roles !== undefined;
  const inOrganization = organizationId !== undefined || isRoleNamed;
  const roles =
    isRoleNamed || !membership ? rolesOf({ role: named.role, roles: named.roles }) : rolesOf(membership);
  const permissions = isRoleNamed ? undefined : membership?.permissions;
  return {
    role: inOrganization ? roles[0] : undefined,
    roles: inOrganization ? (named.roles ?? roles) : undefined,
    permissions: named.permissions ?? permissions ?? (organizationId === undefined ? undefined : []),
    entitlements: named.entitlements ?? organization?.entitlements,
    featureFlags: named.featureFlags ?? organization?.featureFlags,
  };
}
