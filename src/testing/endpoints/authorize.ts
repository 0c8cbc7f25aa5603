import type { Connection, Directory, DirectoryUser } from '../state/users-and-organizations.js';
import { newSecret, type AuthorizationCodes, type ProviderTokens } from '../state/tokens.js';
import {
  parseAuthorizationRequest,
  type AuthorizationRequest,
  type Endpoint,
  type RequestProblem,
} from './validate-authorization-request.js';
import {
  json,
  redirect,
  text,
  type Fields,
  type Route,
  type TestRequest,
  type TestResponse,
} from './request-and-response.js';
import type { Invitations } from './invitations.js';
import { errorPage, signInPage, signUpPage } from './sign-in-page.js';

export interface AuthorizeDependencies {
  clientId: string;
  redirectUris: readonly string[] | undefined;
  directory: Directory;
  /**
   * The authorization codes that each endpoint has issued. AuthKit and the SSO API do not accept each other's codes.
   */
  codes: Readonly<Record<Endpoint, AuthorizationCodes>>;
  invitations: Invitations;
  now: () => number;
  /** Called with the redirect URI of every accepted request. */
  onRedirectUri: (redirectUri: string) => void;
}

/**
 * Creates the routes for the sign-in pages of AuthKit and of the standalone SSO API, and for the forms on these pages.
 */
export function authorizeRoutes(dependencies: AuthorizeDependencies): Route[] {
  const [show, choose] = [createShow(dependencies), createChoose(dependencies)];
  const page = { operation: 'authorize', needsApiKey: false, handle: show } as const;
  const choice = { operation: 'choose', needsApiKey: false, handle: choose } as const;
  return [
    { on: 'GET /user_management/authorize', ...page },
    { on: 'POST /user_management/authorize/choose', ...choice },
    { on: 'GET /sso/authorize', ...page },
    { on: 'POST /sso/authorize/choose', ...choice },
  ];
}

function endpointOf({ path }: TestRequest): Endpoint {
  return path.startsWith('/sso/') ? '/sso/authorize' : '/user_management/authorize';
}

function createShow(dependencies: AuthorizeDependencies): (request: TestRequest) => TestResponse {
  return (request) => {
    const authorization = parseAuthorizationRequest(request.query, endpointOf(request), dependencies);
    if ('error' in authorization) return refuse(authorization, request);
    dependencies.onRedirectUri(authorization.redirectUri);
    const error = errorFor(authorization, dependencies);
    if (error) return redirectBack(authorization, error);
    return authorization.isSignUp
      ? signUpPage(authorization)
      : signInPage(authorization, dependencies.directory);
  };
}

/**
 * Returns the query parameters that report an error to the redirect URI, or `undefined` if there is no error. The
 * redirect URI has already been checked.
 */
function errorFor(
  { endpoint, connectionId, organizationId, invitationToken, isSilent }: AuthorizationRequest,
  { directory, invitations }: AuthorizeDependencies,
): Record<string, string> | undefined {
  const error = (code: string, description: string) => ({ error: code, error_description: description });
  if (invitationToken !== undefined && invitations.problem(invitationToken))
    return error('invitation_invalid', 'The invitation is unknown or no longer pending.');
  // The test WorkOS does not keep browser sessions, so a user must always sign in on the page.
  if (isSilent) return error('login_required', 'The user is not signed in, and prompt is none.');
  if (endpoint !== '/sso/authorize') return undefined;
  if (connectionId !== undefined && !directory.findConnection(connectionId))
    return error('connection_invalid', 'The connection does not exist.');
  if (organizationId !== undefined && !directory.findOrganization(organizationId)?.connections[0])
    return error('organization_invalid', 'No connection associated with organization.');
  return undefined;
}

function createChoose(dependencies: AuthorizeDependencies): (request: TestRequest) => TestResponse {
  return (request) => {
    const { body = {} } = request;
    const query = new URLSearchParams(text(body['request']) ?? '');
    const authorization = parseAuthorizationRequest(query, endpointOf(request), dependencies);
    if ('error' in authorization) return refuse(authorization, request);
    if (body['decision'] === 'deny') {
      const description = 'The user denied the sign-in.';
      return redirectBack(authorization, { error: 'access_denied', error_description: description });
    }
    const user = chooseUser(body, dependencies.directory);
    if (typeof user === 'string') {
      const problem = { error: 'invalid_request', description: user };
      return authorization.isSignUp && request.wantsPage
        ? signUpPage(authorization, { problem: user, fields: body })
        : refuse(problem, request);
    }
    return signIn(authorization, user, request, dependencies);
  };
}

/**
 * Signs a user in, and redirects to the application with an authorization code. The organization comes from the
 * invitation, or else from the connection, or else from `chooseOrganization`. If the invitation is not for this user,
 * or if the user is not an active member of the organization, responds with an error instead.
 */
