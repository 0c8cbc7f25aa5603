import type {
  Directory,
  Membership,
  Organization,
  OrganizationChanges,
  OrganizationDomain,
} from '../state/users-and-organizations.js';
import { newId } from '../state/tokens.js';
import {
  apiError,
  empty,
  json,
  listPage,
  notFound,
  text,
  texts,
  unprocessable,
  type Fields,
  type Route,
  type TestResponse,
} from './request-and-response.js';
import { membershipJson, organizationJson } from './resource-json.js';
import { metadataOf, metadataProblem } from './users.js';

/** @see https://workos.com/docs/reference/organization */
export function organizationRoutes(directory: Directory): Route[] {
  const operation = 'organizations';
  const respond = (organization: Organization | undefined, id: string) =>
    organization ? json(200, organizationJson(organization)) : notFound('Organization', id);
  return [
    {
      on: 'GET /organizations',
      operation,
      handle: ({ query }) => {
        const domains = [...query.getAll('domains'), ...query.getAll('domains[]')].flatMap((value) =>
          value.split(','),
        );
        const search = query.get('search')?.toLowerCase();
        const found = directory
          .organizations()
          .filter(
            (one) =>
              (domains.length === 0 || one.domains.some(({ domain }) => domains.includes(domain))) &&
              (search === undefined || one.name.toLowerCase().includes(search)),
          );
        return listPage(query, found, organizationJson);
      },
    },
    {
      on: 'POST /organizations',
      operation,
      handle: ({ body = {} }) => {
        const name = text(body['name']);
        if (name === undefined) return unprocessable('name', 'name_required');
        const problem = problemOf(body, undefined, directory);
        if (problem) return problem;
        const created = directory.createOrganization({ ...changesOf(body, {}), name });
        return json(201, organizationJson(created));
      },
    },
    {
      on: 'GET /organizations/external_id/:externalId',
      operation,
      handle: (_, { externalId = '' }) =>
        respond(
          directory.organizations().find((one) => one.externalId === externalId),
          externalId,
        ),
    },
    {
      on: 'GET /organizations/:id',
      operation,
      handle: (_, { id = '' }) => respond(directory.getOrganization(id), id),
    },
    {
      on: 'PUT /organizations/:id',
      operation,
      handle: ({ body = {} }, { id = '' }) => {
        const known = directory.getOrganization(id);
        if (!known) return notFound('Organization', id);
        const problem = problemOf(body, id, directory);
        if (problem) return problem;
        return respond(directory.updateOrganization(id, changesOf(body, known.metadata)), id);
      },
    },
    {
      on: 'DELETE /organizations/:id',
      operation,
      handle: (_, { id = '' }) => {
        if (!directory.getOrganization(id)) return notFound('Organization', id);
        directory.removeOrganization(id);
        return empty(202);
      },
    },
  ];
}

function changesOf(body: Fields, metadata: Readonly<Record<string, string>>): OrganizationChanges {
  const [name, externalId, stripe] = [
    text(body['name']),
    body['external_id'],
    text(body['stripe_customer_id']),
  ];
  const domains = domainsOf(body);
  return {
    ...(name === undefined ? {} : { name }),
    ...(externalId === undefined ? {} : { externalId: text(externalId) ?? null }),
    ...(stripe === undefined ? {} : { stripeCustomerId: stripe }),
    ...(domains === undefined ? {} : { domains }),
    metadata: metadataOf(metadata, body),
  };
}

function domainsOf(body: Fields): readonly OrganizationDomain[] | undefined {
  const data = body['domain_data'] as { domain?: unknown; state?: unknown }[] | undefined;
  const given = data ?? texts(body['domains'])?.map((domain) => ({ domain, state: 'verified' }) as const);
  return given?.map(({ domain, state }) => ({
    id: newId('org_domain'),
    domain: text(domain) ?? '',
    state: state === 'pending' ? 'pending' : 'verified',
  }));
}

function problemOf(body: Fields, id: string | undefined, directory: Directory): TestResponse | undefined {
  if (body['domain_data'] !== undefined && !isDomainData(body['domain_data']))
    return unprocessable('domain_data', 'domain_data must be a list of domains with a state');
  const others = directory.organizations().filter((one) => one.id !== id);
  const externalId = text(body['external_id']);
  if (externalId !== undefined && others.some((one) => one.externalId === externalId))
    return apiError(400, `The external id ${externalId} is used already.`, 'external_id_already_used');
  return metadataProblem(body);
}

function isDomainData(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((one) => text((one as { domain?: unknown } | null)?.domain) !== undefined)
  );
}

