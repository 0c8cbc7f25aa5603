import type { Impersonator, OauthTokens, User, WorkOS } from '@workos-inc/node';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthKitError } from '../errors.js';
import type { RouteName } from '../http/error-response.js';
import type { Next } from '../http/middleware.js';
import type { PagesOption } from './pages.js';
import type { Store } from '../stores/index.js';

/** Parameters of WorkOS's authorization URL, by the names of the WorkOS SDK. */
export interface SignInOptions {
  /** Organization to sign in to, `org_…`. */
  organizationId?: string;
  /** SSO connection to use, `conn_…`. Excludes `provider`. */
  connectionId?: string;
  /** `authkit` (the default), or an OAuth provider by its short name or WorkOS's: `google`, `GoogleOAuth`. */
  provider?: string;
  /** E-mail address to fill in. */
  loginHint?: string;
  /** Domain to fill in at Microsoft OAuth or a Google SAML connection. */
  domainHint?: string;
  /** Screen that AuthKit shows first. Only with `provider: 'authkit'`. */
  screenHint?: 'sign-in' | 'sign-up';
  prompt?: 'login' | 'consent' | 'none' | 'select_account';
  /** Token of a WorkOS invitation to accept. */
  invitationToken?: string;
  /** Longest time since the user last authenticated, in seconds (OpenID Connect `max_age`). */
  maxAge?: number;
  /** Further OAuth scopes to request from the provider. */
  providerScopes?: readonly string[];
  /** Parameters that are passed to the provider unchanged, such as `{ hd: 'example.com' }`. From code only. */
  providerQueryParams?: Readonly<Record<string, string | number | boolean>>;
  /**
   * Nonce with which the developer can claim a WorkOS environment that has no owner yet. From code only. It is not needed
   * with `claimToken`.
   */
  claimNonce?: string;
}

/** Attributes that a user signs up with. `onSuccess` receives them, and `signUp.save` saves them at WorkOS. */
export interface SignUpAttributes {
  /** At most 32 letters, digits, symbols, spaces and `,.'-`. */
  displayName?: string;
  /** A language tag such as `en` or `pt-BR`. */
  locale?: string;
  /** JSON within the limits of WorkOS: at most 50 keys of 40 characters, with values of 600 characters. */
  metadata?: Readonly<Record<string, unknown>>;
  /** Slug of a role in `signUp.roles`. */
  role?: string;
}

/** Options of a single sign-in: {@link SignInOptions}, and where it leads. */
export interface SignInUrlOptions extends SignInOptions {
  /** Where the user arrives: a path of this application, or a URL of `returnToOrigins`. Anything else is ignored. */
  returnTo?: string;
  /** A value of the application, JSON of at most 2 KB. `onSuccess` receives it unchanged. */
  state?: unknown;
  /** Callback URL of this sign-in, default `redirectUri` of the instance. It must be a URL of this application. */
  redirectUri?: string;
  attributes?: SignUpAttributes;
  /**
   * S256 challenge of a native or single-page client (RFC 7636 section 4.2), 43 characters. The browser is then sent
   * to `returnTo`, one of `clientRedirectUris`, with a code for `POST /token` and without a session.
   */
  codeChallenge?: string;
}

/** The sign-in that `onSuccess` receives. */
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
  /** `app` if `state` comes from code, `link` if it comes from the query of `/login`, which anyone can write. */
  stateFrom: 'app' | 'link' | undefined;
  /** Attributes of the sign-up. With `signUp.defaultRole`, there is always a role. */
  attributes: SignUpAttributes;
  /** Where `attributes` come from, like `stateFrom`. */
  attributesFrom: 'app' | 'link' | undefined;
  /** Whether this is the first sign-in of the user. */
  isFirstSignIn: boolean;
  returnTo: string;
  req: IncomingMessage;
  res: ServerResponse;
}

/** What `onSuccess` may return. */
export interface OnSuccessResult {
  /** Where the user arrives instead. It is checked like any other `returnTo`. */
  returnTo?: string | undefined;
  /** Rejects the sign-in with `sign_in_rejected` and without a session. The text is a reason for the log. */
  reject?: string | undefined;
  /** JSON that the session keeps, as `req.auth.data`. Keep it small, because it is part of the cookie. */
  data?: unknown;
}

// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a hook without `return` is the usual one
type MaybeOnSuccessResult = OnSuccessResult | undefined | void;

export interface ErrorContext {
  error: AuthKitError;
  req: IncomingMessage;
  res: ServerResponse;
  next: Next;
  /** The route of this package that the error belongs to; `undefined` for a guard. */
  route: RouteName | undefined;
}

export interface SessionRefreshResult {
  user: User;
  organizationId: string | undefined;
  accessToken: string;
  refreshToken: string;
  impersonator: Impersonator | undefined;
}

