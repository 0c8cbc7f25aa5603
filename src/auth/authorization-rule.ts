import type { Impersonator } from '@workos-inc/node';
import { types } from 'node:util';
import { closestName } from '../config/suggestions.js';
import type { FailedCondition } from '../events.js';

/**
 * One required value, a list of values that are all required, or a list of which `any` is enough. Values must match
 * exactly.
 */
export type OneOrMore = string | readonly string[] | { readonly any: readonly string[] };

/** Conditions on an authenticated principal. All keys must hold. */
export interface Rule {
  /** Slug of a role in the organization of the session. */
  role?: OneOrMore;
  /** Slug of a permission, such as `billing:read`. */
  permission?: OneOrMore;
  /** `true`: any organization. A string: the organization with this id, `org_…`. */
  organization?: true | string;
  entitlement?: OneOrMore;
  featureFlag?: OneOrMore;
  /** `false`: refuses sessions in which a WorkOS team member impersonates the user. */
  impersonation?: boolean;
}

/** The properties of a principal that rules test. WorkOS vouches for all of them. */
export interface Subject {
  readonly organizationId: string | undefined;
  readonly role: string | undefined;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly entitlements: readonly string[];
  readonly featureFlags: readonly string[];
  /** The WorkOS team member who acts as the user, if the session is impersonated. */
  readonly impersonator: Impersonator | undefined;
}

type Test = (subject: Subject) => boolean;

const TESTS: Readonly<Record<keyof Rule, (wanted: unknown) => Test>> = {
  role: (wanted) => has(wanted, 'role', ({ role, roles }) => (role === undefined ? roles : [role, ...roles])),
  permission: (wanted) => has(wanted, 'permission', ({ permissions }) => permissions),
  organization: (wanted) => isInOrganization(wanted),
  entitlement: (wanted) => has(wanted, 'entitlement', ({ entitlements }) => entitlements),
  featureFlag: (wanted) => has(wanted, 'featureFlag', ({ featureFlags }) => featureFlags),
  impersonation: (wanted) => mayBeImpersonated(wanted),
};

export const RULE_KEYS = Object.keys(TESTS);

/**
 * Checks a rule once and returns the function that applies it.
 *
 * @throws {TypeError} if the rule has an unknown key or a value that could never hold. A rule that silently required
 * nothing would let in every signed-in user.
 */
export function compileRule(rule: unknown): Test {
  const conditions = compileConditions(rule, RULE_KEYS);
  return (subject) => conditions.every(({ holds }) => holds(subject));
}

/** One key of a rule. */
export interface Condition {
  readonly holds: Test;
  /** For events. */
  readonly shown: FailedCondition;
}

/**
 * Checks a rule once and returns its conditions.
 *
 * @param known Keys that the error for an unknown key lists.
 * @throws {TypeError} as `compileRule` does.
 */
export function compileConditions(rule: unknown, known: readonly string[]): Condition[] {
  return Object.entries(ownEntriesOf(rule)).map(([key, wanted]) => {
    if (!Object.hasOwn(TESTS, key)) throw unknownKey(key, known);
    const holds = TESTS[key as keyof Rule](wanted);
    return { holds, shown: Object.freeze({ [key]: copyOf(wanted) }) };
  });
}

/** A copy, because the application may change its list later. */
function copyOf(wanted: unknown): unknown {
  if (isAny(wanted)) return Object.freeze({ any: Object.freeze(itemsOf(wanted.any)) });
  return Object.freeze(itemsOf(wanted)) ?? wanted;
}

/**
 * A copy of the rule without a prototype. Only a plain object is a rule. A promise, a `Map`, a class instance or a
 * `Proxy` could look like a rule that requires nothing, and so could an object with inherited, non-enumerable or symbol
 * keys.
 *
 * @throws {TypeError}
 */
