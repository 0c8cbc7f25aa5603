import type { WorkOS } from '@workos-inc/node';
import { canParse } from '../url-can-parse.js';
import { AuthKitError } from '../errors.js';
import type { CookieConfig } from '../http/cookies.js';
import type { PagesFor } from '../http/pages.js';
import { type ReturnToRules, safeReturnTo } from '../http/return-to.js';
import { isOptions, isRecord, ownProperties } from '../plain-objects.js';
import { type Store, STORE_METHODS } from '../stores/index.js';
import { authKitParameters, type ParameterSet } from './authorization-parameters.js';
import { cookie } from './cookie.js';
import {
  type Api,
  readApi,
  readCookiePasswords,
  readCredentials,
  readIssuers,
  readRedirectUri,
} from './credentials.js';
import { isLoopback, readAllowInsecureHttp } from './insecure-http.js';
import {
  type LoginRules,
  readLoginRules,
  readSignIn,
  readSignUpRules,
  type SignInFor,
  type SignUpRules,
} from './login-and-sign-up.js';
import type { AuthKitOptions, LoadUser, SignInOptions } from './authkit-options.js';
import { readOrigins, readTrustedOrigins } from './origins.js';
import { readPages } from './pages.js';
import { Problems, variable } from './collect-problems.js';
import { parseRoutes, type Route, type RouteDefaults, type Routes } from './routes.js';
import { parseRedirectUri } from './redirect-uri.js';
import { type Advice, AUTHKIT_ADVICE, SESSION_MEMORY_ADVICE } from './did-you-mean.js';

/**
 * Returns how long a request waits for an optional result, in milliseconds. For example, the session is optional on a
 * route without a guard.
 */
export function softTimeoutOf({ timeout }: Pick<Config, 'timeout'>): number {
  return Math.min(1000, timeout / 5);
}

/**
 * Returns how long a request may wait for WorkOS and the store, in milliseconds. Time spent in the application's own
 * code, such as in `loadUser` and `onSuccess`, does not count.
 */
export function requestTimeoutOf({ timeout }: Pick<Config, 'timeout'>): number {
  return timeout * 2;
}

type Hooks = Pick<
  AuthKitOptions,
  'onSuccess' | 'onError' | 'onSessionRefreshSuccess' | 'onSessionRefreshError'
>;

/** The configuration of `authkit()`: its options and environment variables after validation, with defaults. */
export interface AuthKitConfig extends Config {
  readonly signIn: SignInFor<SignInOptions>;
  readonly signUp: SignUpRules;
  readonly storage: StoreConfig;
  /** Maximum size of the verified-session cache, in bytes. 0 disables the cache. */
  readonly memoryBytes: number;
  /** The value of `WORKOS_WEBHOOK_SECRET`. */
  readonly webhookSecret: string | undefined;
  /** Claim token of a WorkOS environment that has no owner yet. */
  readonly claimToken: string | undefined;
  readonly hooks: Readonly<Hooks>;
}

