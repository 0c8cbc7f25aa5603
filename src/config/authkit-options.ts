import type { Impersonator, OauthTokens, User, WorkOS } from '@workos-inc/node';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthKitError } from '../errors.js';
import type { ErrorContext } from '../http/error-response.js';
import type { PagesOption } from './pages.js';
import type { Store } from '../stores/index.js';

/** Parameters of WorkOS's authorization URL, named as in the WorkOS SDK. */
export interface SignInOptions {
  /**
   * Organization to sign in to, `org_…`. Cannot be combined with `connectionId`, or with a `provider` other than
   * AuthKit.
   */
  organizationId?: string;
  /** SSO connection to use, `conn_…`. Cannot be combined with `provider`. */
  connectionId?: string;
  /**
   * `authkit` (the default), or the name of an OAuth provider: its short name, such as `google`, or WorkOS's name, such
   * as `GoogleOAuth`.
   */
  provider?: string;
  /** Email address that is filled in on the sign-in page. */
  loginHint?: string;
  /** Domain that is filled in on the sign-in page of Microsoft OAuth or of a Google SAML connection. */
  domainHint?: string;
  /** Screen that AuthKit shows first. Can only be used with `provider: 'authkit'`. */
  screenHint?: 'sign-in' | 'sign-up';
  prompt?: 'login' | 'consent' | 'none' | 'select_account';
  /** Token of the WorkOS invitation that the user accepts. */
  invitationToken?: string;
  /**
   * Maximum time since the user last authenticated, in seconds (OpenID Connect `max_age`). If more time has passed, the
   * user must authenticate again.
   */
  maxAge?: number;
  /** Additional OAuth scopes to request from the provider. */
  providerScopes?: readonly string[];
  /**
   * Parameters that are passed to the provider unchanged, such as `{ hd: 'example.com' }`. Can only be set in code, not
   * by a link.
   */
  providerQueryParams?: Readonly<Record<string, string | number | boolean>>;
  /**
   * A nonce that lets the developer claim a WorkOS environment that has no owner yet. Can only be set in code, not by a
   * link. It is not needed if the `claimToken` option is set, because each sign-in then gets a nonce automatically.
   */
  claimNonce?: string;
}

/** Attributes of a user who signs up. `onSuccess` receives them. If `signUp.save` is set, they are saved at WorkOS. */
export interface SignUpAttributes {
  /** The user's name: 1 to 32 letters, digits, symbols, spaces, or any of `,.'-`. */
  displayName?: string;
  /** A language tag such as `en` or `pt-BR`. */
  locale?: string;
  /**
   * A JSON object within the limits of WorkOS: at most 50 keys of up to 40 characters, with values of up to 600
   * characters.
   */
  metadata?: Readonly<Record<string, unknown>>;
  /** Slug of a role. It must be one of `signUp.roles`. */
  role?: string;
}

/** Options of a single sign-in: {@link SignInOptions}, and options that this package handles itself. */
export interface SignInUrlOptions extends SignInOptions {
  /**
   * Where the user is sent after the sign-in: a path or URL of this application, or a URL whose origin is in
   * `returnToOrigins`. Any other value is ignored.
   */
  returnTo?: string;
  /** A JSON value of at most 2 KB, which is passed to `onSuccess` unchanged. */
  state?: unknown;
  /**
   * Callback URL of this sign-in, which must be a URL of this application. Default: the `redirectUri` option of
   * `authkit()`.
   */
  redirectUri?: string;
  attributes?: SignUpAttributes;
  /**
   * The S256 code challenge of a native or single-page client, 43 characters long (RFC 7636 section 4.2). If it is set,
   * no session is created. Instead, the browser is redirected to `returnTo` with an authorization code, which the
   * client exchanges at `POST /token`. In this case, `returnTo` must be one of `clientRedirectUris`.
   */
  codeChallenge?: string;
}

