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
  | 'other';

export type Handler = (question: Question) => Reply | Promise<Reply>;

/** Which operation a request is. */
export function operationOf({ method, path, body }: Question): Operation {
  switch (`${method} ${path}`) {
    case 'GET /user_management/authorize':
      return 'authorize';
    case 'POST /user_management/authorize/choose':
      return 'choose';
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
      return method === 'GET' ? resourceOf(path) : 'other';
  }
}

/** What an address with an id in it is about. */
function resourceOf(path: string): Operation {
  if (path.startsWith('/sso/jwks/')) return 'jwks';
  if (!path.startsWith('/user_management/users/')) return 'other';
  return path.endsWith('/sessions') ? 'sessions' : 'user';
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
