import type { Impersonator, OauthTokens, User, WorkOS } from '@workos-inc/node';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthKitError } from '../errors.js';
import type { Next } from '../http/middleware.js';
import type { Store } from '../stores/index.js';

/** What a sign-in can ask of AuthKit: the parameters of WorkOS's authorization URL, in the SDK's names. */
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
  /** Screen of AuthKit to land on. Only with `provider: 'authkit'`. */
  screenHint?: 'sign-in' | 'sign-up';
  prompt?: 'login' | 'consent' | 'none' | 'select_account';
  /** Token of a WorkOS invitation to accept. */
  invitationToken?: string;
  /** Longest time since the person last authenticated, in seconds (OpenID Connect `max_age`). */
  maxAge?: number;
  /** Further OAuth scopes to ask of the provider. */
  providerScopes?: readonly string[];
  /** Parameters for the provider as they are, such as `{ hd: 'example.com' }`. From code only. */
  providerQueryParams?: Readonly<Record<string, string | number | boolean>>;
}

/** What somebody says of themselves as they sign up; `onSuccess` gets it, and `signUp.save` keeps it at WorkOS. */
export interface SignUpAttributes {
  /** At most 32 letters, digits, symbols, spaces and `,.'-`. */
  displayName?: string;
  /** A language tag such as `en` or `pt-BR`. */
  locale?: string;
  /** JSON, as WorkOS keeps it: at most 50 keys of 40 characters, values of 600. */
  metadata?: Readonly<Record<string, unknown>>;
  /** Slug of a role in `signUp.roles`. */
  role?: string;
}

/** What a single sign-in can ask: {@link SignInOptions}, and where it leads. */
export interface SignInUrlOptions extends SignInOptions {
  /** Path of this application, or a URL of a listed origin, to go to afterwards. Anything else is ignored. */
  returnTo?: string;
  /** The application's own value, JSON of at most 2 KB; `onSuccess` gets it back as it went in. */
  state?: unknown;
  /** Where WorkOS sends the browser back to, if not to `redirectUri` of the instance: a URL of this application too. */
  redirectUri?: string;
  attributes?: SignUpAttributes;
  /**
   * S256 challenge of a native or single-page client (RFC 7636 section 4.2), 43 characters. The browser is then sent
   * to `returnTo`, one of `clientRedirectUris`, with a code for `POST /token` and without a session.
   */
  codeChallenge?: string;
}

/** What `onSuccess` learns about a sign-in that WorkOS has just confirmed. */
export interface SignInResult {
  user: User;
  organizationId: string | undefined;
  accessToken: string;
  refreshToken: string;
  impersonator: Impersonator | undefined;
  authenticationMethod: string | undefined;
  /** Tokens of the OAuth provider, if WorkOS is configured to return them. */
  oauthTokens: OauthTokens | undefined;
  /** The application's own value of this sign-in. */
  state: unknown;
  /** `app`: from code. `link`: from the query of `/login`, so anybody may have written it. */
  stateFrom: 'app' | 'link' | undefined;
  /** What was asked at sign-up; with `signUp.defaultRole`, always with a role. */
  attributes: SignUpAttributes;
  /** Like `stateFrom`. */
  attributesFrom: 'app' | 'link' | undefined;
  /** Whether WorkOS has seen this person for the first time. */
  isFirstSignIn: boolean;
  returnTo: string;
  req: IncomingMessage;
  res: ServerResponse;
}

/** What `onSuccess` may decide. */
export interface OnSuccessResult {
  /** Where to go instead; checked like any other. */
  returnTo?: string | undefined;
  /** Kept in the session, readable as `req.auth.data`. JSON, as small as possible: it travels in the cookie. */
  data?: unknown;
}

// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a hook without `return` is the usual one
type MaybeOnSuccessResult = OnSuccessResult | undefined | void;