/** The name of every option. The compiler checks that none is missing. */
export const AUTHKIT_OPTIONS: Readonly<Record<keyof AuthKitOptions, true>> = {
  clientId: true,
  apiKey: true,
  redirectUri: true,
  allowInsecureHttp: true,
  cookiePassword: true,
  cookie: true,
  apiHostname: true,
  apiHttps: true,
  apiPort: true,
  claimToken: true,
  issuer: true,
  audience: true,
  workos: true,
  fetch: true,
  timeout: true,
  routes: true,
  returnTo: true,
  postLogoutReturnTo: true,
  returnToOrigins: true,
  trustedOrigins: true,
  signIn: true,
  signInLifetime: true,
  loginParams: true,
  providers: true,
  clientRedirectUris: true,
  signUp: true,
  store: true,
  session: true,
  onSuccess: true,
  loadUser: true,
  onError: true,
  pages: true,
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

const MEMORY_BYTES = 16 * 1_048_576;

/**
 * The minimum size of the verified-session cache, in bytes. A smaller cache would evict most sessions before their next
 * request.
 */
const LEAST_BYTES = 1_048_576;

/**
 * Reads and checks the options of `authkit()` and the environment variables.
 *
 * @throws {AuthKitError} `config_invalid`, with every problem and its fix in one message.
 */
export function resolveConfig(given: AuthKitOptions, env: NodeJS.ProcessEnv): AuthKitConfig {
  const { options, problems } = readOptions('authkit', given, AUTHKIT_OPTIONS, AUTHKIT_ADVICE);
  const { onSuccess, onError, onSessionRefreshSuccess, onSessionRefreshError } = options;
  const hooks = { onSuccess, onSessionRefreshSuccess, onSessionRefreshError };
  checkFunctions(hooks, problems);
  const common = resolveCommon(options, env, DEFAULTS, problems);
  const config: AuthKitConfig = {
    ...common,
    signUp: readSignUpRules(options.signUp, problems),
    storage: readStorage(options.store, options.session, problems),
    memoryBytes: readMemoryBytes(options.sessionMemory, problems),
    webhookSecret: variable(env, 'WORKOS_WEBHOOK_SECRET'),
    claimToken: readClaimToken(options.claimToken, env, common, problems),
    hooks: Object.freeze({ ...hooks, onError }) as Hooks,
  };
  throwProblems(problems.list, isNothingSet(options, env));
  return Object.freeze(config);
}

/**
 * Reads the claim token. It is only for development, because anyone who starts a sign-in could use it to claim the
 * environment. The token is refused if `redirectUri` is not on this machine.
 */
function readClaimToken(
  value: unknown,
  env: NodeJS.ProcessEnv,
  { redirectUri }: Pick<Config, 'redirectUri'>,
  problems: Problems,
): string | undefined {
  const token = value ?? variable(env, 'WORKOS_CLAIM_TOKEN');
  if (token === undefined) return undefined;
  if (typeof token !== 'string' || token === '') {
    problems.add('claimToken must be the claim token of a WorkOS environment, as a string');
    return undefined;
  }
  const hostname = canParse(redirectUri) ? new URL(redirectUri).hostname : undefined;
  if (hostname === undefined || isLoopback(hostname)) return token;
  problems.add(
    `${value === undefined || value === null ? 'WORKOS_CLAIM_TOKEN' : 'claimToken'} is set, but redirectUri is at ` +
      `${hostname}: every visitor could claim the WorkOS environment. Remove the claim token, or use a redirectUri on ` +
      'this machine, such as http://localhost:3000/callback',
  );
  return undefined;
}

function readMemoryBytes(value: unknown, problems: Problems): number {
  if (value === undefined) return MEMORY_BYTES;
  if (value === false) return 0;
  if (isOptions(value)) {
    const own = ownProperties(value);
    problems.unknownKeys('sessionMemory option', own, { maxBytes: true }, SESSION_MEMORY_ADVICE);
    const { maxBytes = MEMORY_BYTES } = own;
    if (typeof maxBytes === 'number' && Number.isSafeInteger(maxBytes) && maxBytes >= LEAST_BYTES)
      return maxBytes;
  }
  problems.add(
    `sessionMemory must be false or { maxBytes }, where maxBytes is a whole number of at least ${LEAST_BYTES}`,
  );
  return 0;
}

/**
 * The configuration that `authkit()` and `sso()` have in common. All other code reads this configuration, and never the
 * options or the environment variables.
 */
export interface Config {
  readonly clientId: string;
  readonly apiKey: string;
  readonly redirectUri: string;
  /** Whether http is accepted for hosts other than this machine. */
  readonly allowInsecureHttp: boolean;
  /** The first password is used to encrypt cookies, and all of them are used to decrypt cookies. */
  readonly cookiePasswords: readonly [string, ...string[]];
  readonly cookie: CookieConfig;
  readonly api: Api;
  /** The application's own WorkOS client, if it uses the same API key and API origin as this configuration. */
  readonly workos: WorkOS | undefined;
  readonly issuers: readonly string[];
  /** Values of the `aud` claim that are accepted in session access tokens. */
  readonly audience: readonly string[];
  /** The function to use instead of the global `fetch`, or `undefined` to use the global `fetch`. */
  readonly fetch: typeof globalThis.fetch | undefined;
  /** How long one call to WorkOS may take, in milliseconds. */
  readonly timeout: number;
  readonly routes: Routes;
  /** Where users are sent after a sign-in without a `returnTo`. This value has been validated. */
  readonly returnTo: string;
  /** Where users are sent after a sign-out without a `returnTo`. This value has been validated. */
  readonly postLogoutReturnTo: string | undefined;
  readonly returnToRules: ReturnToRules;
  /** Origins, in addition to that of `redirectUri`, whose pages may send requests with the user's session cookie. */
  readonly trustedOrigins: readonly string[];
  readonly loadUser: LoadUser | undefined;
  readonly login: LoginRules;
  /** How long a sign-in may take from the login route to the callback, in seconds. */
  readonly signInLifetime: number;
  readonly hooks: Readonly<Pick<AuthKitOptions, 'onError'>>;
  /** The look, language and texts of this package's pages. */
  readonly pages: PagesFor;
  readonly serverTiming: boolean;
  /** Returns the current time, in milliseconds since the epoch. */
  readonly now: () => number;
}

/** The defaults that differ between `authkit()` and `sso()`. */
export interface InstanceDefaults<SignIn extends object> {
  readonly routes: RouteDefaults;
  readonly cookieName: (env: NodeJS.ProcessEnv) => string;
  readonly parameters: ParameterSet<SignIn>;
}

/** Options that both `authkit()` and `sso()` accept. */
type CommonOptions = Omit<AuthKitOptions, 'signIn' | 'onSuccess'> & { signIn?: unknown };

export function resolveCommon<SignIn extends object>(
  options: CommonOptions,
  env: NodeJS.ProcessEnv,
  defaults: InstanceDefaults<SignIn>,
  problems: Problems,
): Omit<Config, 'hooks'> & { readonly signIn: SignInFor<SignIn> } {
  const { workos } = options;
  const isHttpAllowed = readAllowInsecureHttp(options.allowInsecureHttp, problems);
  const api = readApi(options, env, isHttpAllowed, problems);
  const { clientId, apiKey } = readCredentials(
    { clientId: options.clientId ?? workos?.clientId, apiKey: options.apiKey ?? workos?.key },
    env,
    problems,
  );
  const redirectUri = readRedirectUri(options.redirectUri, env, problems);
  const redirect = parseRedirectUri(redirectUri, isHttpAllowed, problems);
  const routes = parseRoutes(options.routes, defaults.routes, redirect, problems);
  const origins = readOrigins('returnToOrigins', options.returnToOrigins, problems);
  const rules = returnToRulesOf(redirect, origins ?? [], routes);
  /** Whether all origins are valid, so page URLs can be checked against them. */
  const areOriginsValid = redirect !== undefined && origins !== undefined;
  const { onError, loadUser, now, fetch } = options;
  checkFunctions({ onError, loadUser, now, fetch }, problems);
  return {
    clientId,
    apiKey,
    // The redirect URI is not normalized, because WorkOS compares it as text with the redirect URIs that are registered
    // in the dashboard.
    redirectUri,
    allowInsecureHttp: isHttpAllowed,
    cookiePasswords: readCookiePasswords(options.cookiePassword, env, api, problems),
    cookie: cookie(options.cookie, env, defaults.cookieName(env), { redirect, routes }, problems),
    api,
    workos: sameEnvironment(workos, apiKey, api),
    issuers: readIssuers(options.issuer, env, api, clientId, problems),
    audience: readAudience(options.audience, clientId, problems),
    fetch: fetch ?? fetchOf(workos),
    timeout: readTimeout(options.timeout, problems),
    routes,
    returnTo: readPage('returnTo', options.returnTo ?? '/', rules, areOriginsValid, problems) ?? '/',
    postLogoutReturnTo: readPage(
      'postLogoutReturnTo',
      options.postLogoutReturnTo,
      rules,
      areOriginsValid,
      problems,
    ),
    returnToRules: rules,
    trustedOrigins: readTrustedOrigins(options.trustedOrigins, isHttpAllowed, problems),
    loadUser,
    login: readLoginRules(options, defaults.parameters, isHttpAllowed, problems),
    signIn: readSignIn(options.signIn, defaults.parameters, clientId, problems),
    signInLifetime: readSignInLifetime(options.signInLifetime, problems),
    pages: readPages(options.pages, problems),
    serverTiming: readServerTiming(options.serverTiming, problems),
    now: readClock(now, problems),
  };
}

/**
 * Throws an error that lists all problems, if there are any.
 *
 * @param isUnconfigured Whether the application has set no option and none of the required environment variables.
 * @throws {AuthKitError} `config_invalid`, with every problem and its fix in one message.
 */
export function throwProblems(problems: readonly string[], isUnconfigured = false): void {
  if (problems.length === 0) return;
  const list = problems.map((problem) => `\n  - ${problem}`).join('');
  const title = isUnconfigured ? 'is not configured' : 'is misconfigured';
  throw new AuthKitError('config_invalid', `authkit-express ${title}:${list}`, { details: { problems } });
}

const REQUIRED_VARIABLES = [
  'WORKOS_CLIENT_ID',
  'WORKOS_API_KEY',
  'WORKOS_REDIRECT_URI',
  'WORKOS_COOKIE_PASSWORD',
];

export function isNothingSet(options: object, env: NodeJS.ProcessEnv): boolean {
  return (
    Object.values(options).every((value) => value === undefined) &&
    REQUIRED_VARIABLES.every((name) => variable(env, name) === undefined)
  );
}

/**
 * Copies the options of `authkit()` or `sso()`, and checks their names.
 *
 * @returns The copy of the options, and a list of problems that reports each unknown option.
 * @throws {AuthKitError} `config_invalid` if the options are not an object.
 */
export function readOptions<Options extends object>(
  name: string,
  given: Options,
  known: Readonly<Record<keyof Options & string, true>>,
  advice: Advice,
): { options: Options; problems: Problems } {
  const value: unknown = given;
  if (isRecord(value) && typeof value['then'] === 'function')
    throwProblems([`${name}() was called with a promise: await the options first`]);
  if (!isOptions(value)) throwProblems([`${name}() takes an object of options`]);
  const options = ownProperties(given);
  const problems = new Problems();
  problems.unknownKeys('option', options, known, advice);
  return { options, problems };
}

export function checkFunctions(given: Readonly<Record<string, unknown>>, problems: Problems): void {
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && typeof value !== 'function') problems.add(`${name} must be a function`);
  }
}