/** The result of a sign-in, which is passed to `onSuccess`. */
export interface SignInResult {
  user: User;
  organizationId: string | undefined;
  accessToken: string;
  refreshToken: string;
  impersonator: Impersonator | undefined;
  authenticationMethod: string | undefined;
  /** Tokens of the OAuth provider, if WorkOS is configured to return them. */
  oauthTokens: OauthTokens | undefined;
  /** The value that was passed as `state` when the sign-in started. */
  state: unknown;
  /**
   * Where `state` comes from: `app` if it was set in code, or `link` if it comes from the query of the login or sign-up
   * route. Anyone can write such a query. `undefined` if there is no `state`.
   */
  stateFrom: 'app' | 'link' | undefined;
  /** Attributes of the sign-up. If `signUp.defaultRole` is set, they always include a role. */
  attributes: SignUpAttributes;
  /** Where `attributes` come from. The values have the same meaning as in `stateFrom`. */
  attributesFrom: 'app' | 'link' | undefined;
  /** Whether this is the user's first sign-in. */
  isFirstSignIn: boolean;
  returnTo: string;
  req: IncomingMessage;
  res: ServerResponse;
}

/** What `onSuccess` may return. */
export interface OnSuccessResult {
  /** Where the user is sent instead of the requested `returnTo`. It is checked like any other `returnTo`. */
  returnTo?: string | undefined;
  /**
   * Rejects the sign-in with the error `sign_in_rejected`, so no session is created. The text becomes the error's
   * `message`, which error pages do not show.
   */
  reject?: string | undefined;
  /**
   * A JSON value that is stored in the session and available as `req.auth.data`. Keep it small, because by default the
   * session is stored in a cookie.
   */
  data?: unknown;
}

// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- most hooks have no `return`
type MaybeOnSuccessResult = OnSuccessResult | undefined | void;

export interface SessionRefreshResult {
  user: User;
  organizationId: string | undefined;
  accessToken: string;
  refreshToken: string;
  impersonator: Impersonator | undefined;
}

/**
 * The type of `req.user` if the `loadUser` option is set. Declare its fields once, in any file of the application.
 *
 * @example
 * declare module 'authkit-express' {
 *   interface AppUser {
 *     id: number;
 *     plan: 'free' | 'pro';
 *   }
 * }
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- the application merges its fields into this interface
export interface AppUser {}

type LoadedRow = (keyof AppUser extends never ? object : AppUser) | null | undefined;

/** The argument of `loadUser`. Its `auth` property is declared in `auth/load-user.ts`. */
export interface LoadUserContext {
  /** The WorkOS user. */
  user: Readonly<User>;
  req: IncomingMessage;
}

export type LoadUser = (context: LoadUserContext) => LoadedRow | Promise<LoadedRow>;

/**
 * Options of `authkit()`. `clientId`, `apiKey`, `redirectUri` and `cookiePassword` are required, either here or as
 * environment variables.
 */
