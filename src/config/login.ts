import type { IncomingMessage } from 'node:http';
import { AuthKitError } from '../errors.js';
import type { ParameterSet } from './authorization-parameters.js';
import type { AuthKitOptions } from './options.js';
import { isRecord, type Problems } from './problems.js';
import { AUTHKIT, providerNamed, PROVIDERS } from './providers.js';

/** What links and clients may ask of the login route. */
export interface LoginRules {
  /** Names of the query parameters that are read; others are ignored. */
  readonly params: ReadonlySet<string>;
  /** Providers that a link may name, in WorkOS's names. */
  readonly providers: ReadonlySet<string>;
  /** Exact URLs that codes for `POST /token` may be sent to. */
  readonly clientRedirectUris: readonly string[];
}

export interface SignUpRules {
  readonly roles: readonly string[];
  readonly defaultRole: string | undefined;
  readonly save: boolean;
  /** Keys of `metadata` that are saved from a link. */
  readonly metadata: readonly string[];
}

/** What guards themselves put into a link to the login route. */
const ALWAYS = ['returnTo', 'maxAge'] as const;

const OWN = ['returnTo', 'state', 'codeChallenge', 'displayName', 'locale', 'metadata', 'role'] as const;

const SCHEME = /^([a-z][a-z\d+.-]*):/i;

/** Schemes in which a URL is a program or a local file. */
const NO_CLIENT = /^(?:javascript|data|vbscript|file|blob|about|ftp|ws|wss)$/i;

const SLUG = /^[\w-]{1,64}$/;

/** The sign-in options of an instance, for one request. */
export type SignInFor<Options> = (req: IncomingMessage) => Promise<Options>;

/** Sign-in options that no query overrides: an object, or a function of the request. */
export function pinned<Options extends object>(
  value: unknown,
  parameters: ParameterSet<Options>,
  problems: Problems,
): SignInFor<Options> {
  if (typeof value === 'function') return ofRequest(value as SignInFunction, parameters);
  if (value !== undefined && !isRecord(value))
    problems.add(
      'signIn must be an object of sign-in options, or a function of the request that returns one',
    );
  const options = isRecord(value) ? (value as Options) : ({} as Options);
  for (const problem of parameters.problemsOf(options)) problems.add(`signIn: ${problem}`);
  const fixed = Promise.resolve(Object.freeze({ ...options }));
  return () => fixed;
}

type SignInFunction = (req: IncomingMessage) => unknown;

/** Calls the function once for a request. */
function ofRequest<Options extends object>(
  signIn: SignInFunction,
  parameters: ParameterSet<Options>,
): SignInFor<Options> {
  const known = new WeakMap<IncomingMessage, Promise<Options>>();
  const read = async (req: IncomingMessage): Promise<Options> => {
    const options = (await signIn(req)) ?? {};
    if (!isRecord(options)) throw invalid('it must return an object of sign-in options');
    const [problem] = parameters.problemsOf(options);
    if (problem !== undefined) throw invalid(problem);
    return options as Options;
  };
  return (req) => {
    const options = known.get(req) ?? read(req);
    known.set(req, options);
    return options;
  };
}

function invalid(problem: string): AuthKitError {
  return new AuthKitError('config_invalid', `signIn(req): ${problem}`);
}

type LoginOptions = Pick<AuthKitOptions, 'loginParams' | 'providers' | 'clientRedirectUris'>;

export function loginRules(options: LoginOptions, names: readonly string[], problems: Problems): LoginRules {
  const known = [...new Set<string>([...names, ...OWN])];
  const params = texts('loginParams', options.loginParams, known, problems);
  for (const name of params)
    if (!known.includes(name)) problems.add(`loginParams: unknown parameter; there are ${known.join(', ')}`);
  const providers = texts('providers', options.providers, PROVIDERS, problems).map(providerNamed);
  if (providers.includes(undefined))
    problems.add('providers must be names of providers, such as "google" or "GoogleOAuth"');
  const uris = texts('clientRedirectUris', options.clientRedirectUris, [], problems);
  if (!uris.every(isClientUri)) {
    problems.add('clientRedirectUris must be absolute URLs without a fragment, such as "myapp://callback"');
  }
  return Object.freeze({
    params: new Set([...params, ...ALWAYS]),
    providers: new Set([AUTHKIT, ...providers.filter((name) => name !== undefined)]),
    clientRedirectUris: Object.freeze([...uris]),
  });
}

/** RFC 8252 section 7.1 for custom schemes; what runs in a browser is none. */
function isClientUri(uri: string): boolean {
  const [, scheme = ''] = SCHEME.exec(uri) ?? [];
  return (
    scheme !== '' && !NO_CLIENT.test(scheme) && !/[\u0000-\u0020\u007f#\\]/.test(uri) && URL.canParse(uri)
  );
}

export function signUpRules(value: unknown, problems: Problems): SignUpRules {
  const given = value ?? {};
  if (!isRecord(given)) problems.add('signUp must be an object: { roles, defaultRole, save, metadata }');
  const options = isRecord(given) ? given : {};
  problems.unknownKeys('signUp option', options, {
    roles: true,
    defaultRole: true,
    save: true,
    metadata: true,
  });
  const roles = texts('signUp.roles', options['roles'], [], problems);
  const metadata = texts('signUp.metadata', options['metadata'], [], problems);
  const { defaultRole, save = false } = options;
  if (!roles.every((role) => SLUG.test(role))) problems.add('signUp.roles must be slugs of roles');
  if (defaultRole !== undefined && !roles.includes(defaultRole as string))
    problems.add('signUp.defaultRole must be one of signUp.roles');
  if (typeof save !== 'boolean') problems.add('signUp.save must be true or false');
  return Object.freeze({
    roles,
    defaultRole: defaultRole as string | undefined,
    save: save === true,
    metadata: Object.freeze([...metadata]),
  });
}

function texts(
  name: string,
  value: unknown,
  fallback: readonly string[],
  problems: Problems,
): readonly string[] {
  const list = value ?? fallback;
  if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list;
  problems.add(`${name} must be a list of strings`);
  return [];
}
