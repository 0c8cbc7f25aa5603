import { problemsOf } from '../authorization.js';
import { AuthKitError } from '../errors.js';
import type { AuthKitOptions, SignInOptions } from '../options.js';
import { safeReturnTo, type ReturnToRules } from '../return-to.js';
import { cookie, type CookieConfig } from './cookie.js';
import { api, issuers, passwords, required, type Api } from './credentials.js';
import { isRecord, Problems } from './problems.js';
import { parseRedirectUri, parseRoutes, type Routes } from './routes.js';

export type { Api, CookieConfig, Routes };

type Hooks = Pick<
  AuthKitOptions,
  'onSuccess' | 'onError' | 'onSessionRefreshSuccess' | 'onSessionRefreshError'
>;

/** {@link AuthKitOptions} and the environment, complete and checked. Nothing else reads either. */
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
  readonly signIn: SignInOptions;
  readonly hooks: Readonly<Hooks>;
  readonly serverTiming: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
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
  onSuccess: true,
  onError: true,
  onSessionRefreshSuccess: true,
  onSessionRefreshError: true,
  serverTiming: true,
  now: true,
};

/**
 * Turns options and environment into a {@link Config}.
 *
 * @throws {AuthKitError} `config_invalid`, with every problem and its fix in one message.
 */
export function resolveConfig(options: AuthKitOptions, env: NodeJS.ProcessEnv): Config {
  const given: unknown = options;
  if (!isRecord(given)) throw invalid(['authkit() takes an object of options']);
  const problems = new Problems();
  problems.unknownKeys('option', options, OPTIONS);
  const lent = options.workos;
  const origin = api(options, env, problems);
  const clientId = required('clientId', options.clientId ?? lent?.clientId, env, problems);
  const redirect = parseRedirectUri(required('redirectUri', options.redirectUri, env, problems), problems);
  const routes = parseRoutes(options.routes, redirect, problems);
  const rules = returnToRules(options.returnToOrigins, redirect, routes, problems);
  const config: Config = {
    clientId,
    apiKey: required('apiKey', options.apiKey ?? lent?.key, env, problems),
    redirectUri: redirect.href,
    cookiePasswords: passwords(options.cookiePassword, env, problems),
    cookie: cookie(options.cookie, env, redirect, problems),
    api: origin,
    issuers: issuers(options.issuer, env, origin, clientId, problems),
    timeout: timeout(options.timeout, problems),
    routes,
    returnTo: defaultReturnTo(options.returnTo, rules, problems),
    returnToRules: rules,
    signIn: pinnedSignIn(options.signIn, problems),
    hooks: hooks(options, problems),
    serverTiming: serverTiming(options.serverTiming, problems),
    now: options.now ?? Date.now,
  };
  if (problems.list.length > 0) throw invalid(problems.list);
  return Object.freeze(config);
}

function invalid(problems: readonly string[]): AuthKitError {
  const list = problems.map((problem) => `\n  - ${problem}`).join('');
  return new AuthKitError('config_invalid', `authkit-express is not configured:${list}`, {
    details: { problems },
  });
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

function returnToRules(value: unknown, redirect: URL, routes: Routes, problems: Problems): ReturnToRules {
  const origins = value ?? [];
  const isOrigin = (origin: unknown) =>
    typeof origin === 'string' &&
    URL.canParse(origin) &&
    new URL(origin).origin === origin &&
    origin !== 'null';
  if (!Array.isArray(origins) || !origins.every(isOrigin)) {
    problems.add('returnToOrigins must be a list of origins, such as ["https://admin.example.com"]');
  }
  const ownPaths = Object.values(routes as unknown as Record<string, { public: string } | undefined>)
    .filter((route) => route !== undefined)
    .map((route) => route.public);
  return Object.freeze({
    origin: redirect.origin,
    origins: Array.isArray(origins) ? [...(origins as string[])] : [],
    // The callback too where the application keeps its own route: its query holds a code.
    ownPaths: [...ownPaths, redirect.pathname],
  });
}

function defaultReturnTo(value: unknown, rules: ReturnToRules, problems: Problems): string {
  const safe = safeReturnTo(value ?? '/', rules);
  if (safe === undefined)
    problems.add('returnTo must be a path of this application or a URL of a listed origin');
  return safe ?? '/';
}

function pinnedSignIn(value: unknown, problems: Problems): SignInOptions {
  if (value === undefined) return {};
  if (!isRecord(value)) problems.add('signIn must be an object of sign-in options');
  else for (const problem of problemsOf(value)) problems.add(`signIn: ${problem}`);
  return Object.freeze({ ...(value as SignInOptions) });
}

function hooks(options: AuthKitOptions, problems: Problems): Hooks {
  const { onSuccess, onError, onSessionRefreshSuccess, onSessionRefreshError } = options;
  const given = { onSuccess, onError, onSessionRefreshSuccess, onSessionRefreshError, now: options.now };
  for (const [name, hook] of Object.entries(given)) {
    if (hook !== undefined && typeof hook !== 'function') problems.add(`${name} must be a function`);
  }
  return Object.freeze({ onSuccess, onError, onSessionRefreshSuccess, onSessionRefreshError }) as Hooks;
}
