import type { Connection, Directory, DirectoryUser } from '../state/users-and-organizations.js';
import { rolesOf } from '../state/users-and-organizations.js';
import {
  idFor,
  newSecret,
  provesChallenge,
  type Authorization,
  type AuthorizationCodes,
} from '../state/tokens.js';
import {
  json,
  listPage,
  notFound,
  oauthError,
  text,
  type Fields,
  type Route,
} from './request-and-response.js';
import { oauthTokensJson } from './resource-json.js';

export interface SSODependencies {
  clientId: string;
  apiKey: string;
  directory: Directory;
  codes: AuthorizationCodes;
  now: () => number;
}

/** Lifetime of the access tokens that `/sso/token` issues, in seconds. */
const PROFILE_TOKEN_LIFETIME = 600;

/**
 * Creates the routes of the standalone SSO API: profiles and connections.
 *
 * @see https://workos.com/docs/reference/sso
 */
export function ssoRoutes({ clientId, apiKey, directory, codes, now }: SSODependencies): Route[] {
  const profiles = new Map<string, { profile: Fields; expiresAt: number }>();
  return [
    {
      on: 'POST /sso/token',
      operation: 'profile',
      needsApiKey: false,
      handle: ({ body }) => {
        if (body?.['client_id'] !== clientId || body['client_secret'] !== apiKey)
          return oauthError(400, 'invalid_client', 'Invalid client ID or secret.');
        if (body['grant_type'] !== 'authorization_code')
          return oauthError(400, 'unsupported_grant_type', 'The grant type is not supported.');
        const code = text(body['code']);
        const authorization = code === undefined ? undefined : codes.consume(code);
        const user = authorization && directory.getUser(authorization.userId);
        if (!user) return oauthError(400, 'invalid_grant', 'The code has expired or has already been used.');
        if (!provesChallenge(authorization.codeChallenge, text(body['code_verifier'])))
          return oauthError(400, 'invalid_grant', 'Invalid code verifier.');
        const profile = profileJson(user, authorization, directory);
        const token = newSecret();
        profiles.set(token, { profile, expiresAt: now() + PROFILE_TOKEN_LIFETIME * 1000 });
        return json(200, {
          token_type: 'Bearer',
          access_token: token,
          expires_in: PROFILE_TOKEN_LIFETIME,
          profile,
          ...oauthTokensJson(authorization.oauthTokens),
        });
      },
    },
    {
      // Requests to this endpoint contain the access token from `/sso/token` instead of the API key.
      on: 'GET /sso/profile',
      operation: 'profile',
      needsApiKey: false,
      handle: ({ authorization }) => {
        const found = profiles.get(authorization?.replace(/^Bearer /, '') ?? '');
        if (!found || now() >= found.expiresAt)
          return json(401, { error: 'Unauthorized', message: 'Unauthorized' });
        return json(200, found.profile);
      },
    },
    {
      on: 'GET /connections',
      operation: 'connections',
      handle: ({ query }) => {
        const [organizationId, type] = [query.get('organization_id'), query.get('connection_type')];
        const found = directory
          .connections()
          .filter(
            (one) =>
              (organizationId === null || one.organizationId === organizationId) &&
              (type === null || one.type === type),
          );
        return listPage(query, found, (connection) => connectionJson(connection, directory));
      },
    },
    {
      on: 'GET /connections/:id',
      operation: 'connections',
      handle: (_, { id = '' }) => {
        const connection = directory.findConnection(id);
        return connection ? json(200, connectionJson(connection, directory)) : notFound('Connection', id);
      },
    },
  ];
}

function connectionJson({ id, type, organizationId, createdAt }: Connection, directory: Directory): Fields {
  const organization = directory.getOrganization(organizationId);
  return {
    object: 'connection',
    id,
    organization_id: organizationId,
    connection_type: type,
    name: organization?.name ?? '',
    state: 'active',
    status: 'linked',
    domains: (organization?.domains ?? []).map(({ id: domainId, domain }) => ({
      object: 'connection_domain',
      id: domainId,
      domain,
    })),
    created_at: createdAt,
    updated_at: createdAt,
  };
}

function profileJson(
  { user, memberships }: DirectoryUser,
  { connectionId, authenticationMethod }: Authorization,
  directory: Directory,
): Fields {
  const connection = connectionId === undefined ? undefined : directory.findConnection(connectionId);
  const membership = memberships.find((one) => one.organizationId === connection?.organizationId);
  const { firstName, lastName, name, email } = user;
  const roles = rolesOf({ role: membership?.role, roles: membership?.roles }).map((slug) => ({ slug }));
  return {
    object: 'profile',
    id: idFor('prof', `${connection?.id ?? authenticationMethod}/${user.id}`),
    organization_id: connection?.organizationId ?? null,
    connection_id: connection?.id ?? idFor('conn', authenticationMethod),
    connection_type: connection?.type ?? authenticationMethod,
    idp_id: user.externalId ?? user.id,
    email,
    first_name: firstName,
    last_name: lastName,
    name,
    ...(connection ? { role: roles[0], roles } : { role: null, roles: null }),
    groups: [],
    custom_attributes: {},
    raw_attributes: { email, firstName, lastName },
  };
}

/** The options of `startAtIdentityProvider`, which starts a sign-in at the identity provider. */
export interface TestIdPStart {
  /** Id or email address of the user. */
  user: string;
  /** Id of the connection to the identity provider. */
  connection: string;
  /** The callback URL. Default: the `redirectUri` in `workos.options`. */
  redirectUri?: string;
}

export interface IdPStartDependencies {
  directory: Directory;
  codes: AuthorizationCodes;
  callback: string;
  now: () => number;
}

/**
 * Creates a function that starts a sign-in at the identity provider. The function returns the callback URL, which
 * contains a code but no state.
 */
export function createIdPStart({ directory, codes, callback, now }: IdPStartDependencies) {
  return ({ user, connection, redirectUri = callback }: TestIdPStart): string => {
    const [known, found] = [directory.findUser(user), directory.findConnection(connection)];
    if (!known) throw new Error(`The test WorkOS has no user "${user}". Add the user to \`users\`.`);
    if (!found)
      throw new Error(
        `The test WorkOS has no connection "${connection}". Add it to the \`connections\` of an organization.`,
      );
    const code = codes.issue({
      userId: known.user.id,
      organizationId: found.organizationId,
      authenticationMethod: 'SSO',
      connectionId: found.id,
      isOrganizationNamed: true,
      codeChallenge: undefined,
      authTime: Math.floor(now() / 1000),
      userAgent: undefined,
      oauthTokens: undefined,
    });
    const url = new URL(redirectUri);
    url.searchParams.set('code', code);
    return url.href;
  };
}
