import type { Directory } from '../state/users-and-organizations.js';
import { newId, newSecret } from '../state/tokens.js';
import {
  empty,
  json,
  listPage,
  notFound,
  text,
  texts,
  unprocessable,
  type Fields,
  type Route,
} from './request-and-response.js';

export interface TestApiKey {
  /** Id or name of the organization that the key gives access to. Default: the first organization. */
  organizationId?: string;
  /** Id or email address of the member who owns the key. By default, the organization owns the key. */
  user?: string;
  permissions?: readonly string[];
  name?: string;
}

interface ApiKey {
  readonly id: string;
  readonly value: string;
  readonly owner:
    | { readonly type: 'organization'; readonly id: string }
    | { readonly type: 'user'; readonly id: string; readonly organization_id: string };
  readonly name: string;
  readonly permissions: readonly string[];
  readonly createdAt: string;
  lastUsedAt: string | null;
}

export interface ApiKeys {
  /** Creates a key and returns its value, `sk_…`. */
  create: (key?: TestApiKey) => string;
  revoke: (value: string) => void;
  /** Revokes all keys that a user owns. */
  revokeOf: (userId: string) => void;
  routes: () => Route[];
}

/** @see https://workos.com/docs/reference/authkit/api-keys */
export function createApiKeys(directory: Directory, now: () => number): ApiKeys {
  const keys = new Map<string, ApiKey>();
  const at = () => new Date(now()).toISOString();

  const add = (owner: ApiKey['owner'], name: string, permissions: readonly string[]): ApiKey => {
    const [id, value] = [newId('api_key'), `sk_${newSecret()}`];
    const key = { id, value, owner, name, permissions, createdAt: at(), lastUsedAt: null };
    keys.set(value, key);
    return key;
  };
  return {
    create: (key = {}) => add(ownerOf(key, directory), key.name ?? 'A test key', key.permissions ?? []).value,
    revoke: (value) => void keys.delete(value),
    revokeOf: (userId) => {
      for (const { value, owner } of keys.values())
        if (owner.type === 'user' && owner.id === userId) keys.delete(value);
    },
    routes: () => apiKeyRoutes({ directory, keys, add, at }),
  };
}

function ownerOf({ organizationId: asked, user }: TestApiKey, directory: Directory): ApiKey['owner'] {
  const named = asked === undefined ? directory.organizations()[0] : directory.findOrganization(asked);
  const organizationId = named?.id ?? asked;
  if (organizationId === undefined)
    throw new Error(
      'An API key needs an organization, and the test WorkOS has none. Add one to `organizations`.',
    );
  if (user === undefined) return { type: 'organization', id: organizationId };
  const found = directory.findUser(user);
  if (!found) throw new Error(`The test WorkOS has no user "${user}". Add the user to \`users\`.`);
  return { type: 'user', id: found.user.id, organization_id: organizationId };
}

interface ApiKeyStore {
  directory: Directory;
  keys: Map<string, ApiKey>;
  add: (owner: ApiKey['owner'], name: string, permissions: readonly string[]) => ApiKey;
  at: () => string;
}

function apiKeyRoutes({ directory, keys, add, at }: ApiKeyStore): Route[] {
  const operation = 'apiKeys';
  const ownedBy = (type: ApiKey['owner']['type'], id: string) =>
    [...keys.values()].filter(({ owner }) => owner.type === type && owner.id === id);
  return [
    {
      on: 'POST /api_keys/validations',
      operation: 'apiKey',
      handle: ({ body }) => {
        const value = text(body?.['value']);
        if (value === undefined) return unprocessable('value', 'value is required');
        const key = keys.get(value);
        if (!key) return json(200, { api_key: null });
        const validated = apiKeyJson(key);
        key.lastUsedAt = at();
        return json(200, { api_key: validated });
      },
    },
    {
      on: 'DELETE /api_keys/:id',
      operation,
      handle: (_, { id = '' }) => {
        const key = [...keys.values()].find((one) => one.id === id);
        if (!key) return notFound('API Key', id);
        keys.delete(key.value);
        return empty(204);
      },
    },
    {
      on: 'GET /organizations/:id/api_keys',
      operation,
      handle: ({ query }, { id = '' }) =>
        directory.getOrganization(id)
          ? listPage(query, ownedBy('organization', id), apiKeyJson)
          : notFound('Organization', id),
    },
    {
      on: 'POST /organizations/:id/api_keys',
      operation,
      handle: ({ body = {} }, { id = '' }) => {
        if (!directory.getOrganization(id)) return notFound('Organization', id);
        const name = text(body['name']);
        if (name === undefined) return unprocessable('name', 'name is required');
        const key = add({ type: 'organization', id }, name, texts(body['permissions']) ?? []);
        return json(201, { ...apiKeyJson(key), value: key.value });
      },
    },
    {
      on: 'GET /user_management/users/:id/api_keys',
      operation,
      handle: ({ query }, { id = '' }) => {
        if (!directory.getUser(id)) return notFound('User', id);
        const organizationId = query.get('organization_id');
        const found = ownedBy('user', id).filter(
          ({ owner }) =>
            organizationId === null || (owner.type === 'user' && owner.organization_id === organizationId),
        );
        return listPage(query, found, apiKeyJson);
      },
    },
    {
      on: 'POST /user_management/users/:id/api_keys',
      operation,
      handle: ({ body = {} }, { id = '' }) => {
        const user = directory.getUser(id);
        if (!user) return notFound('User', id);
        const [name, organizationId] = [text(body['name']), text(body['organization_id'])];
        if (name === undefined) return unprocessable('name', 'name is required');
        if (organizationId === undefined)
          return unprocessable('organization_id', 'organization_id is required');
        if (!user.memberships.some((one) => one.organizationId === organizationId))
          return notFound('Organization Membership', organizationId);
        const owner = { type: 'user', id, organization_id: organizationId } as const;
        const key = add(owner, name, texts(body['permissions']) ?? []);
        return json(201, { ...apiKeyJson(key), value: key.value });
      },
    },
  ];
}

function apiKeyJson({ id, value, owner, name, permissions, createdAt, lastUsedAt }: ApiKey): Fields {
  return {
    object: 'api_key',
    id,
    owner,
    name,
    obfuscated_value: `sk_...${value.slice(-4)}`,
    last_used_at: lastUsedAt,
    permissions,
    created_at: createdAt,
    updated_at: createdAt,
  };
}
