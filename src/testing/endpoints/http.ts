import { STATUS_CODES } from 'node:http';

/** A request, as far as WorkOS looks at it. */
export interface TestRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** The fields of a JSON or form body; empty without one, `undefined` if it is malformed. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
  /** The `Authorization` header; calls that are recorded leave it out. */
  readonly authorization: string | undefined;
  /** Whether a person is going to read the answer. */
  readonly wantsPage: boolean;
}

/** What WorkOS answers. Handlers return it, so a fault can still change it or keep it back. */
export interface TestResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export function json(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): TestResponse {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(value),
  };
}

/** A refusal in the form of RFC 6749 section 5.2. */
export function oauthError(status: number, error: string, description: string): TestResponse {
  return json(status, { error, error_description: description });
}

/** A refusal in the form of WorkOS's other endpoints. */
export function apiError(
  status: number,
  message = STATUS_CODES[status] ?? 'Error',
  code?: string,
): TestResponse {
  return json(status, { message, ...(code === undefined ? {} : { code }) });
}

export function redirect(location: string): TestResponse {
  return { status: 302, headers: { location, 'cache-control': 'no-store' }, body: '' };
}

/** The one value of a field, if it is text that is not empty. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** What WorkOS can be asked. `authenticate` is a grant other than the two that have their own name. */
export type Operation =
  | 'authorize'
  | 'choose'
  | 'code'
  | 'refresh'
  | 'authenticate'
  | 'jwks'
  | 'logout'
  | 'user'
  | 'sessions'
  | 'revokeSession'
  | 'apiKey'
  | 'oauth'
  | 'oauthKeys'
  | 'profile'
  | 'updateUser'
  | 'memberships'
  | 'pipes'
  | 'link'
  | 'other';

export type Handler = (request: TestRequest) => TestResponse | Promise<TestResponse>;

/** Addresses with an id in them. */
const RESOURCES: readonly { by: string; at: RegExp; operation: Operation }[] = [
  { by: 'GET', at: /^\/sso\/jwks\//, operation: 'jwks' },
  { by: 'GET', at: /^\/user_management\/users\/[^/]+$/, operation: 'user' },
  { by: 'GET', at: /^\/user_management\/users\/[^/]+\/sessions$/, operation: 'sessions' },
  { by: 'PUT', at: /^\/user_management\/users\/[^/]+$/, operation: 'updateUser' },
  { by: 'GET', at: /^\/user_management\/organization_memberships$/, operation: 'memberships' },
  { by: 'PUT', at: /^\/user_management\/organization_memberships\/[^/]+$/, operation: 'memberships' },
  { by: 'POST', at: /^\/data-integrations\/[^/]+\/authorize$/, operation: 'pipes' },
  { by: 'GET', at: /^\/data-integrations\/[^/]+\/authorize-redirect$/, operation: 'link' },
];

/** Which operation a request is. */
export function operationOf({ method, path, body }: TestRequest): Operation {
  switch (`${method} ${path}`) {
    case 'GET /user_management/authorize':
    case 'GET /sso/authorize':
      return 'authorize';
    case 'POST /user_management/authorize/choose':
    case 'POST /sso/authorize/choose':
      return 'choose';
    case 'POST /sso/token':
      return 'profile';
    case 'GET /user_management/sessions/logout':
      return 'logout';
    case 'POST /user_management/authenticate':
      return grantOf(body?.['grant_type']);
    case 'POST /user_management/sessions/revoke':
      return 'revokeSession';
    case 'POST /api_keys/validations':
      return 'apiKey';
    case 'GET /oauth2/jwks':
      return 'oauthKeys';
    default:
      if (path.startsWith('/oauth2/') || path === '/.well-known/oauth-authorization-server') return 'oauth';
      return RESOURCES.find(({ at, by }) => by === method && at.test(path))?.operation ?? 'other';
  }
}

function grantOf(grantType: unknown): Operation {
  if (grantType === 'authorization_code') return 'code';
  return grantType === 'refresh_token' ? 'refresh' : 'authenticate';
}

/** Whether what is said of `asked` holds for `operation`: `authenticate` speaks of every grant. */
export function covers(asked: Operation, operation: Operation): boolean {
  return (
    asked === operation || (asked === 'authenticate' && (operation === 'code' || operation === 'refresh'))
  );
}