/**
 * A clock that returns a number in this range counts in seconds instead of milliseconds. In seconds since the epoch,
 * the range is from 2001 to 2286. In milliseconds, all of it would be in 1970.
 */
const SECONDS = { min: 1e9, max: 1e10 };

/**
 * Reads the option `now`. The clock is called once to check the value that it returns. With a value in seconds, or a
 * value that is not a number, no access token would ever expire.
 */
function readClock(now: unknown, problems: Problems): () => number {
  if (typeof now !== 'function') return Date.now;
  const time = timeOf(now as () => unknown);
  const isTime = typeof time === 'number' && Number.isFinite(time);
  if (!isTime || (time >= SECONDS.min && time < SECONDS.max))
    problems.add('now must return the time in milliseconds since the epoch, as Date.now does');
  return now as () => number;
}

/** Returns a clock's time, or 0 if the clock throws. A clock that throws may not be ready yet, so it is not refused. */
function timeOf(now: () => unknown): unknown {
  try {
    const time = now();
    // An async clock is refused, but its promise may still reject. That must not cause an unhandled rejection.
    if (time instanceof Promise) time.catch(() => undefined);
    return time;
  } catch {
    return 0;
  }
}

const MAX_TIMEOUT = 60_000;

/**
 * The minimum timeout, in milliseconds. A smaller number was probably meant to be in seconds, because WorkOS cannot
 * respond that fast over the internet.
 */
