import type { Impersonator } from '@workos-inc/node';

/** One value, all of several, or one of several. Values match whole, never as a part of another. */
export type OneOrMore = string | readonly string[] | { readonly any: readonly string[] };

/** What a caller must have. Several keys must all hold. */
export interface Rule {
  /** Slug of a role, in the organization of the session. */
  role?: OneOrMore;
  /** Slug of a permission, such as `billing:read`. */
  permission?: OneOrMore;
  /** `true`: any organization. A string: that one, `org_…`. */
  organization?: true | string;
  entitlement?: OneOrMore;
  featureFlag?: OneOrMore;
  /** `false`: not in somebody else's name, by WorkOS's impersonation. */
  impersonation?: boolean;
}

/** What rules are about: what WorkOS vouched for. */
export interface Subject {
  readonly organizationId: string | undefined;
  readonly role: string | undefined;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly entitlements: readonly string[];
  readonly featureFlags: readonly string[];
  /** Who acts in the user's name, if WorkOS's impersonation is in use. */
  readonly impersonator: Impersonator | undefined;
}

type Test = (subject: Subject) => boolean;

const KEYS: Readonly<Record<keyof Rule, (wanted: unknown) => Test>> = {
  role: (wanted) => has(wanted, 'role', ({ role, roles }) => (role === undefined ? roles : [role, ...roles])),
  permission: (wanted) => has(wanted, 'permission', ({ permissions }) => permissions),
  organization: (wanted) => isIn(wanted),
  entitlement: (wanted) => has(wanted, 'entitlement', ({ entitlements }) => entitlements),
  featureFlag: (wanted) => has(wanted, 'featureFlag', ({ featureFlags }) => featureFlags),
  impersonation: (wanted) => mayImpersonate(wanted),
};

/**
 * Checks a rule once and returns what only applies it.
 *
 * @throws {TypeError} where the rule is written, if it has an unknown key or a value that could never mean anything:
 * a rule that silently demands nothing would let everybody in.
 */
export function compileRule(rule: Rule): Test {
  const tests = Object.entries(rule).map(([key, wanted]) => {
    if (!Object.hasOwn(KEYS, key))
      throw new TypeError(`unknown rule "${key}"; there are ${Object.keys(KEYS).join(', ')}`);
    return KEYS[key as keyof Rule](wanted);
  });
  return (subject) => tests.every((test) => test(subject));
}

function has(wanted: unknown, key: string, held: (subject: Subject) => readonly string[]): Test {
  const any = isAny(wanted) ? wanted.any : undefined;
  const given: unknown = any ?? (typeof wanted === 'string' ? [wanted] : wanted);
  if (!isTexts(given))
    throw new TypeError(`rule "${key}" must be a string, a list of strings, or { any: [...] }`);
  // A copy: who changes the list later must not change the guard.
  const values = [...given];
  return any === undefined
    ? (subject) => values.every((value) => held(subject).includes(value))
    : (subject) => values.some((value) => held(subject).includes(value));
}

function isIn(wanted: unknown): Test {
  if (wanted === true) return ({ organizationId }) => organizationId !== undefined;
  if (typeof wanted !== 'string' || wanted === '') {
    throw new TypeError('rule "organization" must be true or the id of an organization');
  }
  return ({ organizationId }) => organizationId === wanted;
}

function mayImpersonate(wanted: unknown): Test {
  if (typeof wanted !== 'boolean') throw new TypeError('rule "impersonation" must be true or false');
  return ({ impersonator }) => wanted || impersonator === undefined;
}

function isAny(value: unknown): value is { any: unknown } {
  return typeof value === 'object' && value !== null && Object.keys(value).join() === 'any';
}

/** Never empty: all of nothing would be everybody. */
function isTexts(values: unknown): values is readonly string[] {
  return (
    Array.isArray(values) &&
    values.length > 0 &&
    values.every((value) => typeof value === 'string' && value !== '')
  );
}
