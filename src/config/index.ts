import { AuthKitError } from '../errors.js';
import type { CookieConfig } from '../http/cookies.js';
import { type ReturnToRules, safeReturnTo } from '../http/return-to.js';
import { type Store, STORE_METHODS } from '../stores/index.js';
import { authKitParameters, type ParameterSet } from './authorization-parameters.js';
import { cookie } from './cookie.js';
import { ADDRESS, type Api, api, issuers, passwords, required } from './credentials.js';
import { type LoginRules, loginRules, pinned, type SignUpRules, signUpRules } from './login.js';
import type { AuthKitOptions, LoadUser, SignInOptions } from './options.js';
import { isRecord, Problems, variable } from './problems.js';
import { parseRedirectUri, parseRoutes, type RouteDefaults, type Routes } from './routes.js';

/** How long a request waits for what it may not need, in milliseconds: a second, or less where calls are short. */
export function softTimeoutOf({ timeout }: Pick<Config, 'timeout'>): number {
  return Math.min(1000, timeout / 5);
}

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
  trustedOrigins: true,
  signIn: true,
  loginParams: true,
  providers: true,
  clientRedirectUris: true,
  signUp: true,
  store: true,
  session: true,
  onSuccess: true,
  loadUser: true,
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

/** What every defaults has: options and environment, complete and checked. Nothing else reads either. */
export interface Config {
  readonly clientId: string;
  readonly apiKey: string;
  readonly redirectUri: string;
  /** The first seals, all of them open. */
  readonly cookiePasswords: readonly [string, ...string[]];
  readonly cookie: CookieConfig;
  readonly api: Api;
  readonly issuers: readonly string[];
  /** Milliseconds. */
  readonly timeout: number;
  readonly routes: Routes;
  /** Default of `returnTo`, already safe. */
  readonly returnTo: string;
  readonly returnToRules: ReturnToRules;
  /** Other origins that may act with the session cookie. */
  readonly trustedOrigins: readonly string[];
  readonly loadUser: LoadUser | undefined;
  readonly login: LoginRules;
  readonly signIn: object;
  readonly hooks: Readonly<Pick<AuthKitOptions, 'onError'>>;
  readonly serverTiming: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** In what one defaults differs from another before any option is read. */
export interface InstanceDefaults<SignIn extends object> {
  readonly routes: RouteDefaults;
  readonly cookieName: (env: NodeJS.ProcessEnv) => string;
  readonly parameters: ParameterSet<SignIn>;
}

/** Options that every defaults takes. */
type CommonOptions = Omit<AuthKitOptions, 'signIn' | 'onSuccess'> & { signIn?: object };

export function common<SignIn extends object>(
  options: CommonOptions,
  env: NodeJS.ProcessEnv,
  defaults: InstanceDefaults<SignIn>,
  problems: Problems,
): Config & { readonly signIn: SignIn } {
  const lent = options.workos;
  const origin = api(options, env, problems);
  const clientId = required('clientId', options.clientId ?? lent?.clientId, env, problems);
  const redirect = parseRedirectUri(
    required('redirectUri', options.redirectUri, env, problems, ADDRESS),
    problems,
  );
  const routes = parseRoutes(options.routes, defaults.routes, redirect, problems);
  const rules = returnToRules(options.returnToOrigins, redirect, routes, problems);
  hooks({ onError: options.onError, loadUser: options.loadUser, now: options.now }, problems);
  return {
    clientId,
    apiKey: required('apiKey', options.apiKey ?? lent?.key, env, problems),
    redirectUri: redirect.href,
    cookiePasswords: passwords(options.cookiePassword, env, problems),
    cookie: cookie(options.cookie, env, defaults.cookieName(env), redirect, problems),
    api: origin,
    issuers: issuers(options.issuer, env, origin, clientId, problems),
    timeout: timeout(options.timeout, problems),
    routes,
    returnTo: defaultReturnTo(options.returnTo, rules, problems),
    returnToRules: rules,
    trustedOrigins: origins('trustedOrigins', options.trustedOrigins, problems),
    loadUser: options.loadUser,
    login: loginRules(options, defaults.parameters.names, problems),
    signIn: pinned(options.signIn, defaults.parameters, problems),
    hooks: Object.freeze(options.onError ? { onError: options.onError } : {}),
    serverTiming: serverTiming(options.serverTiming, problems),
    now: options.now ?? Date.now,
  };
}

/** @throws {AuthKitError} `config_invalid`, with every problem and its fix in one message. */
export function throwAll(problems: readonly string[]): void {
  if (problems.length === 0) return;
  const list = problems.map((problem) => `\n  - ${problem}`).join('');
  throw new AuthKitError('config_invalid', `authkit-express is not configured:${list}`, {
    details: { problems },
  });
}

export function assertOptions(name: string, options: unknown): void {
  if (!isRecord(options)) throwAll([`${name}() takes an object of options`]);
}

export function hooks(given: Readonly<Record<string, unknown>>, problems: Problems): void {
  for (const [name, hook] of Object.entries(given)) {
    if (hook !== undefined && typeof hook !== 'function') problems.add(`${name} must be a function`);
  }
}

function timeout(value: unknown, problems: Problems): number {
  if (value === undefined) return 5000;
  if (!Number.isSafeInteger(value) || Number(value) < 1 || Number(value) > 60_000) {
    problems.add('timeout must be a whole number of milliseconds, from 1 to 60000');
  }
  return value as number;
}

function serverTiming(value: unknown, problems: Problems): boolean {
  if (value !== undefined && typeof value !== 'boolean') problems.add('serverTiming must be true or false');
  return value === true;
}

function origins(name: string, value: unknown, problems: Problems): readonly string[] {
  const isOrigin = (origin: unknown) =>
    typeof origin === 'string' &&
    URL.canParse(origin) &&
    new URL(origin).origin === origin &&
    origin !== 'null';
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every(isOrigin)) return Object.freeze([...(value as string[])]);
  problems.add(`${name} must be a list of origins, such as ["https://admin.example.com"]`);
  return [];
}

