import type { User as WorkOSUser } from '@workos-inc/node';
import type { Auth } from './auth.js';

export { authkit } from './authkit.js';
export { AuthKitError } from './errors.js';
export { protectedResource } from './protected-resource.js';
export { requireAuth, signedIn } from './require-auth.js';
export { sso } from './sso/index.js';
export type { SSO, SSOOptions, SSOSignInOptions, SSOSignInResult, SSOSignInUrlOptions } from './sso/index.js';
export type { SSOProfile } from './session.js';
export type { AuthKit } from './authkit.js';
export type {
  ApiKeyAuth,
  Auth,
  BearerAuth,
  Principal as Caller,
  AuthType as Credential,
  MachineAuth,
  SessionAuth,
  SignedIn,
  SignedOut,
} from './auth.js';
export type { Claims, CustomClaims, TokenClaims } from './access-token.js';
export type { AuthKitErrorCode } from './errors.js';
export type { AuthKitEvents } from './events.js';
export type { Check, GuardRule, Unauthenticated } from './guard-rule.js';
export type { ProtectedResourceOptions } from './config/resource.js';
export type { ProtectedResource } from './protected-resource.js';
export type { OneOrMore, Rule } from './rules.js';
export type { ActiveSession, Management } from './management.js';
export { expressStore } from './stores/index.js';
export type { WebhookEvent, WebhookOptions } from './webhooks.js';
export type { ExpressSessionStore, ExpressStoreOptions, Store } from './stores/index.js';
export type {
  AuthKitOptions,
  ErrorContext,
  SessionRefreshResult,
  OnSuccessResult as SignInDecision,
  SignInOptions,
  SignInResult,
  SignInUrlOptions,
  SignUpAttributes,
} from './options.js';

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
