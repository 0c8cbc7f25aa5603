import { canParse } from '../../url-can-parse.js';
import { text } from './request-and-response.js';

/** An authorization request whose parameters have been checked. */
export interface AuthorizationRequest {
  /** The endpoint that received the request. The forms on the sign-in page are submitted to its subpath `/choose`. */
  readonly endpoint: Endpoint;
  /** The query string as it was received. The forms on the sign-in page send it back. */
  readonly query: string;
  readonly redirectUri: string;
  readonly state: string | undefined;
  /**
   * `authkit` or the name of an OAuth provider. It is `undefined` if the request contains only a connection or an
   * organization.
   */
  readonly provider: string | undefined;
  readonly connectionId: string | undefined;
  readonly organizationId: string | undefined;
  readonly loginHint: string | undefined;
  readonly invitationToken: string | undefined;
  readonly isSignUp: boolean;
  /** Whether the request contains `prompt=none`, which means that no page may be shown. */
  readonly isSilent: boolean;
  readonly codeChallenge: string | undefined;
  readonly providerScopes: readonly string[];
}

/**
 * A problem in an authorization request. WorkOS shows it on an error page instead of sending it to the redirect URI,
 * because that URI is not trusted at this point.
 */
export interface RequestProblem {
  readonly error: string;
  readonly description: string;
}

export interface RequestRules {
  clientId: string;
  /**
   * The redirect URIs to accept. They must match exactly. `undefined` accepts any https URL, and any http URL with a
   * loopback host, such as `localhost`.
   */
  redirectUris: readonly string[] | undefined;
}

/** The authorization endpoints of AuthKit and of the standalone SSO API. */
export type Endpoint = '/user_management/authorize' | '/sso/authorize';

/** For each endpoint, the names of the parameters that select a connection and an organization. */
const SELECTORS: Readonly<Record<Endpoint, { connection: string; organization: string }>> = {
  '/user_management/authorize': { connection: 'connection_id', organization: 'organization_id' },
  '/sso/authorize': { connection: 'connection', organization: 'organization' },
};

const CHALLENGE = /^[\w-]{43}$/;
const MAY_REPEAT = ['provider_scopes'];

/**
 * Reads and checks the parameters of an authorization request. Returns the first problem if a parameter is not valid.
 *
 * @see https://workos.com/docs/reference/authkit/authentication/get-authorization-url
 * @see https://workos.com/docs/reference/sso/get-authorization-url
 */
export function parseAuthorizationRequest(
  query: URLSearchParams,
  endpoint: Endpoint,
  rules: RequestRules,
): AuthorizationRequest | RequestProblem {
  const get = (name: string) => text(query.get(name));
  const names = SELECTORS[endpoint];
  const selectors = {
    provider: get('provider'),
    connectionId: get(names.connection),
    organizationId: get(names.organization),
  };
  const problem = problemOf(query, get, rules, endpoint, selectors);
  if (problem) return problem;
  return {
    endpoint,
    query: query.toString(),
    redirectUri: get('redirect_uri') ?? '',
    state: query.get('state') ?? undefined,
    ...selectors,
    invitationToken: get('invitation_token'),
    loginHint: get('login_hint'),
    isSignUp: get('screen_hint') === 'sign-up',
    isSilent: get('prompt') === 'none',
    codeChallenge: get('code_challenge'),
    providerScopes: query.getAll('provider_scopes').flatMap((scopes) => scopes.split(/[ ,]/).filter(Boolean)),
  };
}

type Get = (name: string) => string | undefined;

type Selectors = Pick<AuthorizationRequest, 'provider' | 'connectionId' | 'organizationId'>;

function problemOf(
  query: URLSearchParams,
  get: Get,
  rules: RequestRules,
  endpoint: Endpoint,
  selectors: Selectors,
): RequestProblem | undefined {
  const refuse = (error: string, description: string) => ({ error, description });
  const repeated = [...query.keys()].find(
    (name) => !MAY_REPEAT.includes(name) && query.getAll(name).length > 1,
  );
  if (repeated !== undefined) return refuse('invalid_request', `The parameter ${repeated} is repeated.`);
  if (get('client_id') !== rules.clientId) return refuse('invalid_client', 'The client ID is invalid.');
  if (!isAllowed(get('redirect_uri'), rules.redirectUris)) {
    return refuse('invalid_redirect_uri', 'The redirect URI is not registered for this client.');
  }
  if (get('response_type') !== 'code')
    return refuse('unsupported_response_type', 'response_type must be code.');
  const description = pkceProblem(get) ?? selectorProblem(endpoint, selectors) ?? valueProblem(get);
  return description === undefined ? undefined : refuse('invalid_request', description);
}

function isAllowed(redirectUri: string | undefined, allowed: readonly string[] | undefined): boolean {
  if (redirectUri === undefined || !canParse(redirectUri)) return false;
  if (allowed) return allowed.includes(redirectUri);
  const { protocol, hostname, hash } = new URL(redirectUri);
  if (hash !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

function isLoopback(hostname: string): boolean {
  return /^(?:(?:.+\.)?localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
}

/**
 * Returns what is wrong with the PKCE parameters (RFC 7636 section 4.3), or `undefined` if they are valid or missing.
 * The method `plain` is refused.
 */
function pkceProblem(get: Get): string | undefined {
  const challenge = get('code_challenge');
  const method = get('code_challenge_method');
  if (challenge === undefined) return method === undefined ? undefined : 'code_challenge is missing.';
  if (method !== 'S256') return 'code_challenge_method must be S256.';
  return CHALLENGE.test(challenge) ? undefined : 'code_challenge is malformed.';
}

function selectorProblem(endpoint: Endpoint, selectors: Selectors): string | undefined {
  const { provider, connectionId, organizationId } = selectors;
  const named = [provider, connectionId, organizationId].filter((value) => value !== undefined);
  if (named.length === 0) return 'A provider, a connection or an organization is required.';
  if (provider !== undefined && provider !== 'authkit' && !provider.endsWith('OAuth')) {
    return 'The provider is unknown.';
  }
  if (provider !== undefined && connectionId !== undefined) {
    return 'A provider and a connection cannot be combined.';
  }
  if (endpoint === '/sso/authorize') {
    if (provider === 'authkit') return 'The provider is unknown.';
    return named.length > 1 ? 'Only one of provider, connection and organization is allowed.' : undefined;
  }
  if (provider !== undefined && provider !== 'authkit' && organizationId !== undefined) {
    return 'organization_id is only allowed with the provider authkit.';
  }
  return undefined;
}

function valueProblem(get: Get): string | undefined {
  const [age, screen] = [get('max_age'), get('screen_hint')];
  if (age !== undefined && !/^\d+$/.test(age)) return 'max_age must be a number of seconds.';
  if (screen !== undefined && screen !== 'sign-in' && screen !== 'sign-up') {
    return 'screen_hint must be sign-in or sign-up.';
  }
  return undefined;
}
