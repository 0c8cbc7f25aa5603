import type { IncomingMessage } from 'node:http';
import { canParse } from '../url-can-parse.js';
import { AuthKitError } from '../errors.js';
import { publishError } from '../diagnostics.js';
import { isOptions, isRecord, ownProperties, withoutUndefined } from '../plain-objects.js';
import type { ParameterSet } from './authorization-parameters.js';
import { isLoopback, USE_HTTPS } from './insecure-http.js';
import type { AuthKitOptions } from './authkit-options.js';
import type { Problems } from './collect-problems.js';
import { AUTHKIT, providerNamed, PROVIDERS } from './provider-names.js';
import { SIGN_UP_ADVICE, suggestionFor } from './did-you-mean.js';

/** What a link to the login route may request. */
export interface LoginRules {
  /** Names of the query parameters that are read. All others are ignored. */
  readonly params: ReadonlySet<string>;
  /** WorkOS's names for the providers that a link may select. */
  readonly providers: ReadonlySet<string>;
  /** Exact URLs to which authorization codes for `POST /token` may be sent. */
  readonly clientRedirectUris: readonly string[];
}

export interface SignUpRules {
  readonly roles: readonly string[];
  readonly defaultRole: string | undefined;
  readonly save: boolean;
  /** Keys of `metadata` that are saved if they come from a link. */
  readonly metadata: readonly string[];
}

/** Query parameters that the login route always reads, because guards add them to its URL. */
const ALWAYS = ['returnTo', 'maxAge'] as const;

/** Query parameters of the login route that are not sent to WorkOS, because this package handles them itself. */
const LOCAL = ['returnTo', 'state', 'codeChallenge', 'displayName', 'locale', 'metadata', 'role'] as const;

/** Matches a role slug. */
const SLUG = /^[\w-]{1,64}$/;

/** Returns the sign-in options that the application has set for a request. */
export type SignInFor<Options> = (req: IncomingMessage) => Promise<Options>;

/**
 * Reads the `signIn` option, which is an object of sign-in options, or a function that returns such an object for a
 * request. A query cannot override these sign-in options.
 */
export function readSignIn<Options extends object>(
  value: unknown,
  parameters: ParameterSet<Options>,
  clientId: string,
  problems: Problems,
): SignInFor<Options> {
  if (typeof value === 'function') return ofRequest(value as SignInFunction, parameters, clientId);
  if (value !== undefined && !isOptions(value))
    problems.add(
      'signIn must be an object of sign-in options, or a function of the request that returns one',
    );
  const options = parameters.canonical((isOptions(value) ? ownProperties(value) : {}) as Options);
  for (const problem of parameters.problemsOf(options)) problems.add(`signIn: ${problem}`);
  const fixed = Promise.resolve(Object.freeze(setOptions(options)));
  return () => fixed;
}

type SignInFunction = (req: IncomingMessage) => unknown;

/**
 * Wraps the application's `signIn` function, so that it is called only once per request. If the function throws an
 * error or returns invalid options, the error is published as `authkit:error` and thrown.
 */
function ofRequest<Options extends object>(
  signIn: SignInFunction,
  parameters: ParameterSet<Options>,
  clientId: string,
): SignInFor<Options> {
  const known = new WeakMap<IncomingMessage, Promise<Options>>();
  const read = async (req: IncomingMessage): Promise<Options> => {
    let returned;
    try {
      returned = await signIn(req);
    } catch (error) {
      publishError({ clientId, source: 'signIn', error });
      throw error;
    }
    const problem = returnedProblem(returned, parameters);
    if (problem === undefined) return setOptions(parameters.canonical((returned ?? {}) as Options));
    const error = new AuthKitError('config_invalid', `signIn(req) returned ${problem}`);
    publishError({ clientId, source: 'signIn', error }, error.message);
    throw error;
  };
  return (req) => {
    const options = known.get(req) ?? read(req);
    known.set(req, options);
    return options;
  };
}

/** Leaves out options that are `undefined`, because they would hide the options of a link. */
function setOptions<Options extends object>(options: Options): Options {
  return ownProperties(withoutUndefined(options) as Options);
}

function returnedProblem(
  returned: unknown,
  parameters: Pick<ParameterSet<object>, 'problemsOf'>,
): string | undefined {
  if (returned === undefined || returned === null) return undefined;
  if (isOptions(returned)) {
    const problems = parameters.problemsOf(returned);
    return problems.length === 0 ? undefined : `options that are not valid: ${problems.join('; ')}`;
  }
  const what = Array.isArray(returned)
    ? 'an array'
    : isRecord(returned)
      ? 'an object without options'
      : `a ${typeof returned}`;
  return `${what}: return an object of sign-in options, such as { organizationId: 'org_123' }, or nothing`;
}

type LoginOptions = Pick<AuthKitOptions, 'loginParams' | 'providers' | 'clientRedirectUris'>;

