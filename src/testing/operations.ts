import type { Question, Reply } from './reply.js';

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

export type Handler = (question: Question) => Reply | Promise<Reply>;

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
export function operationOf({ method, path, body }: Question): Operation {
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
