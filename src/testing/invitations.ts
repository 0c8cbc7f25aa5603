import type { Directory } from './directory.js';
import { newSecret } from './identifier.js';

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
