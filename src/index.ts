import type { User as WorkOSUser } from '@workos-inc/node';
import type { Auth } from './auth/principal.js';

export { authkit } from './authkit/index.js';
export { AuthKitError } from './errors.js';
export { protectedResource } from './auth/protected-resource.js';
export { requireAuth, signedIn } from './auth/require-auth.js';
export { sso } from './sso/index.js';
export type { SSO } from './sso/index.js';
export type {
  SSOOptions,
  SSOSignInOptions,
  SSOSignInResult,
  SSOSignInUrlOptions,
} from './config/sso-options.js';
export type { SSOProfile } from './session/sso-session.js';
export type { AuthKit } from './authkit/index.js';
export type {
  ApiKeyAuth,
  Auth,
  AuthType,
  BearerAuth,
  MachineAuth,
  Principal,
  SessionAuth,
  SignedIn,
  SignedOut,
  SSOAuth,
} from './auth/principal.js';
export type { Claims, CustomClaims, TokenClaims } from './workos/access-token.js';
export type { AuthKitErrorCode } from './errors.js';
export type { AuthKitEvents } from './events.js';
export type { Check, GuardRule, Unauthenticated } from './auth/guard-rule.js';
export type { ProtectedResource, ProtectedResourceOptions } from './auth/protected-resource.js';
export type { OneOrMore, Rule } from './auth/rule.js';
export type { ActiveSession, Management } from './authkit/session-management.js';
export { expressStore } from './stores/express-session.js';
export type { RouteName } from './http/error-response.js';
export type { SignOutOptions } from './routes/logout.js';
export type { WebhookEvent, WebhookOptions } from './routes/webhooks.js';
export type { ExpressSessionStore, ExpressStoreOptions } from './stores/express-session.js';
export type { Store } from './stores/index.js';
export type {
  AuthKitOptions,
  ErrorContext,
  OnSuccessResult,
  SessionRefreshResult,
  SignInOptions,
  SignInResult,
  SignInUrlOptions,
  SignUpAttributes,
} from './config/options.js';

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- how Express lets packages add to a request
  namespace Express {
    // Merged as @types/passport does it, so that both can be installed.
    // eslint-disable-next-line @typescript-eslint/no-empty-object-type
    interface User extends WorkOSUser {}
    interface Request {
      /** Who is signed in. From `authkit()`. */
      auth: Auth;
      /** The signed-in user, or `undefined`. From `authkit()`. */
      user?: User | undefined;
    }
  }
}
