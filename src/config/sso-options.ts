import type { OauthTokens, Profile, User } from '@workos-inc/node';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Store } from '../stores/index.js';
import type { AuthKitOptions, OnSuccessResult } from './authkit-options.js';

/**
 * Parameters of WorkOS's SSO authorization URL. Exactly one of `organization`, `connection`, `provider` and `domain`
 * selects the identity provider.
 */
export interface SSOSignInOptions {
  /** Organization whose SSO connection is used, `org_…`. */
  organization?: string;
  /** An alias of `organization`. AuthKit sign-ins use this name. */
  organizationId?: string;
  /** SSO connection to use, `conn_…`. */
  connection?: string;
  /** An alias of `connection`. AuthKit sign-ins use this name. */
  connectionId?: string;
  /** The name of an OAuth provider: its short name, such as `google`, or WorkOS's name, such as `GoogleOAuth`. */
  provider?: string;
  /**
   * Domain of the connection. WorkOS recommends `connection` or `organization` instead. Can only be set in code, not by
   * a link.
   */
  domain?: string;
  /** Email address that is filled in on the sign-in page. */
  loginHint?: string;
  /** Domain that is filled in on the sign-in page of Microsoft OAuth or of a Google SAML connection. */
  domainHint?: string;
  /**
   * A nonce for an identity provider that requires one (OpenID Connect Core section 3.1.2.1). Can only be set in code,
   * not by a link.
   */
  nonce?: string;
  /** Additional OAuth scopes to request from the provider. */
  providerScopes?: readonly string[];
  /**
   * Parameters that are passed to the provider unchanged, such as `{ hd: 'example.com' }`. Can only be set in code, not
   * by a link.
   */
  providerQueryParams?: Readonly<Record<string, string | number | boolean>>;
}

/** Options of a single sign-in: {@link SSOSignInOptions}, and options that this package handles itself. */
export interface SSOSignInUrlOptions extends SSOSignInOptions {
  /**
   * Where the user is sent after the sign-in: a path or URL of this application, or a URL whose origin is in
   * `returnToOrigins`. Any other value is ignored.
   */
  returnTo?: string;
  /** A JSON value of at most 2 KB, which is passed to `onSuccess` unchanged. */
  state?: unknown;
  /**
   * Callback URL of this sign-in, which must be a URL of this application. Default: the `redirectUri` option of
   * `sso()`.
   */
  redirectUri?: string;
}

/** The result of a sign-in, which is passed to `onSuccess`. */
export interface SSOSignInResult {
  /** The profile from WorkOS. The session contains it without `rawAttributes`. */
  profile: Profile<Record<string, unknown>>;
  /** The profile, converted to the format of a WorkOS user. It becomes `req.auth.user`. */
  user: User;
  organizationId: string | undefined;
  connectionId: string;
  /** Access token for WorkOS's profile endpoint. It is short-lived and is not stored in the session. */
  accessToken: string;
  /** Tokens of the OAuth provider, if WorkOS is configured to return them. */
  oauthTokens: OauthTokens | undefined;
  /** The value that was passed as `state` when the sign-in started. */
  state: unknown;
  /**
   * Where `state` comes from: `app` if it was set in code, or `link` if it comes from the query of the login route.
   * Anyone can write such a query. `undefined` if there is no `state`.
   */
  stateFrom: 'app' | 'link' | undefined;
  /** Whether this sign-in started at the identity provider rather than in this application. */
  isIdPInitiated: boolean;
  returnTo: string;
  req: IncomingMessage;
  res: ServerResponse;
}

// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- most hooks have no `return`
type MaybeOnSuccessResult = OnSuccessResult | undefined | void;

type Shared =
  | 'clientId'
  | 'apiKey'
  | 'redirectUri'
  | 'allowInsecureHttp'
  | 'cookiePassword'
  | 'cookie'
  | 'apiHostname'
  | 'apiHttps'
  | 'apiPort'
  | 'workos'
  | 'fetch'
  | 'timeout'
  | 'returnTo'
  | 'postLogoutReturnTo'
  | 'returnToOrigins'
  | 'trustedOrigins'
  | 'loadUser'
  | 'loginParams'
  | 'signInLifetime'
  | 'providers'
  | 'onError'
  | 'pages'
  | 'serverTiming'
  | 'now';

/**
 * Options of `sso()`. The environment variables are the same as for `authkit()`, except that `sso()` does not read
 * `WORKOS_COOKIE_NAME`.
 */
export interface SSOOptions extends Pick<AuthKitOptions, Shared> {
  /**
   * Paths of the routes below the mount point. Default `/sso/login`, `/sso/callback` and `/sso/logout`. `false`
   * disables a route.
   */
  routes?: { login?: string | false; callback?: string | false; logout?: string | false };
  /**
   * The store that the application's processes share, such as `redisStore(client)`. With a store, every process refuses
   * a session that was signed out, even after a restart. Default none.
   */
  store?: Store;
  /**
   * Options for every sign-in, or a function that returns them for a request. A link cannot override these options. If
   * they name an `organization`, `connection` or `provider`, a sign-in is accepted only if the user's profile comes
   * from it.
   */
  signIn?: SSOSignInOptions | ((req: IncomingMessage) => SSOSignInOptions | Promise<SSOSignInOptions>);
  /**
   * How long a session lasts, in seconds. Default 28800 (8 hours). Nothing that happens at WorkOS ends a session
   * earlier.
   */
  sessionLifetime?: number;
  /**
   * Whether sign-ins that started at the identity provider are accepted directly. If not, this application starts such
   * a sign-in again, which requires an additional redirect. Default false.
   *
   * If this option is true, an attacker can use a link to sign a user in to the attacker's account (login CSRF, RFC
   * 9700 section 4.7).
   */
  acceptIdPInitiated?: boolean;
  /**
   * Runs after WorkOS has confirmed a sign-in and before the session is created. No session is created if the function
   * returns `{ reject: reason }`, throws an error or sends a response. An `AuthKitError` rejects the sign-in, as
   * `reject` does. Any other error is passed to the Express error handler.
   */
  onSuccess?: (result: SSOSignInResult) => MaybeOnSuccessResult | Promise<MaybeOnSuccessResult>;
}
