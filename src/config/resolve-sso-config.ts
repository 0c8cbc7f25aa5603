import type { Store } from '../stores/index.js';
import { ssoParameters } from './authorization-parameters.js';
import { MAX_COOKIE_AGE } from './cookie.js';
import {
  AUTHKIT_OPTIONS,
  checkFunctions,
  type Config,
  type InstanceDefaults,
  isNothingSet,
  readOptions,
  readStorage,
  resolveCommon,
  throwProblems,
} from './index.js';
import type { SignInFor } from './login-and-sign-up.js';
import type { SSOOptions, SSOSignInOptions } from './sso-options.js';
import { type Advice, OF_AUTHKIT, SSO_ADVICE } from './did-you-mean.js';

/** The configuration of `sso()`: its options and environment variables after validation, with defaults. */
export interface SSOConfig extends Config {
  readonly signIn: SignInFor<SSOSignInOptions>;
  /** How long a session lasts, in seconds. */
  readonly sessionLifetime: number;
  readonly acceptIdPInitiated: boolean;
  /** The shared store, in which the processes record which sessions were signed out. */
  readonly store: Store | undefined;
  readonly hooks: Readonly<Pick<SSOOptions, 'onSuccess' | 'onError'>>;
}

/** The name of every option. The compiler checks that none is missing. */
const OPTIONS: Readonly<Record<keyof SSOOptions, true>> = {
  clientId: true,
  apiKey: true,
  redirectUri: true,
  allowInsecureHttp: true,
  cookiePassword: true,
  cookie: true,
  apiHostname: true,
  apiHttps: true,
  apiPort: true,
  workos: true,
  fetch: true,
  timeout: true,
  routes: true,
  returnTo: true,
  postLogoutReturnTo: true,
  returnToOrigins: true,
  trustedOrigins: true,
  loadUser: true,
  signIn: true,
  loginParams: true,
  signInLifetime: true,
  providers: true,
  sessionLifetime: true,
  acceptIdPInitiated: true,
  onSuccess: true,
  onError: true,
  pages: true,
  serverTiming: true,
  store: true,
  now: true,
};

/** The advice for unknown options. For an option that only `authkit()` has, the advice says so. */
const ADVICE: Advice = {
  ...SSO_ADVICE,
  ...Object.fromEntries(
    Object.keys(AUTHKIT_OPTIONS)
      .filter((name) => !Object.hasOwn(OPTIONS, name))
      .map((name) => [name, OF_AUTHKIT]),
  ),
};

const DEFAULTS: InstanceDefaults<SSOSignInOptions> = {
  routes: {
    login: '/sso/login',
    callback: '/sso/callback',
    logout: '/sso/logout',
    signUp: false,
    token: false,
    connect: false,
    switchOrganization: false,
  },
  // `WORKOS_COOKIE_NAME` is not read, because it names the cookie of `authkit()`, which may run in the same process.
  cookieName: () => 'wos-sso-session',
  parameters: ssoParameters,
};

/**
 * The default lifetime of a session, in seconds: 8 hours, the length of a working day. Nothing that happens at WorkOS
 * ends a session earlier.
 */
const LIFETIME = 28_800;

/**
 * Reads and checks the options of `sso()` and the environment variables.
 *
 * @throws {AuthKitError} `config_invalid`, with every problem and its fix in one message.
 */
export function resolveSSOConfig(given: SSOOptions, env: NodeJS.ProcessEnv): SSOConfig {
  const { options, problems } = readOptions('sso', given, OPTIONS, ADVICE);
  const { onSuccess, onError, sessionLifetime = LIFETIME, acceptIdPInitiated = false } = options;
  checkFunctions({ onSuccess }, problems);
  if (!Number.isSafeInteger(sessionLifetime) || sessionLifetime < 1 || sessionLifetime > MAX_COOKIE_AGE)
    problems.add(`sessionLifetime must be a whole number of seconds, from 1 to ${MAX_COOKIE_AGE} (400 days)`);
  if (typeof acceptIdPInitiated !== 'boolean') problems.add('acceptIdPInitiated must be true or false');
  const config: SSOConfig = {
    ...resolveCommon(options, env, DEFAULTS, problems),
    sessionLifetime,
    acceptIdPInitiated,
    store: readStorage(options.store, undefined, problems).store,
    hooks: Object.freeze({ onSuccess, onError }) as SSOConfig['hooks'],
  };
  throwProblems(problems.list, isNothingSet(options, env));
  return Object.freeze(config);
}
