/**
 * Sign-in, sessions and guards for Express and Connect apps that use WorkOS AuthKit.
 *
 * @module authkit-express
 */
import type { RequestUser } from './auth/load-user.js';
import type { Auth } from './auth/principal.js';

export { authkit } from './authkit/index.js';
export { AuthKitError } from './errors.js';
export { protectedResource } from './auth/protected-resource.js';
export { requireAuth, signedIn } from './auth/require-auth.js';
export type { Accepted, RequireAuth } from './auth/require-auth.js';
export { sso } from './sso/index.js';
export type { SSO } from './sso/index.js';
export type {
  SSOOptions,
  SSOSignInOptions,
  SSOSignInResult,
  SSOSignInUrlOptions,
} from './config/sso-options.js';
export type { SSOProfile } from './session/sealed-sso-session.js';
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
export type { AuthKitEvents } from './diagnostics.js';
export type { Check, GuardRule, Unauthenticated } from './auth/guard-options.js';
export type { ProtectedResource, ProtectedResourceOptions } from './auth/protected-resource.js';
export type { OneOrMore, Rule } from './auth/role-and-permission-rule.js';
export type { Readiness, ReadinessCheck } from './authkit/readiness.js';
export type { ActiveSession, Management } from './authkit/list-and-revoke-sessions.js';
export { expressStore } from './stores/express-session.js';
export type { ErrorContext, RouteName } from './http/error-response.js';
export type { SignOutOptions } from './routes/logout.js';
export type { SavedSession, SaveSessionOptions } from './routes/save-session.js';
export type { WebhookEvent, WebhookOptions } from './routes/webhooks.js';
export type { ExpressSessionStore, ExpressStoreOptions } from './stores/express-session.js';
export type { Store } from './stores/index.js';
export type { PageOptions, PagesOption } from './config/pages.js';
export type { PageName, PageText, PageTexts } from './http/page-texts.js';
export type { PageContent, RenderPage } from './http/pages.js';
export type {
  AppUser,
  AuthKitOptions,
  LoadUser,
  LoadUserContext,
  OnSuccessResult,
  SessionRefreshResult,
  SignInOptions,
  SignInResult,
  SignInUrlOptions,
  SignUpAttributes,
} from './config/authkit-options.js';

/* eslint-disable @typescript-eslint/ban-ts-comment, @typescript-eslint/no-duplicate-type-constituents, @typescript-eslint/consistent-type-imports, @typescript-eslint/no-empty-object-type, @typescript-eslint/no-redundant-type-constituents -- the packages are optional, and TypeScript has no other way to refer to their types */
/** @ts-ignore -- resolves only if express-oauth2-jwt-bearer, which also declares `req.auth`, is installed */
type OtherAuth = import('express-oauth2-jwt-bearer').AuthResult;
// This interface has no fields unless express-oauth2-jwt-bearer is installed.
interface OtherAuthFields extends OtherAuth {}

/** @ts-ignore -- resolves only if @clerk/express is installed; its `env` module declares `req.auth` as a function */
type Clerk = typeof import('@clerk/express');
interface ClerkExports extends Clerk {}
type ClerkAuth = (...options: never[]) => object;

/** The types that other installed packages declare for `req.auth`. */
type ForeignAuth =
  | (keyof OtherAuthFields extends never ? never : OtherAuth)
  | (keyof ClerkExports extends never ? never : ClerkAuth);

interface WithAuth {
  /** Whether and how the request is authenticated. `authkit()` or `sso()` sets this property. */
  auth: Auth;
}
/**
 * Declares `req.auth` if express-oauth2-jwt-bearer or @clerk/express is installed. In this case, `req.auth` can also
 * have the type that the other package declares. `signedIn(req)` always returns the type of authkit-express.
 */
interface WithForeignAuth {
  auth?: Auth | ForeignAuth;
}
/* eslint-enable @typescript-eslint/ban-ts-comment, @typescript-eslint/no-duplicate-type-constituents, @typescript-eslint/consistent-type-imports, @typescript-eslint/no-empty-object-type, @typescript-eslint/no-redundant-type-constituents */
/**
 * The interface from which `Express.Request` inherits `req.auth`. If `Express.Request` itself declared the property,
 * the declaration would clash with that of another package.
 */
type RequestAuthProperty = [ForeignAuth] extends [never] ? WithAuth : WithForeignAuth;

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- how Express lets packages add to a request
  namespace Express {
    // This matches the declaration in @types/passport, so both packages can be installed.
    // eslint-disable-next-line @typescript-eslint/no-empty-object-type
    interface User extends RequestUser {}
    interface Request extends RequestAuthProperty {
      /** The signed-in user, if any: the result of `loadUser` if that option is set, otherwise the WorkOS user. */
      user?: User | undefined;
    }
  }
}