const LEAST_TIMEOUT = 50;

function readTimeout(value: unknown, problems: Problems): number {
  if (value === undefined) return 5000;
  if (!Number.isSafeInteger(value) || Number(value) < 1 || Number(value) > MAX_TIMEOUT) {
    problems.add(`timeout must be a whole number of milliseconds, from ${LEAST_TIMEOUT} to ${MAX_TIMEOUT}`);
  } else if (Number(value) < LEAST_TIMEOUT) {
    const seconds = Number(value);
    problems.add(
      `timeout is in milliseconds: write ${seconds * 1000} for ${seconds} ${seconds === 1 ? 'second' : 'seconds'}`,
    );
  }
  return value as number;
}

/** Returns the application's WorkOS client if it uses the given API key and API origin, otherwise `undefined`. */
function sameEnvironment(workos: WorkOS | undefined, apiKey: string, { origin }: Api): WorkOS | undefined {
  const { key, baseURL } = (workos ?? {}) as Partial<WorkOS>;
  const isSame = key === apiKey && canParse(baseURL ?? '') && new URL(baseURL as string).origin === origin;
  return isSame ? workos : undefined;
}

/** Returns the `fetchFn` option of the application's WorkOS client, if it is set. */
function fetchOf(workos: unknown): Config['fetch'] {
  const given = isRecord(workos) && isRecord(workos['options']) ? workos['options']['fetchFn'] : undefined;
  return typeof given === 'function' ? (given as Config['fetch']) : undefined;
}

