import type { Directory, Membership, Person } from '../state/directory.js';
import { idFor } from '../state/tokens.js';
import { type Handler, apiError, json, text } from './http.js';
import { userJson } from './json.js';

/** `PUT /user_management/users/:id`: changes what is given. */
export function createUpdateUser(directory: Directory, apiKey: string): Handler {
  return ({ path, body, authorization }) => {
    if (authorization !== `Bearer ${apiKey}`) return apiError(401, 'Unauthorized');
    const person = directory.find(decodeURIComponent(path.slice(path.lastIndexOf('/') + 1)));
    if (!person || !body) return apiError(404, 'User not found.', 'entity_not_found');
    const { user } = person;
    const [firstName, ...rest] = text(body['name'])?.split(' ') ?? [];
    const locale = text(body['locale']);
    const changed = directory.put({
      id: user.id,
      email: user.email,
      ...(firstName === undefined ? {} : { firstName, lastName: rest.join(' ') }),
      ...(locale === undefined ? {} : { locale }),
      metadata: { ...user.metadata, ...(body['metadata'] as Record<string, string> | undefined) },
    });
    return json(200, userJson(changed.user));
  };
}

/** `GET /user_management/organization_memberships`, and `PUT` of one. */
export function createMemberships(directory: Directory, apiKey: string): Handler {
  const all = () =>
    directory.people().flatMap((person) => person.memberships.map((one) => ({ person, membership: one })));
  return ({ method, path, query, body, authorization }) => {
    if (authorization !== `Bearer ${apiKey}`) return apiError(401, 'Unauthorized');
    if (method === 'GET') {
      const data = all()
        .map(({ person, membership }) => membershipJson(person, membership))
        .filter((one) => one.user_id === (query.get('user_id') ?? one.user_id))
        .filter((one) => one.organization_id === (query.get('organization_id') ?? one.organization_id));
      return json(200, { object: 'list', data, list_metadata: { before: null, after: null } });
    }
    const id = path.slice(path.lastIndexOf('/') + 1);
    const found = all().find(({ person, membership }) => membershipJson(person, membership).id === id);
    const role = text(body?.['role_slug']);
    if (!found || role === undefined) return apiError(404, 'Membership not found.', 'entity_not_found');
    const { user, memberships } = found.person;
    const changed = memberships.map((one) =>
      one === found.membership ? { organizationId: one.organizationId, role } : one,
    );
    const person = directory.put({ id: user.id, email: user.email, memberships: changed });
    return json(200, membershipJson(person, { ...found.membership, role }));
  };
}

function membershipJson({ user }: Person, { organizationId, organization, role = 'member' }: Membership) {
  return {
    object: 'organization_membership',
    id: idFor('om', `${user.id}/${organizationId}`),
    user_id: user.id,
    organization_id: organizationId,
    organization_name: organization.name,
    status: 'active',
    role: { slug: role },
    created_at: user.createdAt,
    updated_at: user.updatedAt,
  };
}
