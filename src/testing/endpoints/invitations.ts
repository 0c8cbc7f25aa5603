import type { Directory } from '../state/users-and-organizations.js';
import { newId, newSecret } from '../state/tokens.js';
import {
  apiError,
  json,
  listPage,
  notFound,
  text,
  unprocessable,
  type Fields,
  type Route,
  type TestResponse,
} from './request-and-response.js';

const DAY = 86_400_000;
const DEFAULT_DAYS = 7;
const MAX_DAYS = 30;

/** An invitation to sign in. If `organizationId` is set, it is also an invitation to join that organization. */
export interface TestInvitation {
  email: string;
  /** Id or name of the organization. By default, the user is only invited to the application. */
  organizationId?: string;
  /** Slug of the role in the organization. Default: `member`. */
  role?: string;
}

interface Invitation {
  readonly id: string;
  readonly token: string;
  readonly email: string;
  readonly organizationId: string | undefined;
  readonly role: string | undefined;
  readonly inviterUserId: string | undefined;
  /** When the invitation was created, in milliseconds since the epoch. The other times use the same unit. */
  readonly createdAt: number;
  readonly expiresAt: number;
  acceptedAt?: number;
  acceptedUserId?: string;
  revokedAt?: number;
}

export interface InvitationProblem {
  readonly error: 'invitation_invalid' | 'invitation_cannot_be_used_for_email';
  readonly description: string;
}

export interface Invitations {
  /** Creates an invitation and returns its token. */
  create: (invitation: TestInvitation) => string;
  /**
   * Returns the reason why a token cannot be used, or `undefined` if it can be used. If `email` is given, the
   * invitation must be for that email address.
   */
  problem: (token: string, email?: string) => InvitationProblem | undefined;
  /**
   * Accepts a pending invitation. If it is for an organization, makes the user a member and returns the organization's
   * id. Returns `undefined` if it is for no organization, or if the invitation is not pending.
   */
  accept: (token: string, userId: string) => string | undefined;
  routes: () => Route[];
}

/** @see https://workos.com/docs/reference/authkit/invitation */
export function createInvitations(directory: Directory, now: () => number, url: string): Invitations {
  const invitations = new Map<string, Invitation>();
  const find = (token: string) => [...invitations.values()].find((one) => one.token === token);
  const isPending = (invitation: Invitation) => stateOf(invitation, now()) === 'pending';

  const add = (fields: Omit<Invitation, 'id' | 'token' | 'createdAt' | 'expiresAt'>, days: number) => {
    const times = { createdAt: now(), expiresAt: now() + days * DAY };
    const invitation: Invitation = { ...fields, ...times, id: newId('invitation'), token: newSecret() };
    invitations.set(invitation.id, invitation);
    return invitation;
  };
  const accept = (invitation: Invitation, userId: string): string | undefined => {
    invitation.acceptedAt = now();
    invitation.acceptedUserId = userId;
    const { organizationId, role = 'member' } = invitation;
    const organization = directory.getOrganization(organizationId ?? '');
    if (!organization) return undefined;
    const known = directory.findMembership(userId, organization.id);
    if (known?.status !== 'active') directory.putMembership(userId, organization.id, [role]);
    return organization.id;
  };

  return {
    create: ({ email, organizationId, role }) => {
      const organization =
        organizationId === undefined ? undefined : directory.findOrganization(organizationId);
      if (organizationId !== undefined && !organization)
        throw new Error(
          `The test WorkOS has no organization "${organizationId}". Add it to \`organizations\`.`,
        );
      return add({ email, organizationId: organization?.id, role, inviterUserId: undefined }, DEFAULT_DAYS)
        .token;
    },
    problem: (token, email) => {
      const invitation = find(token);
      if (!invitation || !isPending(invitation))
        return {
          error: 'invitation_invalid',
          description: 'The invitation is unknown or no longer pending.',
        };
      if (email === undefined || invitation.email.toLowerCase() === email.toLowerCase()) return undefined;
      const description = `The invitation is for ${invitation.email}.`;
      return { error: 'invitation_cannot_be_used_for_email', description };
    },
    accept: (token, userId) => {
      const invitation = find(token);
      return invitation && isPending(invitation) ? accept(invitation, userId) : undefined;
    },
    routes: () => invitationRoutes({ directory, invitations, now, url, add, accept }),
  };
}

interface InvitationStore {
  directory: Directory;
  invitations: ReadonlyMap<string, Invitation>;
  now: () => number;
  url: string;
  add: (fields: Omit<Invitation, 'id' | 'token' | 'createdAt' | 'expiresAt'>, days: number) => Invitation;
  accept: (invitation: Invitation, userId: string) => string | undefined;
}

