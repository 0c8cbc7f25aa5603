import type { OauthTokens, Profile, User } from '@workos-inc/node';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthKitOptions, OnSuccessResult } from './options.js';

/** What a sign-in can ask of WorkOS's SSO API. Exactly one of the first four says whose identity provider it is. */
export interface SSOSignInOptions {
  /** Organization whose connection to use, `org_…`. */
  organization?: string;
  /** SSO connection to use, `conn_…`. */
  connection?: string;
  /** An OAuth provider by its short name or WorkOS's: `google`, `GoogleOAuth`. */
  provider?: string;
  /** Domain of the connection. WorkOS advises `connection` or `organization` instead. From code only. */
  domain?: string;
  /** E-mail address to fill in. */
  loginHint?: string;
  /** Domain to fill in at Microsoft OAuth or a Google SAML connection. */
  domainHint?: string;
  /** For an identity provider that wants one (OpenID Connect Core section 3.1.2.1). From code only. */
  nonce?: string;
  /** Further OAuth scopes to ask of the provider. */
  providerScopes?: readonly string[];
  /** Parameters for the provider as they are, such as `{ hd: 'example.com' }`. From code only. */
  providerQueryParams?: Readonly<Record<string, string | number | boolean>>;
}

/** What a single sign-in can ask: {@link SSOSignInOptions}, and where it leads. */
export interface SSOSignInUrlOptions extends SSOSignInOptions {
  /** Path of this application, or a URL of a listed origin, to go to afterwards. Anything else is ignored. */
  returnTo?: string;
  /** The application's own value, JSON of at most 2 KB; `onSuccess` gets it back as it went in. */
  state?: unknown;
  /** Where WorkOS sends the browser back to, if not to `redirectUri` of the instance: a URL of this application too. */
  redirectUri?: string;
}

/** What `onSuccess` learns about a sign-in that WorkOS has just confirmed. */
export interface SSOSignInResult {
  /** As WorkOS sent it; the session keeps it without `rawAttributes`. */
  profile: Profile<Record<string, unknown>>;
  /** What `req.user` is going to be: the profile in the form of a WorkOS user. */
  user: User;
  organizationId: string | undefined;
  connectionId: string;
  /** For WorkOS's profile endpoint; short-lived, and not kept. */
  accessToken: string;
  /** Tokens of the OAuth provider, if WorkOS is configured to return them. */
  oauthTokens: OauthTokens | undefined;
  /** The application's own value of this sign-in. */
  state: unknown;
  /** `app`: from code. `link`: from the query of the login route, so anybody may have written it. */
  stateFrom: 'app' | 'link' | undefined;
  /** Whether this sign-in began at the identity provider: nobody here asked for it. */
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
  | 'cookiePassword'
  | 'cookie'
  | 'apiHostname'
  | 'apiHttps'
  | 'apiPort'
  | 'workos'
  | 'timeout'
  | 'returnTo'
  | 'returnToOrigins'
  | 'trustedOrigins'
  | 'loadUser'
  | 'loginParams'
  | 'providers'
  | 'onError'
  | 'serverTiming'
  | 'now';

/** Options of `sso()`. Each is optional if the environment has it, under the names that `authkit()` reads. */
export interface SSOOptions extends Pick<AuthKitOptions, Shared> {
  /** Paths below the mount point, default `/sso/login`, `/sso/callback`, `/sso/logout`; `false` leaves a route out. */
  routes?: { login?: string | false; callback?: string | false; logout?: string | false };
  /** Pinned for every sign-in: no query overrides what is set here. */
  signIn?: SSOSignInOptions;
  /** How long a session lives, in seconds, default 8 hours. WorkOS keeps none, so nothing ends it earlier. */
  sessionLifetime?: number;
  /**
   * Takes sign-ins that began at the identity provider as they come, default false.
   *
   * With it anybody who can send a person here with a code of their own signs them in as somebody else (login CSRF,
   * RFC 9700 section 4.7). Without it such a sign-in is begun again from here, which costs a redirect and is safe.
   */
  acceptIdPInitiated?: boolean;
  /**
   * Runs after WorkOS confirmed a sign-in and before the session exists. A throw vetoes: nobody is signed in.
   * Must not answer the request itself.
   */
  onSuccess?: (result: SSOSignInResult) => MaybeOnSuccessResult | Promise<MaybeOnSuccessResult>;
}