function signIn(
  authorization: AuthorizationRequest,
  user: DirectoryUser,
  request: TestRequest,
  dependencies: AuthorizeDependencies,
): TestResponse {
  const { directory, invitations } = dependencies;
  const { invitationToken } = authorization;
  const deny = (description: string) => refuse({ error: 'access_denied', description }, request);
  if (invitationToken !== undefined) {
    const problem = invitations.problem(invitationToken, user.user.email);
    if (problem) return deny(problem.description);
  }
  const invited =
    invitationToken === undefined ? undefined : invitations.accept(invitationToken, user.user.id);
  const connection = connectionOf(authorization, directory);
  const organizationId =
    invited ?? connection?.organizationId ?? chooseOrganization(request.body ?? {}, authorization, user);
  const { memberships } = directory.getUser(user.user.id) ?? user;
  if (organizationId !== undefined && !memberships.some((one) => one.organizationId === organizationId))
    return deny(`${user.user.email} is not a member of the organization ${organizationId}.`);
  const code = issueCode({ authorization, user, organizationId, connection, request }, dependencies);
  return redirectBack(authorization, { code });
}

/**
 * Returns the connection that a sign-in uses, if there is one. In the SSO API, an organization implies its first
 * connection. In AuthKit, it does not, because the user chooses how to sign in.
 */
function connectionOf(
  { endpoint, connectionId, organizationId }: AuthorizationRequest,
  directory: Directory,
): Connection | undefined {
  if (connectionId !== undefined) return directory.findConnection(connectionId);
  if (endpoint !== '/sso/authorize' || organizationId === undefined) return undefined;
  return directory.findOrganization(organizationId)?.connections[0];
}

function refuse({ error, description }: RequestProblem, { wantsPage }: TestRequest): TestResponse {
  return wantsPage ? errorPage(description) : json(400, { error, error_description: description });
}

function redirectBack(
  { redirectUri, state }: AuthorizationRequest,
  parameters: Record<string, string>,
): TestResponse {
  const url = new URL(redirectUri);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  if (state !== undefined) url.searchParams.set('state', state);
  return redirect(url.href);
}

/**
 * Finds the user who was selected on the sign-in page, or creates a user from the fields of the sign-up page. If this
 * fails, returns a sentence that describes the problem.
 */
function chooseUser(fields: Fields, directory: Directory): DirectoryUser | string {
  const chosen = text(fields['user']);
  if (chosen !== undefined) return directory.findUser(chosen) ?? `The test WorkOS has no user "${chosen}".`;
  const email = text(fields['email'])?.trim();
  if (email === undefined || !/^[^\s@]+@[^\s@]+$/.test(email)) return 'Please enter an email address.';
  if (directory.findUser(email)) return `A user with the address ${email} exists already.`;
  const [firstName, lastName] = [text(fields['first_name']), text(fields['last_name'])];
  return directory.putUser({
    email,
    ...(firstName === undefined ? {} : { firstName }),
    ...(lastName === undefined ? {} : { lastName }),
  });
}

/**
 * Returns the id of the organization that was selected on the page, or `undefined` if the user selected no
 * organization. If the form has no selection, returns the organization that the application requested, or else the
 * user's first organization.
 */
function chooseOrganization(
  fields: Fields,
  { organizationId }: AuthorizationRequest,
  { memberships }: DirectoryUser,
): string | undefined {
  if (typeof fields['organization_id'] === 'string') return text(fields['organization_id']);
  return organizationId ?? memberships[0]?.organizationId;
}

interface SignedIn {
  readonly authorization: AuthorizationRequest;
  readonly user: DirectoryUser;
  readonly organizationId: string | undefined;
  readonly connection: Connection | undefined;
  readonly request: TestRequest;
}

function issueCode(
  { authorization, user, organizationId, connection, request }: SignedIn,
  { codes, now }: AuthorizeDependencies,
): string {
  const { endpoint, provider, codeChallenge, providerScopes } = authorization;
  const connectionId = connection?.id ?? authorization.connectionId;
  const oauthProvider = provider?.endsWith('OAuth') === true ? provider : undefined;
  const authTime = Math.floor(now() / 1000);
  return codes[endpoint].issue({
    userId: user.user.id,
    organizationId,
    authenticationMethod: connectionId === undefined ? (oauthProvider ?? 'Password') : 'SSO',
    connectionId,
    isOrganizationNamed: authorization.organizationId !== undefined,
    codeChallenge,
    authTime,
    userAgent: request.userAgent,
    oauthTokens:
      oauthProvider === undefined ? undefined : providerTokens(oauthProvider, authTime, providerScopes),
  });
}

/** Creates random tokens in place of those that an OAuth provider would issue. They expire after one hour. */
function providerTokens(provider: string, now: number, scopes: readonly string[]): ProviderTokens {
  const [accessToken, refreshToken] = [newSecret(), newSecret()];
  return { provider, accessToken, refreshToken, expiresAt: now + 3600, scopes: [...scopes] };
}
