import type { Directory } from '../state/directory.js';
import { type SigningKeys, newId, newSecret, provesChallenge } from '../state/tokens.js';
import {
  type Handler,
  type TestRequest,
  type TestResponse,
  json,
  oauthError,
  redirect,
  text,
} from './http.js';

export interface OAuthServer {
  token: MakeToken;
  /** An M2M application, for the client credentials grant. */
  createMachine: (machine?: { organizationId?: string }) => { clientId: string; clientSecret: string };
  handle: Handler;
  jwks: Handler;
}

interface Client {
  readonly secret: string | undefined;
  readonly redirectUris: readonly string[];
  /** Of an M2M application. */
  readonly organizationId?: string | undefined;
}

interface Grant {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly userId: string;
  readonly challenge: string;
  readonly audience: string | undefined;
  readonly scope: string | undefined;
}

/**
 * AuthKit's OAuth server: metadata (RFC 8414), dynamic registration (RFC 7591), code with PKCE, client credentials.
 * It asks nobody for consent: `login_hint`, or else the first person, has agreed.
 */
export function createOAuthServer(parts: TokenParts): OAuthServer {
  const clients = new Map<string, Client>();
  const grants = new Map<string, Grant>();
  const token = createToken(parts);
  const exchange = createExchange(clients, grants, token);
  const routes: Readonly<Record<string, Handler>> = {
    'GET /.well-known/oauth-authorization-server': () => json(200, metadata(parts.url)),
    'POST /oauth2/register': ({ body }) => register(body, clients),
    'GET /oauth2/authorize': ({ query }) => authorize(query, clients, grants, parts.directory),
    'POST /oauth2/token': exchange,
  };
  return {
    token,
    createMachine: ({ organizationId } = {}) => {
      const clientId = newId('client');
      const clientSecret = newSecret();
      const organization = organizationId ?? parts.directory.firstOrganization()?.id;
      clients.set(clientId, { secret: clientSecret, redirectUris: [], organizationId: organization });
      return { clientId, clientSecret };
    },
    handle: async (request) =>
      (await routes[`${request.method} ${request.path}`]?.(request)) ?? json(404, { message: 'Not Found' }),
    jwks: async () => json(200, await parts.keys.published()),
  };
}

function metadata(issuer: string): Record<string, unknown> {
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

function register(body: TestRequest['body'], clients: Map<string, Client>): TestResponse {
  const uris = body?.['redirect_uris'];
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === 'string'))
    return oauthError(400, 'invalid_redirect_uri', 'redirect_uris must be a list of addresses.');
  const clientId = newId('client');
  clients.set(clientId, { secret: undefined, redirectUris: uris });
  return json(201, { ...body, client_id: clientId, token_endpoint_auth_method: 'none' });
}

function authorize(
  query: URLSearchParams,
  clients: ReadonlyMap<string, Client>,
  grants: Map<string, Grant>,
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
  const person = hint === null ? directory.people()[0] : directory.find(hint);
  if (!person) return oauthError(400, 'access_denied', 'There is nobody who could agree.');
  const code = newSecret();
  const audience = query.get('resource') ?? undefined;
  const scope = query.get('scope') ?? undefined;
  grants.set(code, { clientId, redirectUri, userId: person.user.id, challenge, audience, scope });
  const back = new URL(redirectUri);
  back.searchParams.set('code', code);
  const state = query.get('state');
  if (state !== null) back.searchParams.set('state', state);
  return redirect(back.href);
}

/** `POST /oauth2/token` (RFC 6749 sections 4.1.3 and 4.4.2). */
function createExchange(
  clients: ReadonlyMap<string, Client>,
  grants: Map<string, Grant>,
  token: MakeToken,
): Handler {
  const answer = async (fields: TestOAuthToken) => {
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
      return answer({ machine: clientId, organizationId, scope, audience });
    }
    const grant = spend(text(body['code']), grants);
    const isGood =
      grant?.clientId === clientId &&
      grant.redirectUri === text(body['redirect_uri']) &&
      provesChallenge(grant.challenge, text(body['code_verifier']));
    if (!isGood) return oauthError(400, 'invalid_grant', 'The code is not good.');
    return answer({ user: grant.userId, audience: grant.audience, scope: grant.scope });
  };
}

function spend(code: string | undefined, grants: Map<string, Grant>): Grant | undefined {
  const grant = grants.get(code ?? '');
  grants.delete(code ?? '');
  return grant;
}

/** A token of the OAuth server, as a test asks for it. */
export interface TestOAuthToken {
  /** Id or e-mail address; default the first person. */
  user?: string | undefined;
  /** `client_…` of an M2M application, in place of a person. */
  machine?: string;
  /** `aud`: the resource it is for. Default: the client id, as for a client that names no resource. */
  audience?: string | readonly string[] | undefined;
  organizationId?: string | undefined;
  scope?: string | undefined;
  /** Seconds, default 300; negative for one that has expired. */
  expiresIn?: number;
  /** Further claims; may replace the server's own, or take one away with `undefined`. */
  claims?: Readonly<Record<string, unknown>>;
}

export type MakeToken = (token?: TestOAuthToken) => Promise<string>;

export interface TokenParts {
  clientId: string;
  url: string;
  directory: Directory;
  /** Its own, not those of sessions. */
  keys: SigningKeys;
  now: () => number;
}

/** @see https://workos.com/docs/reference/workos-connect/token */
export function createToken({ clientId, url, directory, keys, now }: TokenParts): MakeToken {
  return async ({ user, machine, audience, organizationId, scope, expiresIn = 300, claims } = {}) => {
    const person = user === undefined ? directory.people()[0] : directory.find(user);
    if (machine === undefined && !person) throw new Error(`Nobody here is "${user ?? ''}"`);
    const issuedAt = Math.floor(now() / 1000);
    const all = {
      iss: url,
      aud: audience ?? clientId,
      sub: machine ?? person?.user.id,
      org_id: organizationId ?? (machine === undefined ? person?.memberships[0]?.organizationId : undefined),
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