export function readLoginRules(
  options: LoginOptions,
  { names, aliases }: Pick<ParameterSet<object>, 'names' | 'aliases'>,
  isHttpAllowed: boolean,
  problems: Problems,
): LoginRules {
  const known = [...new Set<string>([...names, ...LOCAL])];
  const params = readStrings('loginParams', options.loginParams, known, problems).map(
    (name) => (Object.hasOwn(aliases, name) && aliases[name]) || name,
  );
  for (const name of params) {
    const shown = JSON.stringify(name.slice(0, 64));
    if (!known.includes(name))
      problems.add(`loginParams: unknown parameter ${shown}: ${suggestionFor(name, known)}`);
  }
  const providers = readStrings('providers', options.providers, PROVIDERS, problems).map(providerNamed);
  if (providers.includes(undefined))
    problems.add('providers must be names of providers, such as "google" or "GoogleOAuth"');
  const uris = readStrings('clientRedirectUris', options.clientRedirectUris, [], problems);
  for (const uri of uris) {
    const problem = clientUriProblem(uri, isHttpAllowed);
    if (problem) problems.add(`clientRedirectUris: ${JSON.stringify(uri.slice(0, 128))} ${problem}`);
  }
  return Object.freeze({
    params: new Set([...params, ...ALWAYS]),
    providers: new Set([AUTHKIT, ...providers.filter((name) => name !== undefined)]),
    clientRedirectUris: Object.freeze([...uris]),
  });
}

const SCHEME = /^([a-z][a-z\d+.-]*):/i;

/** A reversed domain name, such as `com.example.app` (RFC 8252 section 7.1). */
const REVERSED_DOMAIN = /^[a-z][a-z\d+-]*(?:\.[a-z\d+-]+)+$/;

/**
 * Returns what is wrong with the redirect URI of a native or single-page client, or `undefined` if it is valid.
 * Authorization codes are sent to this URI.
 *
 * A custom scheme must be a reversed domain name. Any app can register any scheme, but different apps do not choose the
 * same domain name by accident (RFC 8252 section 7.1). This rule also excludes `intent:`, `mailto:`, `javascript:` and
 * all other schemes that browsers and operating systems handle themselves. An http URL must be on this machine (RFC
 * 8252 section 7.3), unless `allowInsecureHttp` is set.
 */
function clientUriProblem(uri: string, isHttpAllowed: boolean): string | undefined {
  const scheme = SCHEME.exec(uri)?.[1]?.toLowerCase();
  if (scheme === undefined || /[\u0000-\u0020\u007f#\\]/.test(uri) || !canParse(uri)) {
    return 'must be an absolute URL without a fragment, such as "com.example.app:/callback"';
  }
  const { hostname, username, password } = new URL(uri);
  if (scheme === 'https' || scheme === 'http') {
    if (username !== '' || password !== '') return 'must not contain a user name or a password';
    if (scheme === 'https' || isHttpAllowed || isLoopback(hostname)) return undefined;
    return `uses http, which sends codes unencrypted to ${hostname}: ${USE_HTTPS}`;
  }
  if (REVERSED_DOMAIN.test(scheme)) return undefined;
  return 'must be https, http on this machine, or a scheme that is a reversed domain name, such as "com.example.app:/callback"';
}

export function readSignUpRules(value: unknown, problems: Problems): SignUpRules {
  const given = value ?? {};
  if (!isOptions(given)) problems.add('signUp must be an object: { roles, defaultRole, save, metadata }');
  const options = isOptions(given) ? ownProperties(given) : {};
  problems.unknownKeys(
    'signUp option',
    options,
    { roles: true, defaultRole: true, save: true, metadata: true },
    SIGN_UP_ADVICE,
  );
  const roles = readStrings('signUp.roles', options['roles'], [], problems);
  const metadata = readStrings('signUp.metadata', options['metadata'], [], problems);
  const { defaultRole, save = false } = options;
  if (!roles.every((role) => SLUG.test(role))) problems.add('signUp.roles must be slugs of roles');
  const areRolesValid = roles.length > 0 || !hasItems(options['roles']);
  if (areRolesValid && defaultRole !== undefined && !roles.includes(defaultRole as string))
    problems.add('signUp.defaultRole must be one of signUp.roles');
  if (typeof save !== 'boolean') problems.add('signUp.save must be true or false');
  return Object.freeze({
    roles,
    defaultRole: defaultRole as string | undefined,
    save: save === true,
    metadata: Object.freeze([...metadata]),
  });
}

function hasItems(list: unknown): boolean {
  return list !== undefined && list !== null && !(Array.isArray(list) && list.length === 0);
}

function readStrings(
  name: string,
  value: unknown,
  fallback: readonly string[],
  problems: Problems,
): readonly string[] {
  if (value === undefined || value === null) return fallback;
  // The list is copied before it is checked, so that the items that are used are the items that were checked. In the
  // copy, holes become `undefined`.
  const list: unknown[] | undefined = Array.isArray(value) ? Array.from(value as []) : undefined;
  if (list?.every((item) => typeof item === 'string')) return Object.freeze(list);
  problems.add(`${name} must be a list of strings`);
  return [];
}
