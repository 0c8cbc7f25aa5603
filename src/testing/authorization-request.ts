import { text } from './reply.js';

/** What an application asks of the sign-in page, checked. */
export interface AuthorizationRequest {
  /** As it came, to be carried through the page's forms. */
  readonly query: string;
  readonly redirectUri: string;
  readonly state: string | undefined;
  /** `authkit`, or the OAuth provider; `undefined` with a connection or an organization alone. */
  readonly provider: string | undefined;
  readonly connectionId: string | undefined;
  readonly organizationId: string | undefined;
  readonly loginHint: string | undefined;
  readonly isSignUp: boolean;
  readonly codeChallenge: string | undefined;
  /** Whether `max_age` was sent: only then does WorkOS state when the person authenticated. */
  readonly asksAge: boolean;
  readonly providerScopes: readonly string[];
}

/** Why WorkOS shows an error itself: a redirect URI that is not trusted yet cannot be told. */
export interface RequestProblem {
  readonly error: string;
  readonly description: string;
}

export interface RequestRules {
  clientId: string;
  /** Exact redirect URIs; without them, loopback addresses and https. */
  redirectUris: readonly string[] | undefined;
}

const CHALLENGE = /^[\w-]{43}$/;
const MAY_REPEAT = ['provider_scopes'];

/** @see https://workos.com/docs/reference/authkit/authentication/get-authorization-url */
export function parseAuthorizationRequest(
  query: URLSearchParams,
  rules: RequestRules,
): AuthorizationRequest | RequestProblem {
  const get = (name: string) => text(query.get(name));
  const problem = problemOf(query, get, rules);
  if (problem) return problem;
  return {
    query: query.toString(),
    redirectUri: get('redirect_uri') ?? '',
    state: query.get('state') ?? undefined,
    provider: get('provider'),
    connectionId: get('connection_id'),
    organizationId: get('organization_id'),
    loginHint: get('login_hint'),
    isSignUp: get('screen_hint') === 'sign-up',
    codeChallenge: get('code_challenge'),
    asksAge: get('max_age') !== undefined,
    providerScopes: query.getAll('provider_scopes').flatMap((scopes) => scopes.split(/[ ,]/).filter(Boolean)),
  };
}

type Get = (name: string) => string | undefined;

function problemOf(query: URLSearchParams, get: Get, rules: RequestRules): RequestProblem | undefined {
  const refuse = (error: string, description: string) => ({ error, description });
  const repeated = [...query.keys()].find(
    (name) => !MAY_REPEAT.includes(name) && query.getAll(name).length > 1,
  );
  if (repeated !== undefined) return refuse('invalid_request', `The parameter ${repeated} is repeated.`);
  if (get('client_id') !== rules.clientId) return refuse('invalid_client', 'The client ID is invalid.');
  if (!isAllowed(get('redirect_uri'), rules.redirectUris)) {
    return refuse('invalid_redirect_uri', 'The redirect URI is not one of this client.');
  }
  if (get('response_type') !== 'code')
    return refuse('unsupported_response_type', 'response_type must be code.');
  const description = pkceProblem(get) ?? selectorProblem(get) ?? valueProblem(get);
  return description === undefined ? undefined : refuse('invalid_request', description);
}

function isAllowed(redirectUri: string | undefined, allowed: readonly string[] | undefined): boolean {
  if (redirectUri === undefined || !URL.canParse(redirectUri)) return false;
  if (allowed) return allowed.includes(redirectUri);
  const { protocol, hostname, hash } = new URL(redirectUri);
  if (hash !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

function isLoopback(hostname: string): boolean {
  return /^(?:(?:.+\.)?localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
}

/** RFC 7636 section 4.3; `plain` is refused. */
function pkceProblem(get: Get): string | undefined {
  const challenge = get('code_challenge');
  const method = get('code_challenge_method');
  if (challenge === undefined) return method === undefined ? undefined : 'code_challenge is missing.';
  if (method !== 'S256') return 'code_challenge_method must be S256.';
  return CHALLENGE.test(challenge) ? undefined : 'code_challenge is malformed.';
}

function selectorProblem(get: Get): string | undefined {
  const [provider, connection, organization] = [
    get('provider'),
    get('connection_id'),
    get('organization_id'),
  ];
  if (provider === undefined && connection === undefined && organization === undefined) {
    return 'One of provider, connection_id and organization_id is needed.';
  }
  if (provider !== undefined && connection !== undefined)
    return 'provider and connection_id exclude each other.';
  if (provider !== undefined && provider !== 'authkit' && organization !== undefined) {
    return 'organization_id goes with the provider authkit only.';
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
