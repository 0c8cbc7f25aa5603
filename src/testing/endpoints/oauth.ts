import type { Directory } from '../state/users-and-organizations.js';
import type { SigningKeys } from '../state/signing-keys.js';
import { newId, newSecret, provesChallenge } from '../state/tokens.js';
import {
  json,
  oauthError,
  redirect,
  text,
  texts,
  type Fields,
  type Route,
  type TestRequest,
  type TestResponse,
} from './request-and-response.js';

/** The options of `oauthToken`, which issues an access token of AuthKit's OAuth server. */
export interface TestOAuthToken {
  /** Id or email address of the user. Default: the first user. */
  user?: string | undefined;
  /**
   * Client id (`client_…`) of an M2M application. If it is set, the token is for that application rather than for a
   * user.
   */
  machine?: string;
  /**
   * The `aud` claim, which names the resource that the token is for. Default: the application's client id, as for a
   * client that requests no resource.
   */
  audience?: string | readonly string[] | undefined;
  /** Id of the organization. Default: the user's first organization, or no organization for an M2M application. */
  organizationId?: string | undefined;
  scope?: string | undefined;
  /** Lifetime of the token, in seconds. Default: 300. A negative number creates a token that has already expired. */
  expiresIn?: number;
  /**
   * Additional claims. They replace claims of the same name that the OAuth server sets. The value `undefined` removes a
   * claim.
   */
  claims?: Readonly<Record<string, unknown>>;
}

export interface OAuthServer {
  token: (token?: TestOAuthToken) => Promise<string>;
  /** Creates an M2M application, which can use the client credentials grant. Returns its credentials. */
  createMachine: (machine?: { organizationId?: string }) => { clientId: string; clientSecret: string };
  routes: () => Route[];
}

export interface OAuthDependencies {
  clientId: string;
  url: string;
  directory: Directory;
  /** The keys that sign the OAuth server's tokens. Session tokens are signed with different keys. */
  keys: SigningKeys;
  now: () => number;
}

interface OAuthClient {
  readonly secret: string | undefined;
  readonly redirectUris: readonly string[];
  /** Id of the organization that an M2M application belongs to. */
  readonly organizationId?: string | undefined;
}

interface CodeGrant {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly userId: string;
  readonly challenge: string;
  readonly audience: string | undefined;
  readonly scope: string | undefined;
}

/**
 * Creates AuthKit's OAuth server. It supports server metadata (RFC 8414), dynamic client registration (RFC 7591), the
 * authorization code grant with PKCE, and the client credentials grant. There is no consent page: the server acts as if
 * the user in `login_hint` or, without one, the first user had consented.
 */
export function createOAuthServer(dependencies: OAuthDependencies): OAuthServer {
  const { url, directory, keys } = dependencies;
  const clients = new Map<string, OAuthClient>();
  const grants = new Map<string, CodeGrant>();
  const token = createToken(dependencies);
  const isPublic = { operation: 'oauth', needsApiKey: false } as const;
  const routes: Route[] = [
    {
      on: 'GET /.well-known/oauth-authorization-server',
      ...isPublic,
      handle: () => json(200, metadata(url)),
    },
    { on: 'POST /oauth2/register', ...isPublic, handle: ({ body }) => register(body, clients) },
    {
      on: 'GET /oauth2/authorize',
      ...isPublic,
      handle: ({ query }) => authorize(query, clients, grants, directory),
    },
    { on: 'POST /oauth2/token', ...isPublic, handle: createTokenEndpoint(clients, grants, token) },
    {
      on: 'GET /oauth2/jwks',
      operation: 'oauthKeys',
      needsApiKey: false,
      handle: async () => json(200, await keys.published()),
    },
  ];
  return {
    token,
    createMachine: ({ organizationId } = {}) => {
      const clientId = newId('client');
      const clientSecret = newSecret();
      const organization = organizationId ?? directory.organizations()[0]?.id;
      clients.set(clientId, { secret: clientSecret, redirectUris: [], organizationId: organization });
      return { clientId, clientSecret };
    },
    routes: () => routes,
  };
}

