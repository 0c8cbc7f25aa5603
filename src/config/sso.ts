import { ssoParameters } from './authorization-parameters.js';
import { assertOptions, common, type Config, hooks, type InstanceDefaults, throwAll } from './index.js';
import { Problems } from './problems.js';
import type { SSOOptions, SSOSignInOptions } from './sso-options.js';

/** {@link SSOOptions} and the environment, complete and checked. */
export interface SSOConfig extends Config {
  readonly signIn: SSOSignInOptions;
  /** Seconds. */
  readonly sessionLifetime: number;
  readonly acceptIdPInitiated: boolean;
  readonly hooks: Readonly<Pick<SSOOptions, 'onSuccess' | 'onError'>>;
}

/** Every option's name; the compiler keeps it complete. */
const OPTIONS: Readonly<Record<keyof SSOOptions, true>> = {
  clientId: true,
  apiKey: true,
  redirectUri: true,
  cookiePassword: true,
  cookie: true,
  apiHostname: true,
  apiHttps: true,
  apiPort: true,
  workos: true,
  timeout: true,
  routes: true,
  returnTo: true,
  returnToOrigins: true,
  trustedOrigins: true,
  loadUser: true,
  signIn: true,
  loginParams: true,
  providers: true,
  sessionLifetime: true,
  acceptIdPInitiated: true,
  onSuccess: true,
  onError: true,
  serverTiming: true,
  now: true,
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
  // The environment names the cookie of `authkit()`: two doors of one process need two.
  cookieName: () => 'wos-sso-session',
  parameters: ssoParameters,
};

/** A working day, in seconds: nothing at WorkOS ends the session earlier. */
const LIFETIME = 28_800;

const LONGEST = 34_560_000;

/**
 * Turns options and environment into an {@link SSOConfig}.
 *
 * @throws {AuthKitError} `config_invalid`, with every problem and its fix in one message.
 */
export function resolveSSOConfig(options: SSOOptions, env: NodeJS.ProcessEnv): SSOConfig {
  assertOptions('sso', options);
  const problems = new Problems();
  problems.unknownKeys('option', options, OPTIONS);
  const { onSuccess, onError, sessionLifetime = LIFETIME, acceptIdPInitiated = false } = options;
  hooks({ onSuccess }, problems);
  if (!Number.isSafeInteger(sessionLifetime) || sessionLifetime < 1 || sessionLifetime > LONGEST)
    problems.add(`sessionLifetime must be a whole number of seconds, from 1 to ${LONGEST}`);
  if (typeof acceptIdPInitiated !== 'boolean') problems.add('acceptIdPInitiated must be true or false');
  const config: SSOConfig = {
    ...common(options, env, DEFAULTS, problems),
    sessionLifetime,
    acceptIdPInitiated,
    hooks: Object.freeze({ onSuccess, onError }) as SSOConfig['hooks'],
  };
  throwAll(problems.list);
  return Object.freeze(config);
}
