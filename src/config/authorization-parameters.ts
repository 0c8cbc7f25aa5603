import { AuthKitError } from '../errors.js';
import { single } from '../http/request.js';
import { ownProperties } from '../plain-objects.js';
import type { SignInOptions } from './authkit-options.js';
import { AUTHKIT, providerNamed } from './provider-names.js';
import type { SSOSignInOptions } from './sso-options.js';
import { type Advice, SIGN_IN_ADVICE, SSO_SIGN_IN_ADVICE, suggestionFor } from './did-you-mean.js';

/** How a single sign-in option is read from a query, checked, and written to the authorization URL. */
export interface Parameter {
  /** The name of the parameter in WorkOS's authorization URL. */
  readonly wire: string;
  /** Names that a query may use for the option, in addition to the option's name and `wire`. */
  readonly names?: readonly string[];
  /**
   * Converts the text from a query to a value. Returns `undefined` if the text is malformed. Without `parse`, the
   * option can only be set in code.
   */
  readonly parse?: (text: string) => unknown;
  /** Whether a query may contain the parameter more than once. The values are then joined with spaces. */
  readonly mayRepeat?: true;
  /** Returns whether a value has a form that WorkOS accepts. */
  readonly valid: (value: unknown) => boolean;
  /**
   * Returns the stricter of two values. With this function, a query may make a pinned option stricter. Without it, a
   * query cannot change a pinned option.
   */
  readonly stricter?: (a: unknown, b: unknown) => unknown;
  /** Describes what `valid` accepts, as the text that follows "must be" in error messages. */
  readonly form: string;
  /**
   * Returns the names and values to send. By default, the value is sent under the name `wire`. If the value is a list,
   * each of its items is sent under this name.
   */
  readonly write?: (value: unknown) => readonly (readonly [name: string, value: string])[];
}

/** A problem with an option or with a combination of options. */
interface Problem {
  readonly name?: string;
  readonly text: string;
}

/** All parameters of one of WorkOS's authorization endpoints. */
export interface ParameterSet<Options extends object> {
  /** Names of the options that a query may contain. */
  readonly names: readonly string[];
  /** Maps each alias of an option to the option's primary name. */
  readonly aliases: Readonly<Record<string, string>>;
  /**
   * Replaces aliases with primary names. If an option is set under both names, both remain, so `problemsOf` can report
   * them.
   */
  canonical: (options: Options) => Options;
  /** Returns the problems with options that were set in code, one sentence each. */
  problemsOf: (options: object) => string[];
  /**
   * Reads options from a query, in camelCase or WorkOS's snake_case.
   *
   * @param pinned Options that the application has set. The query cannot override them, except with a stricter value.
   * @param taken Names of the options that the query may set. The query's other parameters are ignored.
   * @throws {AuthKitError} `invalid_request` or `invalid_provider`. The error message contains no text from the query.
   */
  parse: (params: URLSearchParams, pinned: Options, taken: ReadonlySet<string>) => Options;
  /**
   * Combines the requested options with the pinned options, which take precedence over values that are not stricter.
   *
   * @throws {AuthKitError} `invalid_request` or `invalid_provider` if the combined options conflict or are invalid.
   */
  withPinned: (requested: Options, pinned: Options) => Options;
  /**
   * Returns the query parameters of the authorization URL.
   *
   * @param protocol The parameters that do not come from options, such as `client_id`, `redirect_uri` and `state`.
   */
  query: (options: Options, protocol: Readonly<Record<string, string>>) => URLSearchParams;
}

interface ParameterSetRules<Options extends object, Alias extends string> {
  /** Returns the conflicts between options that exclude each other, one sentence each. */
  readonly conflictsOf: (options: Options) => string[];
  /** Advice for names that are often written by mistake instead of an option's name. */
  readonly advice: Advice;
  /** Returns the parameters that are sent unless an option overrides them. */
  readonly defaults?: (options: Options) => Readonly<Record<string, string>>;
  readonly aliases: Readonly<Record<Alias, Exclude<keyof Options & string, Alias>>>;
}

