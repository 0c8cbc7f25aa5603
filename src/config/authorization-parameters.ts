import { AuthKitError } from '../errors.js';
import { single } from '../http/request.js';
import { ownProperties } from '../own-properties.js';
import type { SignInOptions } from './options.js';
import { AUTHKIT, providerNamed } from './provider-names.js';
import type { SSOSignInOptions } from './sso-options.js';
import { type Advice, SIGN_IN_ADVICE, SSO_SIGN_IN_ADVICE, suggestionFor } from './suggestions.js';

/** How one option of a sign-in is read from a query, checked, and written to the authorization URL. */
export interface Parameter {
  /** The name in WorkOS's authorization URL. */
  readonly wire: string;
  /** Further names in a query, besides the name of the option and `wire`. */
  readonly names?: readonly string[];
  /** Reads a value from a query; `undefined` if it is malformed. Without `parse`, only code can set the option. */
  readonly parse?: (text: string) => unknown;
  /** Whether a query may repeat the parameter. Its values are then joined with spaces. */
  readonly mayRepeat?: true;
  /** Whether WorkOS accepts the form of a value. */
  readonly valid: (value: unknown) => boolean;
  /** What is sent. Default: the value, or each item of a list, under `wire`. */
  readonly write?: (value: unknown) => readonly (readonly [name: string, value: string])[];
}

/** What is wrong with an option or with a combination of options. */
interface Problem {
  readonly name?: string;
  readonly text: string;
}

/** All parameters of one of WorkOS's authorization endpoints. */
export interface ParameterSet<Options extends object> {
  /** Options that a query may carry. */
  readonly names: readonly string[];
  /** Aliases of options, with the primary name of each. */
  readonly aliases: Readonly<Record<string, string>>;
  /** The same options under their primary names. An option that is given under both names keeps both. */
  canonical: (options: Options) => Options;
  /** What is wrong with options from code, one sentence each. */
  problemsOf: (options: object) => string[];
  /**
   * Reads options from a query, in camelCase or WorkOS's snake_case.
   *
   * @param pinned Options that the application has set, which the query cannot override.
   * @param taken Names of the options that the query may set; others are ignored.
   * @throws {AuthKitError} `invalid_request` or `invalid_provider`. The message contains nothing from the query.
   */
  parse: (params: URLSearchParams, pinned: Options, taken: ReadonlySet<string>) => Options;
  /** Adds the pinned options, which take precedence. The result has no conflicts. */
  withPinned: (requested: Options, pinned: Options) => Options;
  /** The query of the authorization URL. */
  query: (options: Options, protocol: Readonly<Record<string, string>>) => URLSearchParams;
}

interface ParameterSetRules<Options extends object, Alias extends string> {
  /** Which options exclude each other. */
  readonly conflictsOf: (options: Options) => string[];
  /** Advice for option names that are written by mistake. */
  readonly advice: Advice;
  /** Parameters that are sent unless an option changes them. */
  readonly defaults?: (options: Options) => Readonly<Record<string, string>>;
  readonly aliases: Readonly<Record<Alias, Exclude<keyof Options & string, Alias>>>;
}

/** @param rows The options in the order in which they are sent. The compiler checks that they are complete. */
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
    return [
      ...unknown.map((name) => ({
        text: `unknown sign-in option ${JSON.stringify(name.slice(0, 64))}: ${suggestionFor(name, known, advice)}`,
      })),
      ...malformed.map(([name]) => ({ name, text: `${name} is malformed` })),
      ...conflictsOf(options as Options).map((text) => ({ text })),
    ];
  };
  return {
    names: all.filter(([, { parse }]) => parse !== undefined).map(([name]) => name),
    aliases,
    canonical: (options) => canonical(options as Values) as Options,
    problemsOf: (options) => problemsOf(options as Values).map(({ text }) => text),
    parse: (params, pinned, taken) =>
      parse(
        all.filter(([name]) => taken.has(name) && (pinned as Values)[name] === undefined),
        params,
      ) as Options,
    withPinned(requested, pinned) {
      const options = ownProperties({
        ...canonical(requested as Values),
        ...canonical(pinned as Values),
      }) as Options;
      const [problem] = problemsOf(options as Values);
      if (problem) throw refusal(problem);
      return options;
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
  for (const [name, { wire, names = [], parse: read, mayRepeat, valid }] of rows) {
    const value = read && (mayRepeat ? joined : single)(params, name, wire, ...names);
    if (value === undefined) continue;
    requested[name] = read?.(value);
    if (!valid(requested[name])) throw refusal({ name, text: `${name} is malformed` });
  }
  return requested;
}

/** All values of a parameter, joined with spaces; `undefined` if all are empty. */
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

/** A WorkOS id. */
const ID = /^[\w-]{1,128}$/;

const ONE_LINE = /^[^\u0000-\u001f\u007f]{1,320}$/;

const SCOPE = /^[\u0021\u0023-\u005b\u005d-\u007e]{1,256}$/;

const PARAMETER_NAME = /^[\w.-]{1,64}$/;

const MAX_ITEMS = 50;

const matching = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);