function invitationRoutes({ directory, invitations, now, url, add, accept }: InvitationStore): Route[] {
  const operation = 'invitations';
  const toJson = (invitation: Invitation) => invitationJson(invitation, now(), url);
  const respond = (invitation: Invitation) => json(200, toJson(invitation));
  const notPending = (code: string) => apiError(400, 'The invitation is not pending.', code);
  const withPending = (id: string, act: (invitation: Invitation) => TestResponse) => {
    const invitation = invitations.get(id);
    if (!invitation) return notFound('Invitation', id);
    return stateOf(invitation, now()) === 'pending' ? act(invitation) : notPending('invite_not_pending');
  };
  return [
    {
      on: 'GET /user_management/invitations',
      operation,
      handle: ({ query }) => {
        const [organizationId, email] = [query.get('organization_id'), query.get('email')];
        const found = [...invitations.values()].filter(
          (one) =>
            (organizationId === null || one.organizationId === organizationId) &&
            (email === null || one.email.toLowerCase() === email.toLowerCase()),
        );
        return listPage(query, found, toJson);
      },
    },
    {
      on: 'POST /user_management/invitations',
      operation,
      handle: ({ body = {} }) => {
        const problem = sendProblem(body, directory, [...invitations.values()], now());
        if (problem) return problem;
        const invitation = add(
          {
            email: text(body['email']) ?? '',
            organizationId: text(body['organization_id']),
            role: text(body['role_slug']),
            inviterUserId: text(body['inviter_user_id']),
          },
          Number(body['expires_in_days'] ?? DEFAULT_DAYS),
        );
        return json(201, toJson(invitation));
      },
    },
    {
      on: 'GET /user_management/invitations/by_token/:token',
      operation,
      handle: (_, { token = '' }) => {
        const invitation = [...invitations.values()].find((one) => one.token === token);
        return invitation ? respond(invitation) : notFound('Invitation', token);
      },
    },
    {
      on: 'GET /user_management/invitations/:id',
      operation,
      handle: (_, { id = '' }) => {
        const invitation = invitations.get(id);
        return invitation ? respond(invitation) : notFound('Invitation', id);
      },
    },
    {
      on: 'POST /user_management/invitations/:id/accept',
      operation,
      handle: (_, { id = '' }) =>
        withPending(id, (invitation) => {
          const user = directory.findUser(invitation.email)?.user;
          if (!user) return apiError(400, `No user has the address ${invitation.email}.`, 'invalid_invite');
          accept(invitation, user.id);
          return respond(invitation);
        }),
    },
    {
      on: 'POST /user_management/invitations/:id/revoke',
      operation,
      handle: (_, { id = '' }) =>
        withPending(id, (invitation) => {
          invitation.revokedAt = now();
          return respond(invitation);
        }),
    },
  ];
}

function sendProblem(body: Fields, directory: Directory, sent: readonly Invitation[], now: number) {
  const [email, organizationId] = [text(body['email']), text(body['organization_id'])];
  if (email === undefined || !email.includes('@')) return unprocessable('email', 'email must be an email');
  if (organizationId !== undefined && !directory.getOrganization(organizationId))
    return notFound('Organization', organizationId);
  const inviter = text(body['inviter_user_id']);
  if (inviter !== undefined && !directory.getUser(inviter)) return notFound('User', inviter);
  const days = Number(body['expires_in_days'] ?? DEFAULT_DAYS);
  if (!(days >= 1)) return apiError(400, 'expires_in_days is too short.', 'expires_in_days_too_short');
  if (days > MAX_DAYS) return apiError(400, 'expires_in_days is too long.', 'expires_in_days_too_long');
  const isOpen = (one: Invitation) =>
    stateOf(one, now) === 'pending' &&
    one.email.toLowerCase() === email.toLowerCase() &&
    one.organizationId === organizationId;
  if (sent.some(isOpen)) {
    return organizationId === undefined
      ? apiError(400, `${email} was invited already.`, 'email_already_invited')
      : apiError(
          400,
          `${email} was invited to this organization already.`,
          'email_already_invited_to_organization',
        );
  }
  const user = directory.findUser(email)?.user;
  if (!user) return undefined;
  if (organizationId === undefined)
    return apiError(400, `A user with the address ${email} exists already.`, 'user_already_exists');
  return directory.findMembership(user.id, organizationId)?.status === 'active'
    ? apiError(400, `${email} is a member of this organization already.`, 'user_already_organization_member')
    : undefined;
}

function stateOf({ acceptedAt, revokedAt, expiresAt }: Invitation, now: number) {
  if (acceptedAt !== undefined) return 'accepted';
  if (revokedAt !== undefined) return 'revoked';
  return now >= expiresAt ? 'expired' : 'pending';
}

function invitationJson(invitation: Invitation, now: number, url: string): Fields {
  const { id, token, email, organizationId, role, inviterUserId, acceptedUserId } = invitation;
  const { createdAt, expiresAt, acceptedAt, revokedAt } = invitation;
  const iso = (time: number | undefined) => (time === undefined ? null : new Date(time).toISOString());
  return {
    object: 'invitation',
    id,
    email,
    state: stateOf(invitation, now),
    accepted_at: iso(acceptedAt),
    revoked_at: iso(revokedAt),
    expires_at: iso(expiresAt),
    token,
    accept_invitation_url: `${url}/invitation?invitation_token=${token}`,
    organization_id: organizationId ?? null,
    inviter_user_id: inviterUserId ?? null,
    accepted_user_id: acceptedUserId ?? null,
    role_slug: role ?? null,
    created_at: iso(createdAt),
    updated_at: iso(acceptedAt ?? revokedAt ?? createdAt),
  };
}