/**
 * Creates the set of parameters for one authorization endpoint.
 *
 * @param rows One row for each option, in the order in which the parameters are sent. The compiler checks that no
 * option is missing.
 */
function parameterSet<Options extends object, Alias extends keyof Options & string = never>(
  rows: Readonly<Record<Exclude<keyof Options & string, Alias>, Parameter>>,
  { conflictsOf, advice, defaults = () => ({}), aliases }: ParameterSetRules<Options, Alias>,
): ParameterSet<Options> {
  const all = Object.entries<Parameter>(rows);
  const known = Object.keys(rows);
  const canonical = (options: Values) => withFirstNames(options, aliases);
  const problemsOf = (given: Values): Problem[] => {
    const options = canonical(given);
    const twice = Object.entries<string>(aliases).filter(([alias]) => options[alias] !== undefined);
    if (twice.length > 0)
      return twice.map(([alias, name]) => ({
        text: `${name} and ${alias} are two names of one option: write one of them`,
      }));
    const unknown = Object.keys(options).filter((name) => !Object.hasOwn(rows, name));
    const malformed = all.filter(([name, { valid }]) => options[name] !== undefined && !valid(options[name]));
    const wellFormed = ownProperties({ ...options });
    for (const [name] of malformed) Reflect.deleteProperty(wellFormed, name);
    return [
      ...unknown.map((name) => ({
        text: `unknown sign-in option ${JSON.stringify(name.slice(0, 64))}: ${suggestionFor(name, known, advice)}`,
      })),
      ...malformed.map(([name, { form }]) => ({ name, text: `${name} must be ${form}` })),
      ...conflictsOf(wellFormed as Options).map((text) => ({ text })),
    ];
  };
  return {
    names: all.filter(([, { parse }]) => parse !== undefined).map(([name]) => name),
    aliases,
    canonical: (options) => canonical(options as Values) as Options,
    problemsOf: (options) => problemsOf(options as Values).map(({ text }) => text),
    parse: (params, pinned, taken) =>
      parse(
        all.filter(
          ([name, { stricter }]) => taken.has(name) && (stricter || (pinned as Values)[name] === undefined),
        ),
        params,
      ) as Options,
    withPinned(requested, pinned) {
      const asked = canonical(requested as Values);
      const fixed = canonical(pinned as Values);
      const options: Record<string, unknown> = ownProperties({ ...asked, ...fixed });
      for (const [name, { stricter }] of all) {
        if (stricter && asked[name] !== undefined && fixed[name] !== undefined)
          options[name] = stricter(asked[name], fixed[name]);
      }
      const [problem] = problemsOf(options);
      if (problem) throw refusal(problem);
      return options as Options;
    },
    query: (options, protocol) => {
      const params = new URLSearchParams({ response_type: 'code', ...protocol, ...defaults(options) });
      for (const [name, row] of all) write(params, row, (options as Values)[name]);
      return params;
    },
  };
}

type Values = Readonly<Record<string, unknown>>;

function withFirstNames(options: Values, aliases: Readonly<Record<string, string>>): Values {
  const renamed: Record<string, unknown> = ownProperties(options);
  for (const [alias, name] of Object.entries(aliases)) {
    if (renamed[alias] === undefined) Reflect.deleteProperty(renamed, alias);
    if (!Object.hasOwn(renamed, alias) || renamed[name] !== undefined) continue;
    renamed[name] = renamed[alias];
    Reflect.deleteProperty(renamed, alias);
  }
  return renamed;
}

function parse(rows: readonly [string, Parameter][], params: URLSearchParams): Values {
  const requested = Object.create(null) as Record<string, unknown>;
  for (const [name, { wire, names = [], parse: read, mayRepeat, valid, form }] of rows) {
    const value = read && (mayRepeat ? joined : single)(params, name, wire, ...names);
    if (value === undefined) continue;
    requested[name] = read?.(value);
    if (!valid(requested[name])) throw refusal({ name, text: `${name} must be ${form}` });
  }
  return requested;
}

/** Returns all non-empty values of a parameter, joined with spaces, or `undefined` if there are none. */
function joined(params: URLSearchParams, ...names: readonly string[]): string | undefined {
  const values = [...new Set(names)].flatMap((name) => params.getAll(name)).filter((value) => value !== '');
  return values.length === 0 ? undefined : values.join(' ');
}