/** @see https://workos.com/docs/reference/workos-connect/token */
function createToken({ clientId, url, directory, keys, now }: OAuthDependencies): OAuthServer['token'] {
  return async ({ user, machine, audience, organizationId, scope, expiresIn = 300, claims } = {}) => {
    const found = user === undefined ? directory.users()[0] : directory.findUser(user);
    if (machine === undefined && !found)
      throw new Error(`The test WorkOS has no user "${user ?? ''}". Add the user to \`users\`.`);
    const issuedAt = Math.floor(now() / 1000);
    const own = machine === undefined ? found?.memberships[0]?.organizationId : undefined;
    const all = {
      iss: url,
      aud: audience ?? clientId,
      sub: machine ?? found?.user.id,
      org_id: organizationId ?? own,
      sid: machine === undefined ? newId('app_consent') : undefined,
      jti: newId('jti').slice('jti_'.length),
      scope,
      exp: issuedAt + expiresIn,
      iat: issuedAt,
      ...claims,
    };
    return keys.sign(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));
  };
}

function metadata(issuer: string): Fields {
  return {
    issuer,
    authorization_endpoint: `${issuer}/oauth2/authorize`,
    token_endpoint: `${issuer}/oauth2/token`,
    registration_endpoint: `${issuer}/oauth2/register`,
    jwks_uri: `${issuer}/oauth2/jwks`,
    scopes_supported: ['email', 'offline_access', 'openid', 'profile'],
    response_types_supported: ['code'],
    grant_types_supported: ['authorization_code', 'client_credentials'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['none', 'client_secret_post'],
  };
}

function register(body: TestRequest['body'], clients: Map<string, OAuthClient>): TestResponse {
  const redirectUris = texts(body?.['redirect_uris']);
  if (!redirectUris)
    return oauthError(400, 'invalid_redirect_uri', 'redirect_uris must be a list of addresses.');
  const clientId = newId('client');
  clients.set(clientId, { secret: undefined, redirectUris });
  return json(201, { ...body, client_id: clientId, token_endpoint_auth_method: 'none' });
}

function authorize(
  query: URLSearchParams,
  clients: ReadonlyMap<string, OAuthClient>,
  grants: Map<string, CodeGrant>,
  directory: Directory,
): TestResponse {
  const clientId = query.get('client_id') ?? '';
  const redirectUri = query.get('redirect_uri') ?? '';
  const challenge = query.get('code_challenge') ?? '';
  if (clients.get(clientId)?.redirectUris.includes(redirectUri) !== true)
    return oauthError(400, 'invalid_request', 'The client or its redirect URI is unknown.');
  if (query.get('code_challenge_method') !== 'S256' || challenge === '')
    return oauthError(400, 'invalid_request', 'PKCE by S256 is required.');
  const hint = query.get('login_hint');
  const user = (hint === null ? directory.users()[0] : directory.findUser(hint))?.user;
  if (!user)
    return oauthError(400, 'access_denied', 'The user of login_hint does not exist, or there are no users.');
  const code = newSecret();
  const audience = query.get('resource') ?? undefined;
  const scope = query.get('scope') ?? undefined;
  grants.set(code, { clientId, redirectUri, userId: user.id, challenge, audience, scope });
  const callback = new URL(redirectUri);
  callback.searchParams.set('code', code);
  const state = query.get('state');
  if (state !== null) callback.searchParams.set('state', state);
  return redirect(callback.href);
}

/** Creates the handler of `POST /oauth2/token` (RFC 6749 sections 4.1.3 and 4.4.2). */
function createTokenEndpoint(
  clients: ReadonlyMap<string, OAuthClient>,
  grants: Map<string, CodeGrant>,
  token: OAuthServer['token'],
): Route['handle'] {
  const respond = async (fields: TestOAuthToken) => {
    const accessToken = await token(fields);
    const { scope } = fields;
    return json(200, { access_token: accessToken, token_type: 'Bearer', expires_in: 300, scope });
  };
  return async ({ body = {} }) => {
    const [clientId = '', secret] = [text(body['client_id']), text(body['client_secret'])];
    const client = clients.get(clientId);
    if (!client || client.secret !== secret) return oauthError(401, 'invalid_client', 'Invalid client.');
    if (body['grant_type'] === 'client_credentials' && secret !== undefined) {
      const { organizationId } = client;
      const [scope, audience] = [text(body['scope']), text(body['resource'])];
      return respond({ machine: clientId, organizationId, scope, audience });
    }
    const grant = consume(text(body['code']), grants);
    const isValid =
      grant?.clientId === clientId &&
      grant.redirectUri === text(body['redirect_uri']) &&
      provesChallenge(grant.challenge, text(body['code_verifier']));
    if (!isValid) return oauthError(400, 'invalid_grant', 'The code has expired or is invalid.');
    return respond({ user: grant.userId, audience: grant.audience, scope: grant.scope });
  };
}

function consume(code: string | undefined, grants: Map<string, CodeGrant>): CodeGrant | undefined {
  const grant = grants.get(code ?? '');
  grants.delete(code ?? '');
  return grant;
}
