import type { User } from '@workos-inc/node';
import { idFor } from './identifier.js';
import {
  seedOrganizations,
  seedUsers,
  type TestMembership,
  type TestOrganization,
  type TestUser,
} from './seed.js';

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