function returnToRules(value: unknown, redirect: URL, routes: Routes, problems: Problems): ReturnToRules {
  const allowed = origins('returnToOrigins', value, problems);
  const routed = Object.values(routes as unknown as Record<string, Routes['login']>)
    .filter((route) => route !== undefined)
    .flatMap((route) => [route.public, route.mounted]);
  // Mounted at the root, the router answers below the prefix of the redirect URI and without it.
  const login = routes.login ? [`${routes.login.public}/`, `${routes.login.mounted}/`] : [];
  return Object.freeze({
    origin: redirect.origin,
    origins: allowed,
    // The callback too where the application keeps its own route: its query holds a code. `/login/google` is a sign-in.
    ownPaths: [...new Set([...routed, redirect.pathname, ...login])],
  });
}

function defaultReturnTo(value: unknown, rules: ReturnToRules, problems: Problems): string {
  const safe = safeReturnTo(value ?? '/', rules);
  if (safe === undefined)
    problems.add('returnTo must be a path of this application or a URL of a listed origin');
  return safe ?? '/';
}

/** Where processes meet, and where sessions are kept. */
export interface StoreConfig {
  readonly store: Store | undefined;
  readonly mode: 'cookie' | 'store';
}

export function storage(store: unknown, session: unknown, problems: Problems): StoreConfig {
  const missing = isRecord(store)
    ? Object.keys(STORE_METHODS).filter((name) => typeof store[name] !== 'function')
    : [];
  if (store !== undefined && (!isRecord(store) || missing.length > 0)) {
    const what = missing.length > 0 ? ` (it has no ${missing.join(', ')})` : '';
    problems.add(
      `store is no store${what}: wrap a Redis client in redisStore(), a session store in expressStore()`,
    );
  }
  if (session !== undefined && session !== 'cookie' && session !== 'store') {
    problems.add('session must be "cookie" or "store"');
  } else if (session === 'store' && store === undefined) {
    problems.add('session: "store" needs a store, such as store: redisStore(client)');
  }
  return { store: store as Store | undefined, mode: session === 'store' ? 'store' : 'cookie' };
}
