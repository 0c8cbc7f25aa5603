import type { User } from '@workos-inc/node';
import { idFor, newSecret } from './tokens.js';

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

export interface Connection {
  readonly id: string;
  readonly type: string;
  readonly organizationId: string;
}

export interface Organization extends Omit<TestOrganization, 'connections'> {
  readonly id: string;
  readonly connections: readonly Connection[];
}

export interface Membership extends TestMembership {
  readonly organization: Organization;
}

export interface Person {
  /** As `@workos-inc/node` hands it out, and so as a session holds it. */
  readonly user: User;
  readonly memberships: readonly Membership[];
}

/** The people and organizations of one WorkOS environment. */
export interface Directory {
  people: () => readonly Person[];
  /** By id or e-mail address; an address is compared without regard to case. */
  find: (idOrEmail: string) => Person | undefined;
  firstOrganization: () => Organization | undefined;
  /** By id or name. */
  findOrganization: (idOrName: string) => Organization | undefined;
  findConnection: (id: string) => Connection | undefined;
  /** Adds a person, or changes what is given of one who is there already. */
  put: (user: TestUser) => Person;
  remove: (id: string) => void;
  recordSignIn: (id: string) => void;
}

export interface DirectorySeed {
  users?: readonly TestUser[];
  organizations?: readonly TestOrganization[];
}

/** Without a seed, the people and the organization of `seed.ts`. */
export function createDirectory(seed: DirectorySeed, now: () => number): Directory {
  const people = new Map<string, Person>();
  const organizations = (seed.organizations ?? (seed.users ? [] : seedOrganizations)).map(withId);

  const find = (idOrEmail: string) =>
    people.get(idOrEmail) ??
    [...people.values()].find(({ user }) => user.email.toLowerCase() === idOrEmail.toLowerCase());
  const findOrganization = (idOrName: string) =>
    organizations.find(({ id, name }) => id === idOrName || name === idOrName);
  const join = (membership: TestMembership): Membership => {
    const organization = findOrganization(membership.organizationId);
    if (organization) return { ...membership, organizationId: organization.id, organization };
    throw new Error(
      `No organization has the id or name "${membership.organizationId}": add it to \`organizations\``,
    );
  };
  const put = (given: TestUser) => {
    const known = find(given.id ?? given.email);
    const memberships = given.memberships?.map(join) ?? known?.memberships ?? [];
    const person = { user: toUser(given, known?.user, new Date(now()).toISOString()), memberships };
    people.set(person.user.id, person);
    return person;
  };

  for (const user of seed.users ?? (seed.organizations ? [] : seedUsers)) put(user);
  return {
    people: () => [...people.values()],
    find,
    firstOrganization: () => organizations[0],
    findOrganization,
    findConnection: (id) =>
      organizations.flatMap(({ connections }) => connections).find((connection) => connection.id === id),
    put,
    remove: (id) => people.delete(id),
    recordSignIn: (id) => {
      const person = people.get(id);
      if (person)
        people.set(id, { ...person, user: { ...person.user, lastSignInAt: new Date(now()).toISOString() } });
    },
  };
}

function withId(organization: TestOrganization): Organization {
  const id = organization.id ?? idFor('org', organization.name);
  const connections = (organization.connections ?? [{}]).map((connection, index) => ({
    id: connection.id ?? idFor('conn', `${id}/${index}`),
    type: connection.type ?? 'GenericSAML',
    organizationId: id,
  }));
  return { ...organization, id, connections };
}

/** The order of the fields is the SDK's, for whoever compares two seals. */
function toUser(given: TestUser, known: User | undefined, at: string): User {
  const firstName = given.firstName ?? known?.firstName ?? null;
  const lastName = given.lastName ?? known?.lastName ?? null;
  return {
    object: 'user',
    id: known?.id ?? given.id ?? idFor('user', given.email),
    email: given.email,
    emailVerified: given.emailVerified ?? known?.emailVerified ?? true,
    name: [firstName, lastName].filter((part) => part !== null).join(' ') || null,
    firstName,
    lastName,
    profilePictureUrl: given.profilePictureUrl ?? known?.profilePictureUrl ?? null,
    lastSignInAt: known?.lastSignInAt ?? null,
    locale: given.locale ?? known?.locale ?? null,
    createdAt: known?.createdAt ?? at,
    updatedAt: at,
    externalId: given.externalId ?? known?.externalId ?? null,
    metadata: given.metadata ?? known?.metadata ?? {},
  };
}

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

/** Somebody who is asked to join. */
export interface TestInvitation {
  email: string;
  /** Id or name; default none. */
  organizationId?: string;
  /** Slug of the role there, default `member`. */
  role?: string;
}

export interface Invitations {
  /** A new invitation; returns its token. */
  issue: (invitation: TestInvitation) => string;
  /** One that nobody has accepted yet. */
  find: (token: string) => TestInvitation | undefined;
  /** Spends an invitation: the person is a member from now on. Returns the organization, if it is for one. */
  accept: (token: string) => string | undefined;
}

export function createInvitations(directory: Directory): Invitations {
  const pending = new Map<string, TestInvitation>();
  return {
    issue: (invitation) => {
      const token = newSecret();
      pending.set(token, { ...invitation });
      return token;
    },
    find: (token) => pending.get(token),
    accept: (token) => {
      const { email, organizationId, role = 'member' } = pending.get(token) ?? {};
      pending.delete(token);
      const person = email === undefined ? undefined : directory.find(email);
      if (!person || organizationId === undefined) return undefined;
      const { user } = person;
      const memberships = [...person.memberships, { organizationId, role }];
      directory.put({ id: user.id, email: user.email, memberships });
      return directory.findOrganization(organizationId)?.id;
    },
  };
}