function readAudience(value: unknown, clientId: string, problems: Problems): readonly string[] {
  if (value === undefined) return Object.freeze([clientId]);
  const list = [value].flat();
  if (list.length === 0 || !list.every((name) => typeof name === 'string' && name !== ''))
    problems.add('audience must be a string or a list of strings');
  return Object.freeze(list as string[]);
}

/**
 * Reads the option `signInLifetime`, in seconds. The default of ten minutes is enough for a second factor. A user who
 * has to wait for an email may need more time.
 */
function readSignInLifetime(value: unknown, problems: Problems): number {
  if (value === undefined) return 600;
  if (!Number.isSafeInteger(value) || Number(value) < 60 || Number(value) > 86_400)
    problems.add('signInLifetime must be a whole number of seconds, from 60 to 86400 (one day)');
  return value as number;
}

function readServerTiming(value: unknown, problems: Problems): boolean {
  if (value !== undefined && typeof value !== 'boolean') problems.add('serverTiming must be true or false');
  return value === true;
}

function returnToRulesOf(
  redirect: URL | undefined,
  origins: readonly string[],
  routes: Routes,
): ReturnToRules {
  const routed = Object.values(routes as unknown as Record<string, Routes['login']>)
    .filter((route) => route !== undefined)
    .flatMap(pathsOf);
  // If this package's callback route is disabled, the application has its own. The path of that route is included too,
  // because its query contains an authorization code.
  const callback = routes.callback || !redirect ? [] : [redirect.pathname];
  // Paths below the login route start sign-ins (`/login/google`), and paths below the connect route link accounts
  // (`/connect/github`). Both the public and the mounted paths are included, because a router that is mounted at the
  // root responds at both.
  const below = [routes.login, routes.connect].flatMap((route) =>
    route ? pathsOf(route).map((path) => `${path}/`) : [],
  );
  return Object.freeze({
    origin: redirect?.origin ?? 'https://invalid.example',
    origins,
    ownPaths: [...new Set([...routed, ...callback, ...below])],
  });
}

/**
 * Returns the paths at which a browser can reach a route. The router responds at the public path and at the mounted
 * path of each route. A router that is mounted at `/auth` therefore also responds at `/auth/auth/login`.
 */
function pathsOf({ public: path, mounted }: Route): string[] {
  const prefix = path.slice(0, path.length - mounted.length);
  return [path, mounted, prefix + path];
}

/**
 * Reads an option that contains the path or URL of a page.
 *
 * @param areOriginsValid If false, problems with a URL are not reported. They may follow from the invalid origins,
 * which have already been reported.
 */
function readPage(
  name: string,
  value: unknown,
  rules: ReturnToRules,
  areOriginsValid: boolean,
  problems: Problems,
): string | undefined {
  if (value === undefined) return undefined;
  const safe = safeReturnTo(value, rules);
  const isUrl = typeof value === 'string' && /^https?:/i.test(value);
  if (safe === undefined && (areOriginsValid || !isUrl))
    problems.add(`${name} must be a path of this application or a URL of a listed origin`);
  return safe;
}

/** The store that all processes share, and the place where sessions are kept. */
export interface StoreConfig {
  readonly store: Store | undefined;
  readonly mode: 'cookie' | 'store';
}

export function readStorage(store: unknown, session: unknown, problems: Problems): StoreConfig {
  const missing = isRecord(store)
    ? Object.keys(STORE_METHODS).filter((name) => typeof store[name] !== 'function')
    : [];
  if (store !== undefined && (!isRecord(store) || missing.length > 0)) {
    const what = missing.length > 0 ? ` (it has no ${missing.join(', ')})` : '';
    problems.add(
      `store is not a store${what}: wrap a Redis client in redisStore(), a PostgreSQL pool in postgresStore(), and a ` +
        'session store in expressStore()',
    );
  }
  if (session !== undefined && session !== 'cookie' && session !== 'store') {
    problems.add('session must be "cookie" or "store"');
  } else if (session === 'store' && store === undefined) {
    problems.add('session: "store" needs a store, such as store: redisStore(client)');
  }
  return { store: store as Store | undefined, mode: session === 'store' ? 'store' : 'cookie' };
}
