import { AuthKitError } from '../errors.js';

/** How one option of a sign-in is read, checked and sent. */
export interface Parameter {
  /** The name in WorkOS's authorization URL. */
  readonly wire: string;
  /** Further names in a query, beside the option's own and `wire`. */
  readonly names?: readonly string[];
  /** Reads one value of a query; `undefined` if it is malformed. Without it, the option is for code alone. */
  readonly parse?: (text: string) => unknown;
  /** Whether a value has the form that WorkOS takes. */
  readonly valid: (value: unknown) => boolean;
  /** What is sent; default the value, or each item of a list, under `wire`. */
  readonly write?: (value: unknown) => readonly (readonly [name: string, value: string])[];
}

/** What is wrong with an option, or between several. */
interface Problem {
  readonly name?: string;
  readonly text: string;
}

/** Everything that can be asked of one of WorkOS's authorization endpoints. */
export interface ParameterSet<Options extends object> {
  /** Options that a query may carry. */
  readonly names: readonly string[];
  /** What is wrong with options from code, one sentence each. */
  problemsOf: (options: object) => string[];
  /**
   * Reads options out of a query, in camelCase or WorkOS's snake_case.
   *
   * @param pinned What the application fixed: dropped from the query before anything looks at it.
   * @param taken Names of the options that the query may carry; others are ignored.
   * @throws {AuthKitError} `invalid_request` or `invalid_provider`; nothing of the query is in the message.
   */
  parse: (params: URLSearchParams, pinned: Options, taken: ReadonlySet<string>) => Options;
  /** Pinned options win; the result is free of conflicts. */
  withPinned: (asked: Options, pinned: Options) => Options;
  /** The query of the authorization URL. */
  query: (options: Options, protocol: Readonly<Record<string, string>>) => URLSearchParams;
}

/**
 * @param rows In the order in which they are sent. The compiler keeps them complete.
 * @param conflictsOf Which options exclude each other.
 * @param defaults What is sent unless an option says otherwise.
 */
export function parameterSet<Options extends object>(
  rows: Readonly<Record<keyof Options & string, Parameter>>,
  conflictsOf: (options: Options) => string[],
  defaults: (options: Options) => Readonly<Record<string, string>> = () => ({}),
): ParameterSet<Options> {
  const all = Object.entries<Parameter>(rows);
  const problemsOf = (options: Values): Problem[] => {
    const unknown = Object.keys(options).filter((name) => !Object.hasOwn(rows, name));
    const malformed = all.filter(([name, { valid }]) => options[name] !== undefined && !valid(options[name]));
    return [
      ...unknown.map((name) => ({ text: `unknown sign-in option "${name.slice(0, 64)}"` })),
      ...malformed.map(([name]) => ({ name, text: `${name} is malformed` })),
      ...conflictsOf(options as Options).map((text) => ({ text })),
    ];
  };
  return {
    names: all.filter(([, { parse }]) => parse !== undefined).map(([name]) => name),
    problemsOf: (options) => problemsOf(options as Values).map(({ text }) => text),
    parse: (params, pinned, taken) =>
      parse(
        all.filter(([name]) => taken.has(name) && (pinned as Values)[name] === undefined),
        params,
      ) as Options,
    withPinned(asked, pinned) {
      const options = { ...asked, ...pinned };
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

function parse(rows: readonly [string, Parameter][], params: URLSearchParams): Values {
  const asked: Record<string, unknown> = {};
  for (const [name, { wire, names = [], parse: read, valid }] of rows) {
    const value = read && single(params, name, wire, ...names);
    if (value === undefined) continue;
    asked[name] = read?.(value);
    if (!valid(asked[name])) throw refusal({ name, text: `${name} is malformed` });
  }
  return asked;
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

/**
 * The one value of a parameter that has several spellings.
 *
 * @throws {AuthKitError} `invalid_request` if it is repeated (RFC 6749 section 3.1).
 */
export function single(params: URLSearchParams, ...names: readonly string[]): string | undefined {
  const values = [...new Set(names)].flatMap((name) => params.getAll(name));
  if (values.length > 1) throw new AuthKitError('invalid_request', `${names[0] ?? ''} is repeated`);
  return values[0] === '' ? undefined : values[0];
}