export interface ErrorContext {
  error: AuthKitError;
  req: IncomingMessage;
  res: ServerResponse;
  next: Next;
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

/** Options of `authkit()`. Each is optional if the environment has it. */
export interface AuthKitOptions {
  /** `WORKOS_CLIENT_ID` */
  clientId?: string;
  /** `WORKOS_API_KEY` */
  apiKey?: string;
  /** `WORKOS_REDIRECT_URI`: the absolute URL of the callback, as registered with WorkOS. */
  redirectUri?: string;
  /** `WORKOS_COOKIE_PASSWORD`: at least 32 bytes; of several, the first seals and all of them open. */
  cookiePassword?: string | readonly string[];
  cookie?: {
    /** `WORKOS_COOKIE_NAME`, default `wos-session`. */
    name?: string;
    /** `WORKOS_COOKIE_DOMAIN`, default none: this host alone. */
    domain?: string;
    /** `WORKOS_COOKIE_SAMESITE`, default `lax`. */
    sameSite?: 'lax' | 'strict' | 'none';
    /** `WORKOS_COOKIE_MAX_AGE`, in seconds, default 400 days. */
    maxAge?: number;
  };
  /** `WORKOS_API_HOSTNAME`, default `api.workos.com`. */
  apiHostname?: string;
  /** `WORKOS_API_HTTPS`, default true. */
  apiHttps?: boolean;
  /** `WORKOS_API_PORT` */
  apiPort?: number;
  /** `WORKOS_ISSUER`: accepted `iss` of access tokens, default the forms that WorkOS is known to mint. */
  issuer?: string | readonly string[];
  /** A WorkOS client of the application: lends its key, client id and base URL. */
  workos?: WorkOS;
  /** Longest time for one call to WorkOS, in milliseconds, default 5000. */
  timeout?: number;
  /** Paths below the mount point; `false` leaves a route out. */
  routes?: RouteOptions;
  /** Where to go after sign-in when the visitor came from nowhere, default `/`. */
  returnTo?: string;
  /** Other origins that a `returnTo` may name. They may not act with the session cookie; see `trustedOrigins`. */
  returnToOrigins?: readonly string[];
  /** Other origins whose pages may open WebSockets with the session cookie, sign out and switch organizations. */
  trustedOrigins?: readonly string[];
  /** Pinned for every sign-in: no query overrides what is set here. */
  signIn?: SignInOptions;
  /** Query parameters that the login route takes beside `returnTo` and `maxAge`; default all. */
  loginParams?: readonly string[];
  /** Providers that a link may name, by short name or WorkOS's; default all that WorkOS lists. */
  providers?: readonly string[];
  /** Where codes for `POST /token` may be sent: exact URLs, custom schemes such as `myapp://callback` too. */
  clientRedirectUris?: readonly string[];
  signUp?: {
    /** Roles that somebody may ask for; default none. */
    roles?: readonly string[];
    /** The role of who asked for none; one of `roles`. */
    defaultRole?: string;
    /** Writes the attributes of a first sign-in to the WorkOS user and the organization membership, default false. */
    save?: boolean;
  };
  /** Shared by the processes of the application: `redisStore(client)` or `expressStore(store)`. Default none. */
  store?: Store;
  /** Where sessions are kept: `cookie` (the default), or `store`, with only an id in the cookie. */
  session?: 'cookie' | 'store';
  /**
   * Runs after WorkOS confirmed a sign-in and before the session exists. A throw vetoes: nobody is signed in.
   * Must not answer the request itself.
   */
  onSuccess?: (result: SignInResult) => MaybeOnSuccessResult | Promise<MaybeOnSuccessResult>;
  /**
   * Loads the application's own user. The result is `req.user` and `res.locals.user`; `req.auth.user` stays the WorkOS
   * user. Runs once per request that is signed in. `null` means that the application has no such user: guards answer
   * with 403 `unknown_user`. An exception is passed to the error handler.
   */
  loadUser?: LoadUser;
  /** Answers errors in the application's way. If it answers nothing, the default answer follows. */
  onError?: (context: ErrorContext) => unknown;
  /** Learns of every refreshed session. */
  onSessionRefreshSuccess?: (result: SessionRefreshResult) => unknown;
  /** Learns of every refresh that was refused or could not be made. */
  onSessionRefreshError?: (context: { error: AuthKitError; sessionId: string | undefined }) => unknown;
  /**
   * Whether answers say in `Server-Timing` how long the session took, and a route of ours; default false. For
   * development: anybody can read it.
   */
  serverTiming?: boolean;
  /** Verified sessions that a process remembers from their second request on, default 32 MiB; `false`: none. */
  sessionMemory?: false | { maxBytes?: number };
  /** The clock, in milliseconds since the epoch; for tests. */
  now?: () => number;
}

/** Paths below the mount point; `false` leaves a route out. */
export interface RouteOptions {
  /** Default `/login`; `GET /login/:provider` goes with it. */
  login?: string | false;
  callback?: string | false;
  logout?: string | false;
  /** `/login` that lands on the sign-up screen, such as `/signup`; default none. */
  signUp?: string | false;
  /** `POST`: tokens for native and single-page clients, such as `/token`; default none. */
  token?: string | false;
  /** `GET /connect/:slug`: links an account by WorkOS Pipes; default none. */
  connect?: string | false;
  /** `POST`, from this origin: `switchToOrganization` for forms and scripts; default none. */
  switchOrganization?: string | false;
}
