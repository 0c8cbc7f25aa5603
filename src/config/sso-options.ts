import type { OauthTokens, Profile, User } from '@workos-inc/node';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Store } from '../stores/index.js';
import type { AuthKitOptions, OnSuccessResult } from './options.js';

/**
 * Parameters of WorkOS's SSO authorization URL. Exactly one of `organization`, `connection`, `provider` and `domain`
 * selects the identity provider.
 */
export interface SSOSignInOptions {
  /** Organization whose SSO connection is used, `org_…`. */
  organization?: string;
  /** The same as `organization`, under the name that AuthKit sign-ins use. */
  organizationId?: string;
  /** SSO connection to use, `conn_…`. */
  connection?: string;
  /** The same as `connection`. */
  connectionId?: string;
  /** The name of an OAuth provider: its short name, such as `google`, or WorkOS's name, such as `GoogleOAuth`. */
  provider?: string;
  /**
   * Domain of the connection. WorkOS recommends `connection` or `organization` instead. Can only be set in code, not by
   * a link.
   */
  domain?: string;
  /** E-mail address that is filled in on the sign-in page. */
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

/** Options of a single sign-in: {@link SSOSignInOptions}, and where the user is sent afterwards. */
export interface SSOSignInUrlOptions extends SSOSignInOptions {
  /**
   * Where the user is sent after the sign-in: a path of this application, or a URL whose origin is in
   * `returnToOrigins`. Any other value is ignored.
   */
  returnTo?: string;
  /** A JSON value of at most 2 KB, which is passed to `onSuccess` unchanged. */
  state?: unknown;
  /**
   * Callback URL of this sign-in, which must be a URL of this application. Default: the `redirectUri` of the instance.
   */
  redirectUri?: string;
}

/** The sign-in that `onSuccess` receives. */
export interface SSOSignInResult {
  /** The profile from WorkOS. The session keeps it without `rawAttributes`. */
  profile: Profile<Record<string, unknown>>;
  /** The profile in the form of a WorkOS user. It becomes `req.user`. */
  user: User;
  organizationId: string | undefined;
  connectionId: string;
  /** Token for WorkOS's profile endpoint. It is short-lived, and the session does not keep it. */
  accessToken: string;
  /** Tokens of the OAuth provider, if WorkOS is configured to return them. */
  oauthTokens: OauthTokens | undefined;
  /** The value that was passed as `state` when the sign-in started. */
  state: unknown;
  /**
   * `app` if `state` was set in code, or `link` if it comes from the query of the login route, which anyone can write.
   */
  stateFrom: 'app' | 'link' | undefined;
  /** Whether this sign-in started at the identity provider, and not in this application. */
  isIdPInitiated: boolean;
  returnTo: string;
  req: IncomingMessage;
  res: ServerResponse;
}

// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a hook without `return` is the usual one
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
 * Options of `sso()`. Their environment variables are those of `authkit()`, except that `WORKOS_COOKIE_NAME` is not
 * read.
 */
export interface SSOOptions extends Pick<AuthKitOptions, Shared> {
  /**
   * Paths of the routes below the mount point. Default `/sso/login`, `/sso/callback` and `/sso/logout`. `false` leaves
   * a route out.
   */
  routes?: { login?: string | false; callback?: string | false; logout?: string | false };
  /**
   * The store that the application's processes share, such as `redisStore(client)`. With a store, a session that was
   * signed out is refused by every process, even after a restart. Default none.
   */
  store?: Store;
  /**
   * Parameters of every sign-in, or a function that returns them for a request. A link cannot override them, and the
   * profile has to come from the `organization`, `connection` or `provider` that they name.
   */
  signIn?: SSOSignInOptions | ((req: IncomingMessage) => SSOSignInOptions | Promise<SSOSignInOptions>);
  /** How long a session lasts, in seconds. Default 8 hours. WorkOS does not end it earlier. */
  sessionLifetime?: number;
  /**
   * Whether sign-ins that started at the identity provider are accepted directly. Default false: such a sign-in is
   * started again from this application, which takes an additional redirect.
   *
   * If this option is true, an attacker can sign a user in to the attacker's account with a link (login CSRF, RFC 9700
   * section 4.7).
   */
  acceptIdPInitiated?: boolean;
  /**
   * Runs after WorkOS has confirmed a sign-in and before the session is created. `{ reject: reason }` or an
   * `AuthKitError` rejects the sign-in. Any other error goes to the Express error handler. In both cases, no session is
   * created.
   */
  onSuccess?: (result: SSOSignInResult) => MaybeOnSuccessResult | Promise<MaybeOnSuccessResult>;
}
