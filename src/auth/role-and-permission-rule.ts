import type { Impersonator } from '@workos-inc/node';
import { types } from 'node:util';
import { closestName } from '../config/did-you-mean.js';
import type { FailedCondition } from '../diagnostics.js';

/**
 * The values that a condition requires. A string is one required value. A list requires all of its values, and `{ any:
 * [...] }` requires at least one of them. Values must match exactly: prefixes and wildcards are not supported.
 */
export type OneOrMore = string | readonly string[] | { readonly any: readonly string[] };

/** The conditions of a rule. An authenticated principal must meet all of them. */
export interface Rule {
  /** Slugs of the roles that the principal must have in its organization. */
  role?: OneOrMore;
  /** Slugs of the permissions that the principal must have, such as `billing:read`. */
  permission?: OneOrMore;
  /**
   * The organization that the principal must be in. `true` accepts any organization. A string accepts only the
   * organization with that ID (`org_…`).
   */
  organization?: true | string;
  entitlement?: OneOrMore;
  featureFlag?: OneOrMore;
  /**
   * `false` refuses sessions in which a member of your WorkOS team is impersonating the user. By default, such sessions
   * are accepted.
   */
  impersonation?: boolean;
}

/** The data about a principal that rules are tested against. All of it comes from WorkOS. */
export interface Subject {
  readonly organizationId: string | undefined;
  readonly role: string | undefined;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly entitlements: readonly string[];
  readonly featureFlags: readonly string[];
  /** The member of your WorkOS team who is impersonating the user, if any. */
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
 * Validates a rule and returns a function that tests a principal against it.
 *
 * @throws {TypeError} if the rule has an unknown key or an invalid value. Without this validation, a rule with a
 * mistake might require nothing and let in every signed-in user.
 */
export function compileRule(rule: unknown): Test {
  const conditions = compileConditions(rule, RULE_KEYS);
  return (subject) => conditions.every(({ holds }) => holds(subject));
}

/** One condition of a rule. */
export interface Condition {
  readonly holds: Test;
  /** The condition as it appears in events. */
  readonly shown: FailedCondition;
}

/**
 * Validates a rule and returns its conditions.
 *
 * @param known The valid keys. The error message for an unknown key lists them.
 * @throws {TypeError} for the same reasons as `compileRule`.
 */
export function compileConditions(rule: unknown, known: readonly string[]): Condition[] {
  return Object.entries(ownEntriesOf(rule)).map(([key, wanted]) => {
    if (!Object.hasOwn(TESTS, key)) throw unknownKey(key, known);
    const holds = TESTS[key as keyof Rule](wanted);
    return { holds, shown: Object.freeze({ [key]: copyOf(wanted) }) };
  });
}

/** Copies the value that a condition requires, because the application may modify its list later. */
function copyOf(wanted: unknown): unknown {
  if (isAny(wanted)) return Object.freeze({ any: Object.freeze(itemsOf(wanted.any)) });
  return Object.freeze(itemsOf(wanted)) ?? wanted;
}

/**
 * Copies a rule to an object without a prototype. A rule must be a plain object with enumerable string keys. Anything
 * else, such as a promise, a `Map`, a class instance or a `Proxy`, could look like a rule without conditions.
 *
 * @throws {TypeError} if the rule is not a plain object, if a key is a symbol or not enumerable, or if a value is
 * `undefined`.
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

/**
 * Guesses which rule the developer meant with a call such as `requireAuth('admin')` or `requireAuth('billing:read')`.
 */
function likelyRule(rule: unknown): string {
  const values = typeof rule === 'string' ? [rule] : itemsOf(rule);
  const isOneWord = (value: unknown) => typeof value === 'string' && /^[\w.:-]{1,64}$/.test(value);
  if (!values || values.length === 0 || !values.every(isOneWord)) return "role: 'admin'";
  const [first = ''] = values as string[];
  // The `organization` condition takes only one ID.
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
  // The list is copied, so the guard does not change if the application modifies its list later.
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
 * Copies the items of an array. Holes become `undefined`. Each item is read exactly once, so the items that are checked
 * are also the items that are used. Items are read by index, because a custom iterator could return different items
 * each time.
 *
 * @returns The copy, or `undefined` if `list` is not an array or is a `Proxy`, whose items can change on each read.
 */
export function itemsOf(list: unknown): unknown[] | undefined {
  if (!Array.isArray(list) || types.isProxy(list)) return undefined;
  return Array.from({ length: list.length }, (_, index): unknown => list[index]);
}

/**
 * Whether `values` is a non-empty list of non-empty strings. An empty list is not valid, because every user would meet
 * a condition that requires no values.
 */
function isTexts(values: readonly unknown[] | undefined): values is readonly string[] {
  return (
    values !== undefined &&
    values.length > 0 &&
    values.every((value) => typeof value === 'string' && value !== '')
  );
}