function textParameter(wire: string, pattern: RegExp, names: readonly string[] = []): Parameter {
  return { wire, names, parse: (value) => value, valid: matching(pattern) };
}

function codeOnly({ wire, valid }: Parameter): Parameter {
  return { wire, valid };
}

const idParameter = (wire: string, ...names: string[]) => textParameter(wire, ID, names);

export const loginHint = textParameter('login_hint', ONE_LINE);

export const domainHint = textParameter('domain_hint', /^[A-Za-z0-9.-]{1,253}$/);

/** Accepts WorkOS's name or the short name, and sends WorkOS's name. */
export const provider: Parameter = {
  wire: 'provider',
  parse: providerNamed,
  valid: (value) => typeof value === 'string' && providerNamed(value) !== undefined,
  write: (value) => [['provider', providerNamed(value as string) ?? '']],
};

export const providerScopes: Parameter = {
  wire: 'provider_scopes',
  names: ['providerScopes[]', 'provider_scopes[]'],
  mayRepeat: true,
  parse: (value) => value.split(/[ ,]/),
  valid: (value) =>
    Array.isArray(value) && value.length > 0 && value.length <= MAX_ITEMS && value.every(matching(SCOPE)),
};

/** From code only, since the provider gets them unchanged. Sent as in the WorkOS SDK: `provider_query_params[hd]`. */
export const providerQueryParams: Parameter = {
  wire: 'provider_query_params',
  valid: (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).length <= MAX_ITEMS &&
    Object.entries(value).every(([name, item]) => PARAMETER_NAME.test(name) && isScalar(item)),
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
    connectionId: idParameter('connection_id', 'connection'),
    organizationId: idParameter('organization_id', 'organization'),
    loginHint,
    domainHint,
    screenHint: textParameter('screen_hint', /^sign-(?:in|up)$/),
    prompt: textParameter('prompt', /^(?:login|consent|none|select_account)$/),
    invitationToken: textParameter('invitation_token', /^[\w.-]{1,512}$/),
    maxAge: {
      wire: 'max_age',
      parse: (value) => (DIGITS.test(value) ? Number(value) : undefined),
      valid: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
    },
    providerScopes,
    providerQueryParams,
    claimNonce: codeOnly(textParameter('claim_nonce', /^[\u0021-\u007e]{1,512}$/)),
  },
  {
    conflictsOf,
    advice: SIGN_IN_ADVICE,
    defaults: ({ connectionId }) => (connectionId === undefined ? { provider: AUTHKIT } : {}),
    aliases: {},
  },
);

/** WorkOS accepts exactly one of provider and connection. An organization is accepted only with AuthKit. */
function conflictsOf({ connectionId, provider, organizationId, screenHint }: SignInOptions): string[] {
  const conflicts = [];
  const isAuthKit = provider === undefined || providerNamed(provider) === AUTHKIT;
  const withAuthKit = connectionId === undefined && isAuthKit;
  if (connectionId !== undefined && provider !== undefined)
    conflicts.push('connectionId and provider exclude each other');
  if (organizationId !== undefined && !withAuthKit) conflicts.push('organizationId goes with AuthKit only');
  if (screenHint !== undefined && !withAuthKit) conflicts.push('screenHint goes with AuthKit only');
  return conflicts;
}

/**
 * All parameters of `/sso/authorize`.
 *
 * @see https://workos.com/docs/reference/sso/get-authorization-url
 */
export const ssoParameters = parameterSet<SSOSignInOptions, 'organizationId' | 'connectionId'>(
  {
    organization: idParameter('organization', 'organizationId', 'organization_id'),
    connection: idParameter('connection', 'connectionId', 'connection_id'),
    provider: { ...provider, valid: (value) => provider.valid(value) && !isAuthKit(value) },
    domain: codeOnly({ ...domainHint, wire: 'domain' }),
    loginHint,
    domainHint,
    nonce: codeOnly(textParameter('nonce', /^[\u0021-\u007e]{1,256}$/)),
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

/** WorkOS accepts exactly one of them. Each sign-in checks at its start that there is one. */
function ssoConflictsOf({ organization, connection, provider, domain }: SSOSignInOptions): string[] {
  const selectors = [organization, connection, provider, domain].filter((value) => value !== undefined);
  return selectors.length > 1 ? ['organization, connection, provider and domain exclude each other'] : [];
}