/**
 * Type of `req.user` with the `loadUser` option. Declare its fields once, in any file of the application.
 *
 * @example
 * declare module 'authkit-express' {
 *   interface AppUser {
 *     id: number;
 *     plan: 'free' | 'pro';
 *   }
 * }
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- for the application to merge its fields into
export interface AppUser {}

type LoadedRow = (keyof AppUser extends never ? object : AppUser) | null | undefined;

/** The signed-in user for whom `loadUser` runs. `auth` is declared in `auth/load-user.ts`. */
export interface LoadUserContext {
  /** The WorkOS user. */
  user: Readonly<User>;
  req: IncomingMessage;
}

export type LoadUser = (context: LoadUserContext) => LoadedRow | Promise<LoadedRow>;

/** Options of `authkit()`. The first four are required, here or as environment variables. */
export interface AuthKitOptions {
  /** Client id of the WorkOS environment, `client_…`. Default `WORKOS_CLIENT_ID`. */
  clientId?: string;
  /** API key of the WorkOS environment, `sk_…`. Default `WORKOS_API_KEY`. */
  apiKey?: string;
  /** Absolute URL of the callback route, as registered with WorkOS. Default `WORKOS_REDIRECT_URI`. */
  redirectUri?: string;
  /**
   * Accepts http for `redirectUri`, `clientRedirectUris` and the WorkOS API at hosts other than this machine; default
   * false. Cookies, codes and tokens then travel unencrypted, so use it only in a private network, such as that of
   * Docker Compose.
   */
  allowInsecureHttp?: boolean;
  /**
   * Password of at least 32 characters that encrypts sessions. If there are several, the first one encrypts and all of
   * them decrypt. Default `WORKOS_COOKIE_PASSWORD`.
   */
  cookiePassword?: string | readonly string[];
  cookie?: {
    /** Name of the session cookie. Default `WORKOS_COOKIE_NAME`, or `wos-session`. */
    name?: string;
    /** Domain that receives the cookie. Default `WORKOS_COOKIE_DOMAIN`, or only the host of `redirectUri`. */
    domain?: string;
    /** `SameSite` attribute. Default `WORKOS_COOKIE_SAMESITE`, or `lax`. */
    sameSite?: 'lax' | 'strict' | 'none';
    /** Path below which browsers send the session cookie, default `/`. All routes have to be below it. */
    path?: string;
    /** Gives an embedded page a separate cookie for each top-level site (CHIPS), default false. Needs https. */
    partitioned?: boolean;
    /**
     * How long browsers keep the cookie, in seconds, or `session` for a cookie that ends with the browser. Default
     * `WORKOS_COOKIE_MAX_AGE`, or 400 days.
     */
    maxAge?: number | 'session';
  };
  /** Host name of the WorkOS API. Default `WORKOS_API_HOSTNAME`, or `api.workos.com`. */
  apiHostname?: string;
  /** Whether the WorkOS API uses https. Default `WORKOS_API_HTTPS`, or true. */
  apiHttps?: boolean;
  /** Port of the WorkOS API. Default `WORKOS_API_PORT`, or that of the scheme. */
  apiPort?: number;
  /**
   * Claim token of a WorkOS environment that `npx workos` created and that has no owner yet. With it, AuthKit's page
   * lets the developer claim the environment. Default `WORKOS_CLAIM_TOKEN`. Only for development: `redirectUri` has to be
   * on this machine.
   */
  claimToken?: string;
  /** Accepted `iss` of access tokens. Default `WORKOS_ISSUER`, or the forms that WorkOS is known to use. */
  issuer?: string | readonly string[];
  /**
   * Accepted `aud` of access tokens, if your JWT template sets one. Default the client id. A token without `aud` is
   * always accepted.
   */
  audience?: string | readonly string[];
  /** A WorkOS client of the application. Its key, client id, base URL and `fetchFn` are used. */
  workos?: WorkOS;
  /**
   * Replaces the global `fetch` for every call to WorkOS, for example to use an outgoing proxy. Default: the `fetchFn` of
   * `workos`, or the global `fetch`.
   */
  fetch?: typeof globalThis.fetch;
  /** Limit for one call to WorkOS, in milliseconds, from 50 to 60000. Default 5000. */
  timeout?: number;
  /** Paths below the mount point; `false` leaves a route out. */
  routes?: RouteOptions;
  /** Where users arrive after a sign-in without a `returnTo`. Default `/`. */
  returnTo?: string;
  /**
   * Where users arrive after a sign-out without a `returnTo`. Default: the logout redirect in the WorkOS dashboard.
   */
  postLogoutReturnTo?: string;
  /**
   * Other origins that a `returnTo` may point to, such as `https://docs.example.com`; default none. Pages of these
   * origins do not get any other rights: see `trustedOrigins`.
   */
  returnToOrigins?: readonly string[];
  /**
   * Other origins whose pages may act with the user's session cookie: open WebSockets, sign out and switch
   * organizations; default none. Pages of the origin of `redirectUri` always may.
   */
  trustedOrigins?: readonly string[];
  /** Parameters of every sign-in, or a function that returns them for a request. A link cannot override them. */
  signIn?: SignInOptions | ((req: IncomingMessage) => SignInOptions | Promise<SignInOptions>);
  /** How long a sign-in may take, in seconds, from 60 to 86400, default 600. */
  signInLifetime?: number;
  /** Query parameters that the login route reads, besides `returnTo` and `maxAge`. Default all. */
  loginParams?: readonly string[];
  /** Providers that a link may name, by their short names or WorkOS's. Default all that WorkOS lists. */
  providers?: readonly string[];
  /**
   * Exact URLs that receive codes for `POST /token`: https, http on this machine, or a scheme that is a reversed domain
   * name, such as `com.example.app:/callback`. Default none.
   */
  clientRedirectUris?: readonly string[];
  signUp?: {
    /** Roles that a sign-up, or an invited member, may request by a link, as slugs. Default none. */
    roles?: readonly string[];
    /** Role of a sign-up that requests none; one of `roles`. Default none. */
    defaultRole?: string;
    /**
     * Saves the attributes of a first sign-in to the WorkOS user, and the role to an organization membership that
     * this sign-in created; default false.
     */
    save?: boolean;
    /** Keys of `metadata` that `save` takes from a link; default none. Metadata from code is saved as it is. */
    metadata?: readonly string[];
  };
  /** State that processes share: `redisStore()`, `postgresStore()` or `expressStore()`. Default none. */
  store?: Store;
  /** Where sessions are kept: in the `cookie`, or in the `store` with only an id in the cookie. Default `cookie`. */
  session?: 'cookie' | 'store';
  /**
   * Runs after WorkOS confirmed a sign-in and before the session exists. `{ reject: reason }` or an `AuthKitError`
   * rejects the sign-in. Any other error goes to the Express error handler. In both cases, no session is created.
   */
  onSuccess?: (result: SignInResult) => MaybeOnSuccessResult | Promise<MaybeOnSuccessResult>;
  /**
   * Loads the application's own user. The result is `req.user` and `res.locals.user`; `req.auth.user` stays the WorkOS
   * user. Runs once for each request of a signed-in user. `null` means that the application has no such user: guards answer
   * with 403 `unknown_user`. An exception is passed to the error handler.
   */
  loadUser?: LoadUser;
  /** Responds to an error. If it does not respond, the default response is sent. */
  onError?: (context: ErrorContext) => unknown;
  /**
   * The look, the language and the texts of the pages of this package, or a function that returns them for a request.
   * Default: English, without a name or a logo.
   */
  pages?: PagesOption;
  /** Runs after a session was refreshed. */
  onSessionRefreshSuccess?: (result: SessionRefreshResult) => unknown;
  /** Runs after a refresh failed, because WorkOS refused it or is unavailable. */
  onSessionRefreshError?: (context: { error: AuthKitError; sessionId: string | undefined }) => unknown;
  /**
   * Whether responses have a `Server-Timing` header with the time that the session and our routes took. Default false.
   * Use it for development only, since anyone can read the header.
   */
  serverTiming?: boolean;
  /** Size of the cache of verified sessions in each process, in bytes. Default 16 MiB; `false` turns it off. */
  sessionMemory?: false | { maxBytes?: number };
  /** The clock, in milliseconds since the epoch, for tests. Default `Date.now`. */
  now?: () => number;
}

/** Paths of the routes below the mount point. `false` leaves a route out. */
export interface RouteOptions {
  /**
   * Starts a sign-in. `GET <path>/:provider`, a sign-in with that provider, is added with it. `false` disables both.
   * Default `/login`.
   */
  login?: string | false;
  /** Finishes a sign-in. Default `/callback`. */
  callback?: string | false;
  /** Signs out, with `POST`. Default `/logout`. */
  logout?: string | false;
  /** Starts a sign-in at the sign-up screen, such as `/signup`. Default none. */
  signUp?: string | false;
  /** Returns tokens to native and single-page clients, with `POST`, such as `/token`. Default none. */
  token?: string | false;
  /** Links an account with WorkOS Pipes, `GET /connect/:slug`. Default none. */
  connect?: string | false;
  /** Switches the organization, with `POST` from this origin or one of `trustedOrigins`. Default none. */
  switchOrganization?: string | false;
}