function write(params: URLSearchParams, { wire, write: pairs }: Parameter, value: unknown): void {
  if (value === undefined) return;
  params.delete(wire);
  const items = Array.isArray(value) ? (value as readonly unknown[]) : [value];
  const lines = pairs?.(value) ?? items.map((item) => [wire, String(item)] as const);
  for (const [name, text] of lines) params.append(name, text);
}

function refusal({ name, text }: Problem): AuthKitError {
  return new AuthKitError(name === 'provider' ? 'invalid_provider' : 'invalid_request', text);
}

/** Matches the ID of a WorkOS object, such as `org_123`. */
export const OBJECT_ID = /^[\w-]{1,128}$/;

const ONE_LINE = /^[^\u0000-\u001f\u007f]{1,320}$/;

const VISIBLE = /^[\u0021-\u007e]{1,512}$/;

const SCOPE = /^[\u0021\u0023-\u005b\u005d-\u007e]{1,256}$/;

const PARAMETER_NAME = /^[\w.-]{1,64}$/;

const MAX_ITEMS = 50;

const matching = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);

function textParameter(
  wire: string,
  pattern: RegExp,
  form: string,
  names: readonly string[] = [],
): Parameter {
  return { wire, names, parse: (value) => value, valid: matching(pattern), form };
}

function codeOnly({ wire, valid, form }: Parameter): Parameter {
  return { wire, valid, form };
}

const organizationId = (wire: string, ...names: string[]) =>
  textParameter(wire, OBJECT_ID, "the ID of an organization, such as 'org_123'", names);

const connectionId = (wire: string, ...names: string[]) =>
  textParameter(wire, OBJECT_ID, "the ID of a connection, such as 'conn_123'", names);

export const loginHint = textParameter(
  'login_hint',
  ONE_LINE,
  'an email address or another string of one line',
);

export const domainHint = textParameter(
  'domain_hint',
  /^[A-Za-z0-9.-]{1,253}$/,
  "a domain name, such as 'example.com'",
);

/**
 * The option `provider`. Its value is a provider's short name or WorkOS's name for the provider. The authorization URL
 * always contains WorkOS's name.
 */
export const provider: Parameter = {
  wire: 'provider',
  parse: providerNamed,
  valid: (value) => typeof value === 'string' && providerNamed(value) !== undefined,
  form: "the name of a provider, such as 'google' or 'GoogleOAuth'",
  write: (value) => [['provider', providerNamed(value as string) ?? '']],
};

export const providerScopes: Parameter = {
  wire: 'provider_scopes',
  names: ['providerScopes[]', 'provider_scopes[]'],
  mayRepeat: true,
  parse: (value) => value.split(/[ ,]/),
  valid: (value) =>
    Array.isArray(value) && value.length > 0 && value.length <= MAX_ITEMS && value.every(matching(SCOPE)),
  form: `a list of 1 to ${MAX_ITEMS} OAuth scopes, such as ['email']`,
};

/**
 * The option `providerQueryParams`. It can only be set in code, not by a sign-in link, because its parameters are
 * passed to the provider unchanged. They are sent in the format that the WorkOS SDK uses, such as
 * `provider_query_params[hd]`.
 */
export const providerQueryParams: Parameter = {
  wire: 'provider_query_params',
  valid: (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).length <= MAX_ITEMS &&
    Object.entries(value).every(([name, item]) => PARAMETER_NAME.test(name) && isScalar(item)),
  form: `an object of up to ${MAX_ITEMS} strings, numbers or booleans, such as { hd: 'example.com' }`,
  write: (value) =>
    Object.entries(value as object).map(([name, item]) => [`provider_query_params[${name}]`, String(item)]),
};

function isScalar(value: unknown): boolean {
  return (
    typeof value === 'boolean' || Number.isFinite(value) || matching(/^[^\u0000-\u001f\u007f]{0,512}$/)(value)
  );
}

const DIGITS = /^\d{1,9}$/;

