import type { OauthTokens } from '@workos-inc/node';
import type { Directory, Person } from '../state/directory.js';
import { type Authorization, type Codes, idFor, newSecret, provesChallenge } from '../state/tokens.js';
import { type Handler, json, oauthError, text } from './http.js';

export interface SSOParts {
  clientId: string;
  apiKey: string;
  directory: Directory;
  codes: Codes;
}

/**
 * `POST /sso/token`: exchanges a code for a profile, once.
 *
 * @see https://workos.com/docs/reference/sso/profile/get-profile-and-token
 */
export function createProfileExchange({ clientId, apiKey, directory, codes }: SSOParts): Handler {
  return ({ body }) => {
    if (body?.['client_id'] !== clientId || body['client_secret'] !== apiKey)
      return oauthError(400, 'invalid_client', 'Invalid client ID or secret.');
    if (body['grant_type'] !== 'authorization_code')
      return oauthError(400, 'unsupported_grant_type', 'The grant type is not supported.');
    const code = text(body['code']);
    const authorization = code === undefined ? undefined : codes.spend(code);
    const person = authorization && directory.find(authorization.userId);
    if (!person) return oauthError(400, 'invalid_grant', 'The code has expired or has already been used.');
    if (!provesChallenge(authorization.codeChallenge, text(body['code_verifier'])))
      return oauthError(400, 'invalid_grant', 'Invalid code verifier.');
    return json(200, {
      token_type: 'Bearer',
      access_token: newSecret(),
      expires_in: 600,
      profile: profileOf(person, authorization, directory),
      ...tokensJson(authorization.oauthTokens),
    });
  };
}

function tokensJson(tokens: OauthTokens | undefined) {
  if (!tokens) return {};
  const { accessToken, refreshToken, expiresAt, scopes } = tokens;
  return {
    oauth_tokens: { access_token: accessToken, refresh_token: refreshToken, expires_at: expiresAt, scopes },
  };
}

function profileOf({ user, memberships }: Person, authorization: Authorization, directory: Directory) {
  const { connectionId, authenticationMethod } = authorization;
  const connection = connectionId === undefined ? undefined : directory.findConnection(connectionId);
  const membership = memberships.find((one) => one.organizationId === connection?.organizationId);
  const { firstName, lastName, name, email } = user;
  const roles = (membership?.roles ?? [membership?.role ?? 'member']).map((slug) => ({ slug }));
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

/** Somebody who begins at their identity provider. */
export interface TestIdPStart {
  /** Id or e-mail address. */
  user: string;
  /** Id of a connection. */
  connection: string;
  /** The callback; default that of `options`. */
  redirectUri?: string;
}

export function createIdPStart(directory: Directory, codes: Codes, callback: string) {
  return ({ user, connection, redirectUri = callback }: TestIdPStart): string => {
    const [person, found] = [directory.find(user), directory.findConnection(connection)];
    if (!person || !found) throw new Error(`Nobody here is ${user}, or there is no connection ${connection}`);
    const code = codes.issue({
      userId: person.user.id,
      organizationId: found.organizationId,
      authenticationMethod: 'SSO',
      connectionId: found.id,
      isOrganizationNamed: true,
      codeChallenge: undefined,
      authTime: undefined,
      oauthTokens: undefined,
    });
    const url = new URL(redirectUri);
    url.searchParams.set('code', code);
    return url.href;
  };
}