export function ownEntriesOf(rule: unknown): Record<string, unknown> {
  if (rule === undefined) {
    throw new TypeError(
      'the rule is undefined: is its name misspelt? Leave the argument out to accept every user',
    );
  }
  if (!isPlainObject(rule)) throw new TypeError(`a rule must be a plain object or a function${hintOf(rule)}`);
  const own = Object.create(null) as Record<string, unknown>;
  for (const key of Reflect.ownKeys(rule)) {
    if (typeof key === 'symbol')
      throw new TypeError(`the key ${String(key)} of a rule is a symbol: use a string`);
    if (!Object.prototype.propertyIsEnumerable.call(rule, key))
      throw new TypeError(`rule "${key}" is not enumerable: write it in an object literal`);
    own[key] = (rule as Record<string, unknown>)[key];
    if (own[key] === undefined)
      throw new TypeError(`rule "${key}" is undefined: leave it out, or set it to what it requires`);
  }
  return own;
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && !types.isProxy(value);
}

function hintOf(rule: unknown): string {
  if (types.isProxy(rule))
    return ', and this is a Proxy, whose keys cannot be relied on: copy it into an object';
  if (isThenable(rule)) return ', and this is a promise: await it first';
  return `, as in requireAuth({ ${likelyRule(rule)} })`;
}

/** The rule that was probably meant by `requireAuth('admin')`, `requireAuth('billing:read')` and the like. */
function likelyRule(rule: unknown): string {
  const values = typeof rule === 'string' ? [rule] : itemsOf(rule);
  const isOneWord = (value: unknown) => typeof value === 'string' && /^[\w.:-]{1,64}$/.test(value);
  if (!values || values.length === 0 || !values.every(isOneWord)) return "role: 'admin'";
  const [first = ''] = values as string[];
  // A rule takes one organization only.
  if (first.startsWith('org_')) return `organization: '${first}'`;
  const key = first.includes(':') ? 'permission' : 'role';
  const quoted = values.map((value) => `'${String(value)}'`).join(', ');
  return typeof rule === 'string' ? `${key}: ${quoted}` : `${key}: [${quoted}]`;
}

function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null)?.then === 'function';
}

function unknownKey(key: string, known: readonly string[]): TypeError {
  const closest = closestName(key, known);
  const list = `he rules are ${known.join(', ')}`;
  const hint = closest === undefined ? `t${list}` : `did you mean ${closest}? T${list}`;
  return new TypeError(`unknown rule "${key.slice(0, 64)}": ${hint}`);
}

function has(wanted: unknown, key: string, held: (subject: Subject) => readonly string[]): Test {
  const any = isAny(wanted) ? wanted.any : undefined;
  const given: unknown = any ?? (typeof wanted === 'string' ? [wanted] : wanted);
  // A copy, so that a later change of the list does not change the guard.
  const values: readonly unknown[] | undefined = itemsOf(given);
  if (!isTexts(values))
    throw new TypeError(`rule "${key}" must be a string, a list of strings, or { any: [...] }`);
  return any === undefined
    ? (subject) => values.every((value) => held(subject).includes(value))
    : (subject) => values.some((value) => held(subject).includes(value));
}

function isInOrganization(wanted: unknown): Test {
  if (wanted === true) return ({ organizationId }) => organizationId !== undefined;
  if (typeof wanted !== 'string' || wanted === '') {
    throw new TypeError('rule "organization" must be true or the id of an organization');
  }
  return ({ organizationId }) => organizationId === wanted;
}

function mayBeImpersonated(wanted: unknown): Test {
  if (typeof wanted !== 'boolean') throw new TypeError('rule "impersonation" must be true or false');
  return ({ impersonator }) => wanted || impersonator === undefined;
}

function isAny(value: unknown): value is { any: unknown } {
  return isPlainObject(value) && Reflect.ownKeys(value).join() === 'any';
}

/**
 * The items of a list, holes included. They are read once, by index, so that what is checked is what is used: a list
 * with an iterator of its own could be empty for one reader and not for the next.
 *
 * @returns `undefined` for anything else, such as a `Proxy`, whose items can change with each read.
 */
export function itemsOf(list: unknown): unknown[] | undefined {
  if (!Array.isArray(list) || types.isProxy(list)) return undefined;
  return Array.from({ length: list.length }, (_, index): unknown => list[index]);
}

/** Not empty: a condition on every value of an empty list holds for every user. */
function isTexts(values: readonly unknown[] | undefined): values is readonly string[] {
  return (
    values !== undefined &&
    values.length > 0 &&
    values.every((value) => typeof value === 'string' && value !== '')
  );
}