export interface AuthKitOptions {
  /** Client ID of the WorkOS environment, `client_…`. Default `WORKOS_CLIENT_ID`. */
  clientId?: string;
  /** API key of the WorkOS environment, `sk_…`. Default `WORKOS_API_KEY`. */
  apiKey?: string;
  /** Absolute URL of the callback route, as registered with WorkOS. Default `WORKOS_REDIRECT_URI`. */
  redirectUri?: string;
  /**
   * Whether `redirectUri`, `clientRedirectUris`, `trustedOrigins`, the `sameOrigin` list of a guard and the WorkOS API
   * may use http on hosts other than this machine. Default false. With http, cookies, codes and tokens are sent
   * unencrypted, so set this to true only in a private network, such as a Docker Compose network.
   */
  allowInsecureHttp?: boolean;
  /**
   * Password of at least 32 characters that encrypts sessions. If there are several passwords, the first one is used to
   * encrypt, and all of them are used to decrypt. Default `WORKOS_COOKIE_PASSWORD`.
   */
  cookiePassword?: string | readonly string[];
  cookie?: {
    /** Name of the session cookie. Default `WORKOS_COOKIE_NAME`, or `wos-session`. */
    name?: string;
    /**
     * Browsers send the cookie to this domain and its subdomains. Default `WORKOS_COOKIE_DOMAIN`. Without a domain,
     * browsers send the cookie only to the host of `redirectUri`.
     */
    domain?: string;
    /** `SameSite` attribute. Default `WORKOS_COOKIE_SAMESITE`, or `lax`. */
    sameSite?: 'lax' | 'strict' | 'none';
    /** Path below which browsers send the session cookie. All routes of this package must be below it. Default `/`. */
    path?: string;
    /**
     * Whether browsers keep a separate cookie for each top-level site that embeds the application (CHIPS). Requires
     * https. Default false.
     */
    partitioned?: boolean;
    /**
     * How long browsers keep the cookie, in seconds, or `session` for a cookie that browsers discard when they close.
     * Default `WORKOS_COOKIE_MAX_AGE`, or 400 days.
     */
    maxAge?: number | 'session';
  };
  /** Host name of the WorkOS API. Default `WORKOS_API_HOSTNAME`, or `api.workos.com`. */
  apiHostname?: string;
  /** Whether the WorkOS API uses https. Default `WORKOS_API_HTTPS`, or true. */
  apiHttps?: boolean;
  /** Port of the WorkOS API. Default `WORKOS_API_PORT`, or the default port of the scheme. */
  apiPort?: number;
  /**
   * Claim token of a WorkOS environment that `npx workos` created and that has no owner yet. With the token, AuthKit's
   * sign-in page lets the developer claim the environment. The token is only for development, so `redirectUri` must be
   * on this machine. Default `WORKOS_CLAIM_TOKEN`.
   */
  claimToken?: string;
  /**
   * Values of the `iss` claim that are accepted in access tokens. Default `WORKOS_ISSUER`, or the values that WorkOS
   * normally uses.
   */
  issuer?: string | readonly string[];
  /**
   * Values of the `aud` claim that are accepted in access tokens. Default: the client ID. Only needed if your JWT
   * template sets `aud` to another value. A token without `aud` is always accepted.
   */
  audience?: string | readonly string[];
  /**
   * The application's own WorkOS client. Its API key, client ID, base URL and `fetchFn` are the defaults for the
   * corresponding options.
   */
  workos?: WorkOS;
  /**
   * Replaces the global `fetch` for every call to WorkOS, for example to use an outgoing proxy. Default: the `fetchFn`
   * of `workos`, or the global `fetch`.
   */
  fetch?: typeof globalThis.fetch;
  /** How long one call to WorkOS may take, in milliseconds, from 50 to 60000. Default 5000. */
  timeout?: number;
  /** Paths of the routes below the mount point. `false` disables a route. */
  routes?: RouteOptions;
  /** Where users are sent after a sign-in without a `returnTo`. Default `/`. */
  returnTo?: string;
  /**
   * Where users are sent after a sign-out without a `returnTo`. Default: the logout redirect in the WorkOS dashboard
   * or, for `sso()`, the `returnTo` option.
   */
  postLogoutReturnTo?: string;
  /**
   * Additional origins that a `returnTo` may point to, such as `https://docs.example.com`. Default none. This option
   * gives pages on these origins no other permissions. To let such pages use the session cookie, set `trustedOrigins`.
   */
  returnToOrigins?: readonly string[];
  /**
   * Additional origins whose pages may use the user's session cookie to open WebSockets, sign out and switch
   * organizations. Pages on the origin of `redirectUri` can always do this. An http origin must be on this machine,
   * unless `allowInsecureHttp` is set. Default none.
   */
  trustedOrigins?: readonly string[];
  /**
   * Options for every sign-in, or a function that returns them for a request. A link cannot override these options, but
   * it can set a smaller `maxAge`.
   */
  signIn?: SignInOptions | ((req: IncomingMessage) => SignInOptions | Promise<SignInOptions>);
  /** How long a sign-in may take, in seconds, from 60 to 86400. Default 600. */
  signInLifetime?: number;
  /**
   * Query parameters that a link to the login route may contain. `returnTo` and `maxAge` are always allowed. All other
   * parameters are ignored. Default: all parameters that the login route supports.
   */
  loginParams?: readonly string[];
  /**
   * OAuth providers that a link to the login route may select, by their short names or by WorkOS's names. Default: all
   * OAuth providers that WorkOS supports.
   */
  providers?: readonly string[];
  /**
   * Exact URLs of native and single-page clients that may receive authorization codes for `POST /token`. Each URL must
   * use https, http on this machine, or a scheme that is a reversed domain name, such as `com.example.app:/callback`.
   * Default none.
   */
  clientRedirectUris?: readonly string[];
  signUp?: {
    /** Slugs of the roles that a link may request for a sign-up or for an invited member. Default none. */
    roles?: readonly string[];
    /** Role for a sign-up that does not request a role. It must be one of `roles`. Default none. */
    defaultRole?: string;
    /**
     * Whether the attributes of a user's first sign-in are saved at WorkOS. The role is saved to the organization
     * membership that the sign-in created, if any. All other attributes are saved to the user. Default false.
     */
    save?: boolean;
    /**
     * Keys of `metadata` that are saved if they come from a link. Metadata that was set in code is always saved in
     * full. Default none.
     */
    metadata?: readonly string[];
  };
  /** The store that all processes share: `redisStore()`, `postgresStore()` or `expressStore()`. Default none. */
  store?: Store;
  /**
   * Where sessions are kept: in the `cookie` or in the `store`. If sessions are in the store, the cookie contains only
   * an ID. Default `cookie`.
   */
  session?: 'cookie' | 'store';
  /**
   * Runs after WorkOS has confirmed a sign-in and before the session is created. No session is created if the function
   * returns `{ reject: reason }`, throws an error or sends a response. An `AuthKitError` rejects the sign-in, as
   * `reject` does. Any other error is passed to the Express error handler.
   */
  onSuccess?: (result: SignInResult) => MaybeOnSuccessResult | Promise<MaybeOnSuccessResult>;
  /**
   * Loads the application's own record of the signed-in user. The result becomes `req.user` and `res.locals.user`,
   * while `req.auth.user` remains the WorkOS user. Runs once for each request of a signed-in user. If it returns
   * `null`, the application has no such user, and guards respond with 403 `unknown_user`. If it throws an error, the
   * error is passed to the Express error handler.
   */
  loadUser?: LoadUser;
  /**
   * Customizes the response to an `AuthKitError` in one of this package's routes or guards. The function can send a
   * response, or call `next` to pass the error to the Express error handler. If it does neither, the default response
   * is sent. It is not called for the errors of the token route that RFC 6749 section 5.2 defines.
   */
  onError?: (context: ErrorContext) => unknown;
  /**
   * The look, language and texts of this package's pages, or a function that returns them for a request. By default,
   * the pages are in English and have no name or logo.
   */
  pages?: PagesOption;
  /** Runs after a session has been refreshed. */
  onSessionRefreshSuccess?: (result: SessionRefreshResult) => unknown;
  /** Runs if a session could not be refreshed because WorkOS refused the refresh or is unavailable. */
  onSessionRefreshError?: (context: { error: AuthKitError; sessionId: string | undefined }) => unknown;
  /**
   * Whether responses get a `Server-Timing` header that shows how long session authentication and this package's routes
   * took. Use it only for development, because anyone can read the header. Default false.
   */
  serverTiming?: boolean;
  /**
   * The verified-session cache of each process. `maxBytes` is its maximum size, in bytes. Default 16 MiB, minimum 1
   * MiB. `false` disables the cache.
   */
  sessionMemory?: false | { maxBytes?: number };
  /** Returns the current time, in milliseconds since the epoch. Only for tests. Default `Date.now`. */
  now?: () => number;
}

/** Paths of the routes below the mount point. `false` disables a route. */
export interface RouteOptions {
  /**
   * Starts a sign-in. Also adds the route `GET <path>/:provider`, which starts a sign-in with that provider. `false`
   * disables both routes. Default `/login`.
   */
  login?: string | false;
  /** Finishes a sign-in. Default `/callback`. */
  callback?: string | false;
  /** Signs the user out, with `POST` or by a link on a page of this application. Default `/logout`. */
  logout?: string | false;
  /** Starts a sign-in on the sign-up screen. A common path is `/signup`. Default none. */
  signUp?: string | false;
  /** Returns tokens to native and single-page clients, with `POST`. A common path is `/token`. Default none. */
  token?: string | false;
  /** Links an account with WorkOS Pipes, at `GET <path>/:slug`. A common path is `/connect`. Default none. */
  connect?: string | false;
  /**
   * Switches the user's organization, with `POST` from this origin or one of `trustedOrigins`. A common path is
   * `/switch`. Default none.
   */
  switchOrganization?: string | false;
}
