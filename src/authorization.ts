import { AuthKitError } from './errors.js';
import type { SignInOptions } from './options.js';

/** WorkOS's hosted sign-in, as opposed to an OAuth provider behind it. */
const AUTHKIT = 'authkit';

interface Parameter {
  /** The name in WorkOS's authorization URL. */
  readonly wire: string;
  /** Reads one value of a query; `undefined` if it is malformed. */
  readonly parse: (text: string) => unknown;
  /** Whether a value from code has the form that WorkOS takes. */
  readonly valid: (value: unknown) => boolean;
}

const matching = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);
const text = (wire: string, pattern: RegExp): Parameter => ({
  wire,
  parse: (value) => value,
  valid: matching(pattern),
});

const ID = /^[\w-]{1,128}$/;

const ONE_LINE = /^[^\u0000-\u001f\u007f]{1,320}$/;
const SCOPE = /^[\u0021\u0023-\u005b\u005d-\u007e]{1,256}$/;
const DIGITS = /^\d{1,9}$/;

/** Everything that a sign-in may ask, in the order in which it is sent. The compiler keeps it complete. */
const PARAMETERS: Readonly<Record<keyof SignInOptions, Parameter>> = {
  provider: text('provider', /^(?:authkit|[A-Z][A-Za-z]{1,40}OAuth)$/),
  connectionId: text('connection_id', ID),
  organizationId: text('organization_id', ID),
  loginHint: text('login_hint', ONE_LINE),
  domainHint: text('domain_hint', /^[A-Za-z0-9.-]{1,253}$/),
  screenHint: text('screen_hint', /^sign-(?:in|up)$/),
  prompt: text('prompt', /^(?:login|consent|none|select_account)$/),
  invitationToken: text('invitation_token', /^[\w.-]{1,512}$/),
  maxAge: {
    wire: 'max_age',
    parse: (value) => (DIGITS.test(value) ? Number(value) : undefined),
    valid: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  },
  providerScopes: {
    wire: 'provider_scopes',
    parse: (value) => value.split(/[ ,]/),
    valid: (value) =>
      Array.isArray(value) && value.length > 0 && value.length <= 50 && value.every(matching(SCOPE)),
  },
};

const NAMES = Object.keys(PARAMETERS) as (keyof SignInOptions)[];

/** What is wrong with sign-in options from code, one sentence each. */
export function problemsOf(options: Readonly<Record<string, unknown>>): string[] {
  const problems = Object.keys(options)
    .filter((name) => !Object.hasOwn(PARAMETERS, name))
    .map((name) => `unknown sign-in option "${name}"`);
  for (const name of NAMES) {
    if (options[name] !== undefined && !PARAMETERS[name].valid(options[name]))
      problems.push(`${name} is malformed`);
  }
  return [...problems, ...conflictsOf(options)];
}

/** WorkOS takes exactly one selector; AuthKit is the one that an organization accompanies. */
function conflictsOf({ connectionId, provider, organizationId, screenHint }: SignInOptions): string[] {
  const conflicts = [];
  const withAuthKit = connectionId === undefined && (provider ?? AUTHKIT) === AUTHKIT;
  if (connectionId !== undefined && provider !== undefined)
    conflicts.push('connectionId and provider exclude each other');
  if (organizationId !== undefined && !withAuthKit) conflicts.push('organizationId goes with AuthKit only');
  if (screenHint !== undefined && !withAuthKit) conflicts.push('screenHint goes with AuthKit only');
  return conflicts;
}

/**
 * Reads sign-in options out of a query, in camelCase or WorkOS's snake_case.
 *
 * @param pinned What the application fixed: dropped from the query before anything looks at it.
 * @throws {AuthKitError} `invalid_request` or `invalid_provider`; nothing of the query is in the message.
 */
export function parseSignIn(params: URLSearchParams, pinned: SignInOptions): SignInOptions {
  const asked: Record<string, unknown> = {};
  for (const name of NAMES) {
    const value = pinned[name] === undefined ? single(params, name, PARAMETERS[name].wire) : undefined;
    if (value === undefined) continue;
    const parsed = PARAMETERS[name].parse(value);
    if (!PARAMETERS[name].valid(parsed)) throw malformed(name);
    asked[name] = parsed;
  }
  return withPinned(asked, pinned);
}

/** Pinned options win; the result is free of conflicts. */
export function withPinned(asked: SignInOptions, pinned: SignInOptions): SignInOptions {
  const options = { ...asked, ...pinned };
  const [problem] = problemsOf(options);
  if (problem !== undefined) throw new AuthKitError('invalid_request', problem);
  return options;
}

/**
 * The one value of a parameter that has two spellings.
 *
 * @throws {AuthKitError} `invalid_request` if it is repeated (RFC 6749 section 3.1).
 */
export function single(params: URLSearchParams, ...names: readonly string[]): string | undefined {
  const values = [...new Set(names)].flatMap((name) => params.getAll(name));
  if (values.length > 1) throw new AuthKitError('invalid_request', `${names[0] ?? ''} is repeated`);
  return values[0] === '' ? undefined : values[0];
}

function malformed(name: keyof SignInOptions): AuthKitError {
  const code = name === 'provider' ? 'invalid_provider' : 'invalid_request';
  return new AuthKitError(code, `${name} is malformed`);
}

/**
 * The query of WorkOS's authorization URL.
 *
 * @see https://workos.com/docs/reference/authkit/authentication/get-authorization-url
 */
export function authorizationQuery(
  options: SignInOptions,
  protocol: Readonly<Record<string, string>>,
): URLSearchParams {
  const params = new URLSearchParams({ response_type: 'code', ...protocol });
  if (options.connectionId === undefined) params.set('provider', options.provider ?? AUTHKIT);
  for (const name of NAMES) {
    const value = options[name];
    if (value === undefined || name === 'provider') continue;
    for (const item of [value].flat()) params.append(PARAMETERS[name].wire, String(item));
  }
  return params;
}