/** @see https://workos.com/docs/reference/authkit/organization-membership */
export function membershipRoutes(directory: Directory): Route[] {
  const operation = 'memberships';
  const toJson = (membership: Membership) => {
    const user = directory.getUser(membership.userId);
    return user && membershipJson(user, membership);
  };
  const withMembership = (id: string, act: (membership: Membership) => TestResponse) => {
    const membership = directory.getMembership(id);
    return membership ? act(membership) : notFound('Organization Membership', id);
  };
  const setStatus = (id: string, status: Membership['status'], pendingError: TestResponse) =>
    withMembership(id, (membership) =>
      membership.status === 'pending'
        ? pendingError
        : json(200, toJson(directory.setMembershipStatus(id, status))),
    );
  return [
    {
      on: 'GET /user_management/organization_memberships',
      operation,
      handle: ({ query }) => listMemberships(query, directory, toJson),
    },
    {
      on: 'POST /user_management/organization_memberships',
      operation,
      handle: ({ body = {} }) => createMembership(body, directory, toJson),
    },
    {
      on: 'GET /user_management/organization_memberships/:id',
      operation,
      handle: (_, { id = '' }) => withMembership(id, (membership) => json(200, toJson(membership))),
    },
    {
      on: 'PUT /user_management/organization_memberships/:id',
      operation,
      handle: ({ body = {} }, { id = '' }) =>
        withMembership(id, ({ userId, organizationId, status }) => {
          const slugs = roleSlugsOf(body);
          if (!slugs) return unprocessable('role_slug', 'role_slug or role_slugs is required');
          directory.putMembership(userId, organizationId, slugs);
          return json(200, toJson(directory.setMembershipStatus(id, status)));
        }),
    },
    {
      on: 'DELETE /user_management/organization_memberships/:id',
      operation,
      handle: (_, { id = '' }) =>
        withMembership(id, () => {
          directory.removeMembership(id);
          return empty(200);
        }),
    },
    {
      on: 'PUT /user_management/organization_memberships/:id/deactivate',
      operation,
      handle: (_, { id = '' }) =>
        setStatus(
          id,
          'inactive',
          apiError(
            400,
            'A pending membership cannot be deactivated. Delete it instead.',
            'cannot_deactivate_pending_organization_membership',
          ),
        ),
    },
    {
      on: 'PUT /user_management/organization_memberships/:id/reactivate',
      operation,
      handle: (_, { id = '' }) =>
        setStatus(
          id,
          'active',
          apiError(
            400,
            'A pending membership cannot be reactivated.',
            'cannot_reactivate_pending_organization_membership',
          ),
        ),
    },
  ];
}

function listMemberships(
  query: URLSearchParams,
  directory: Directory,
  toJson: (membership: Membership) => unknown,
): TestResponse {
  const [userId, organizationId] = [query.get('user_id'), query.get('organization_id')];
  if (userId === null && organizationId === null)
    return apiError(
      400,
      'One of user_id and organization_id is required.',
      'missing_user_id_or_organization_id',
    );
  const named = [...query.getAll('statuses'), ...query.getAll('statuses[]')].flatMap((value) =>
    value.split(','),
  );
  const statuses = named.length > 0 ? named : ['active'];
  const unknown = statuses.find((status) => !['active', 'inactive', 'pending'].includes(status));
  if (unknown !== undefined) return unprocessable('statuses', `${unknown} is not a status`);
  const found = directory
    .memberships()
    .filter(
      (one) =>
        (userId === null || one.userId === userId) &&
        (organizationId === null || one.organizationId === organizationId) &&
        statuses.includes(one.status),
    );
  return listPage(query, found, toJson);
}

function createMembership(
  body: Fields,
  directory: Directory,
  toJson: (membership: Membership) => unknown,
): TestResponse {
  const [userId, organizationId] = [text(body['user_id']), text(body['organization_id'])];
  if (userId === undefined) return unprocessable('user_id', 'user_id is required');
  if (organizationId === undefined) return unprocessable('organization_id', 'organization_id is required');
  if (!directory.getUser(userId)) return notFound('User', userId);
  if (!directory.getOrganization(organizationId)) return notFound('Organization', organizationId);
  const known = directory.findMembership(userId, organizationId);
  if (known?.status === 'pending')
    return apiError(
      400,
      'A pending membership cannot be activated.',
      'cannot_reactivate_pending_organization_membership',
    );
  if (known?.status === 'active')
    return unprocessable('user_id', 'the user is a member of this organization already');
  // An inactive membership becomes active again, with the new roles.
  const created = directory.putMembership(userId, organizationId, roleSlugsOf(body) ?? ['member']);
  return json(201, toJson(created));
}

function roleSlugsOf(body: Fields): readonly string[] | undefined {
  const [one, many] = [text(body['role_slug']), texts(body['role_slugs'])];
  if (one !== undefined) return [one];
  return many !== undefined && many.length > 0 ? many : undefined;
}