/**
 * All parameters of `/user_management/authorize`.
 *
 * @see https://workos.com/docs/reference/authkit/authentication/get-authorization-url
 */
export const authKitParameters = parameterSet<SignInOptions>(
  {
    provider,
    connectionId: connectionId('connection_id', 'connection'),
    organizationId: organizationId('organization_id', 'organization'),
    loginHint,
    domainHint,
    screenHint: textParameter('screen_hint', /^sign-(?:in|up)$/, "'sign-in' or 'sign-up'"),
    prompt: textParameter(
      'prompt',
      /^(?:login|consent|none|select_account)$/,
      "'login', 'consent', 'none' or 'select_account'",
    ),
    invitationToken: textParameter('invitation_token', /^[\w.-]{1,512}$/, 'the token of an invitation'),
    maxAge: {
      wire: 'max_age',
      parse: (value) => (DIGITS.test(value) ? Number(value) : undefined),
      valid: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
      // A guard may require a more recent authentication than the application does for every sign-in.
      stricter: (a, b) => ((a as number) < (b as number) ? a : b),
      form: 'a whole number of seconds, such as 3600',
    },
    providerScopes,
    providerQueryParams,
    claimNonce: codeOnly(textParameter('claim_nonce', VISIBLE, 'up to 512 visible ASCII characters')),
  },
  {
    conflictsOf,
    advice: SIGN_IN_ADVICE,
    defaults: ({ connectionId }) => (connectionId === undefined ? { provider: AUTHKIT } : {}),
    aliases: {},
  },
);

/**
 * Returns the conflicts between sign-in options. WorkOS accepts a provider or a connection, but not both. It accepts an
 * organization or a screen hint only if the provider is AuthKit.
 */
function conflictsOf({ connectionId, provider, organizationId, screenHint }: SignInOptions): string[] {
  const conflicts = [];
  const isAuthKit = provider === undefined || providerNamed(provider) === AUTHKIT;
  const withAuthKit = connectionId === undefined && isAuthKit;
  if (connectionId !== undefined && provider !== undefined)
    conflicts.push('connectionId and provider exclude each other: leave one of them out');
  for (const [name, value] of Object.entries({ organizationId, screenHint })) {
    if (value !== undefined && !withAuthKit)
      conflicts.push(`${name} cannot be combined with connectionId, or with a provider other than AuthKit`);
  }
  return conflicts;
}

/**
 * All parameters of `/sso/authorize`.
 *
 * @see https://workos.com/docs/reference/sso/get-authorization-url
 */
export const ssoParameters = parameterSet<SSOSignInOptions, 'organizationId' | 'connectionId'>(
  {
    organization: organizationId('organization', 'organizationId', 'organization_id'),
    connection: connectionId('connection', 'connectionId', 'connection_id'),
    provider: {
      ...provider,
      valid: (value) => provider.valid(value) && !isAuthKit(value),
      form: "the name of a provider other than AuthKit, such as 'google' or 'GoogleOAuth'",
    },
    domain: codeOnly({ ...domainHint, wire: 'domain' }),
    loginHint,
    domainHint,
    nonce: codeOnly(textParameter('nonce', /^[\u0021-\u007e]{1,256}$/, 'up to 256 visible ASCII characters')),
    providerScopes,
    providerQueryParams,
  },
  {
    conflictsOf: ssoConflictsOf,
    advice: SSO_SIGN_IN_ADVICE,
    aliases: { organizationId: 'organization', connectionId: 'connection' },
  },
);

function isAuthKit(value: unknown): boolean {
  return providerNamed(String(value)) === AUTHKIT;
}

/**
 * Returns the conflicts between SSO sign-in options. WorkOS requires exactly one of organization, connection, provider
 * and domain. This function reports only the case in which more than one of them is set. If none is set, a separate
 * check reports it when a sign-in starts.
 */
function ssoConflictsOf({ organization, connection, provider, domain }: SSOSignInOptions): string[] {
  const selectors = [organization, connection, provider, domain].filter((value) => value !== undefined);
  return selectors.length > 1
    ? ['organization, connection, provider and domain exclude each other: pass only one of them']
    : [];
}
