import { authKitParameters } from '../authorization/index.js';
import type { AuthKitOptions, SignInOptions } from '../options.js';
import { assertOptions, common, hooks, throwAll, type Config, type InstanceDefaults } from './common.js';
import { isRecord, Problems, variable } from './problems.js';
import { signUpRules, type SignUpRules } from './sign-in.js';
import { storage, type StoreConfig } from './store.js';

export type { Config } from './common.js';
export type { CookieConfig } from './cookie.js';
export type { Api } from './credentials.js';
export type { Routes } from './routes.js';
export { resolveSSOConfig, type SSOConfig } from './sso.js';

type Hooks = Pick<
  AuthKitOptions,
  'onSuccess' | 'onError' | 'onSessionRefreshSuccess' | 'onSessionRefreshError'
>;

/** {@link AuthKitOptions} and the environment, complete and checked. */
export interface AuthKitConfig extends Config {
  readonly signIn: SignInOptions;
  readonly signUp: SignUpRules;
  readonly storage: StoreConfig;
  /** Of remembered sessions; 0 for none. */
  readonly memoryBytes: number;
  readonly hooks: Readonly<Hooks>;
}

/** Every option's name; the compiler keeps it complete. */
const OPTIONS: Readonly<Record<keyof AuthKitOptions, true>> = {
  clientId: true,
  apiKey: true,
  redirectUri: true,
  cookiePassword: true,
  cookie: true,
  apiHostname: true,
  apiHttps: true,
  apiPort: true,
  issuer: true,
  workos: true,
  timeout: true,
  routes: true,
  returnTo: true,
  returnToOrigins: true,
  signIn: true,
  loginParams: true,
  providers: true,
  clientRedirectUris: true,
  signUp: true,
  store: true,
  session: true,
  onSuccess: true,
  onError: true,
  onSessionRefreshSuccess: true,
  onSessionRefreshError: true,
  serverTiming: true,
  sessionMemory: true,
  now: true,
};

const DEFAULTS: InstanceDefaults<SignInOptions> = {
  routes: {
    login: '/login',
    callback: '/callback',
    logout: '/logout',
    signUp: false,
    token: false,
    connect: false,
    switchOrganization: false,
  },
  cookieName: (env) => variable(env, 'WORKOS_COOKIE_NAME') ?? 'wos-session',
  parameters: authKitParameters,
};

const MEMORY_BYTES = 32 * 1_048_576;
/** Less would forget each session before its next request. */
const LEAST_BYTES = 1_048_576;

/**
 * Turns options and environment into a {@link AuthKitConfig}.
 *
 * @throws {AuthKitError} `config_invalid`, with every problem and its fix in one message.
 */
export function resolveConfig(options: AuthKitOptions, env: NodeJS.ProcessEnv): AuthKitConfig {
  assertOptions('authkit', options);
  const problems = new Problems();
  problems.unknownKeys('option', options, OPTIONS);
  const { onSuccess, onError, onSessionRefreshSuccess, onSessionRefreshError } = options;
  const own = { onSuccess, onSessionRefreshSuccess, onSessionRefreshError };
  hooks(own, problems);
  const config: AuthKitConfig = {
    ...common(options, env, DEFAULTS, problems),
    signUp: signUpRules(options.signUp, problems),
    storage: storage(options.store, options.session, problems),
    memoryBytes: memoryBytes(options.sessionMemory, problems),
    hooks: Object.freeze({ ...own, onError }) as Hooks,
  };
  throwAll(problems.list);
  return Object.freeze(config);
}

function memoryBytes(value: unknown, problems: Problems): number {
  if (value === false) return 0;
  const { maxBytes = MEMORY_BYTES, ...others } = isRecord(value) ? value : {};
  const isUsable = typeof maxBytes === 'number' && Number.isSafeInteger(maxBytes) && maxBytes >= LEAST_BYTES;
  if (isUsable && Object.keys(others).length === 0 && (value === undefined || isRecord(value)))
    return maxBytes;
  problems.add(`sessionMemory must be false or { maxBytes }, a whole number of at least ${LEAST_BYTES}`);
  return 0;
}
