import type { Directory } from '../state/directory.js';
import { newId, newSecret } from '../state/tokens.js';
import { type Handler, apiError, json, text } from './http.js';

export interface TestApiKey {
  /** Id or name of the organization that it acts in; default the first one. */
  organizationId?: string;
  /** Id or e-mail address of the member whose key it is; without it, it is the organization's. */
  user?: string;
  permissions?: readonly string[];
  name?: string;
}

export interface ApiKeys {
  /** A new key, `sk_…`. */
  issue: (key?: TestApiKey) => string;
  revoke: (value: string) => void;
  /** `POST /api_keys/validations` */
  validate: Handler;
}

/** @see https://workos.com/docs/reference/authkit/api-keys */
export function createApiKeys(directory: Directory, apiKey: string, now: () => number): ApiKeys {
  const keys = new Map<string, Record<string, unknown>>();

  const ownerOf = ({ organizationId: asked, user }: TestApiKey) => {
    const named = asked === undefined ? directory.firstOrganization() : directory.findOrganization(asked);
    const organizationId = named?.id ?? asked;
    if (organizationId === undefined) throw new Error('There is no organization: an API key needs one');
    const person = user === undefined ? undefined : directory.find(user);
    if (user !== undefined && !person) throw new Error(`Nobody here is "${user}"`);
    return person
      ? { type: 'user', id: person.user.id, organization_id: organizationId }
      : { type: 'organization', id: organizationId };
  };
  return {
    issue: (key = {}) => {
      const value = `sk_${newSecret()}`;
      const at = new Date(now()).toISOString();
      keys.set(value, {
        object: 'api_key',
        id: newId('api_key'),
        owner: ownerOf(key),
        name: key.name ?? 'A test key',
        obfuscated_value: `sk_...${value.slice(-4)}`,
        last_used_at: null,
        permissions: key.permissions ?? [],
        created_at: at,
        updated_at: at,
      });
      return value;
    },
    revoke: (value) => void keys.delete(value),
    validate: ({ body, authorization }) => {
      if (authorization !== `Bearer ${apiKey}`) return apiError(401, 'Unauthorized');
      const value = text(body?.['value']);
      if (value === undefined) return apiError(422, 'Validation failed');
      return json(200, { api_key: keys.get(value) ?? null });
    },
  };
}
