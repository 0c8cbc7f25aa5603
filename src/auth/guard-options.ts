import type { IncomingMessage, ServerResponse } from 'node:http';
import { canParse } from '../can-parse.js';
import type { FailedCondition } from '../events.js';
import type { Next } from '../http/middleware.js';
import type { AuthType, Principal } from './principal.js';
import { compileConditions, itemsOf, ownEntriesOf, type Rule, RULE_KEYS } from './authorization-rule.js';

/**
 * A condition in code. The request passes only if the function returns `true` or a promise of `true`. If the guard
 * accepts sessions, those of `sso()` are passed to it too.
 */
export type Check<A extends AuthType = 'session'> = (
  auth: Extract<Principal, { type: A | ('session' extends A ? 'sso' : never) }>,
  req: IncomingMessage,
) => boolean | Promise<boolean>;

/** Responds instead of the guard. Like a middleware, it sends a response or calls `next` with an error. */
export type Unauthenticated = (req: IncomingMessage, res: ServerResponse, next: Next) => unknown;

/** The conditions of a guard. All keys must hold. */
export interface GuardRule<A extends AuthType = 'session'> extends Omit<Rule, 'organization'> {
  /**
   * `true`: any organization. A string: the one with this id. A function: the one whose id it returns for the request.
   */
  organization?: true | string | ((req: IncomingMessage) => string | undefined);
  /** Maximum time since the user last authenticated, in seconds. */
  maxAge?: number;
  /**
   * The accepted credentials; default `['session']`. `session` is a browser's session cookie. `bearer` is an access
   * token and `apiKey` an API key, both in `Authorization: Bearer`. If a request has a token, a guard that accepts
   * tokens ignores its cookies. A guard that accepts only sessions ignores `Authorization`.
   */
  accepts?: readonly A[];
  /**
   * What to do with an unauthenticated request: `redirect` to sign-in, `respond` with 401, or call a function that
   * responds. By default, page loads are redirected and other requests get 401.
   */
  unauthenticated?: 'redirect' | 'respond' | Unauthenticated;
  /**
   * Whether a request with a session cookie and an unsafe method must come from this origin, or from one of the listed
   * origins. Default `false`: `SameSite=Lax` stops requests from other sites, but not from other hosts of the same
   * registrable domain.
   */
  sameOrigin?: boolean | readonly string[];
  check?: Check<A>;
}

/** Tests the conditions of a guard. If they do not all hold, the result is the first one that fails. */
export type Test = (
  principal: Principal,
  req: IncomingMessage,
) => 'holds' | FailedCondition | Promise<'holds' | FailedCondition>;

/** A {@link GuardRule} that has been checked. */
export interface CompiledGuardRule {
  readonly accepts: ReadonlySet<AuthType>;
  readonly test: Test;
  readonly maxAge: number | undefined;
  /** Trusted origins besides this one, or `undefined` if requests from every origin are accepted. */
  readonly sameOrigin: readonly string[] | undefined;
  readonly unauthenticated: 'redirect' | 'respond' | Unauthenticated | undefined;
}

/** The credentials that a kind of guard supports, and those that it accepts by default. */
export interface AcceptedTypes {
  readonly supported: readonly AuthType[];
  readonly defaults: readonly AuthType[];
}

/** Keys of a guard's rule that `has()` does not take. */
const GUARD_KEYS = ['maxAge', 'check', 'accepts', 'sameOrigin', 'unauthenticated'];

/**
 * Checks a rule once, when the guard is created.
 *
 * @throws {TypeError} when the route is defined, if the rule is not a plain object or a function, has an unknown key,
 * contradicts itself, or could never hold.
 */
export function compileGuardRule(given: unknown, { supported, defaults }: AcceptedTypes): CompiledGuardRule {
  const own = typeof given === 'function' ? { check: given } : ownEntriesOf(given);
  // A copy without a prototype: a polluted Object.prototype adds no keys.
  const rule = Object.assign(Object.create(null), own) as GuardRule<AuthType>;
  copyLists(rule);
  const { maxAge, accepts = defaults, unauthenticated, sameOrigin, check, organization, ...others } = rule;
  checkAccepts(accepts, supported);
  checkGuardKeys(rule);
  checkSense(rule, accepts);
  return {
    // `session` and `sso` are both session cookies.
    accepts: new Set(accepts.includes('session') ? [...accepts, 'sso'] : accepts),
    test: compileTest({ organization, check, others }),
    maxAge,
    sameOrigin: originsOf(sameOrigin),
    unauthenticated,
  };
}

/** Replaces lists by copies, which the checks and the guard read. One that cannot be copied is refused by the checks. */
function copyLists(rule: object): void {
  const lists = rule as Record<'accepts' | 'sameOrigin', unknown>;
  for (const key of ['accepts', 'sameOrigin'] as const) {
    if (Array.isArray(lists[key])) lists[key] = itemsOf(lists[key]) ?? null;
  }
}

function originsOf(sameOrigin: GuardRule['sameOrigin']): readonly string[] | undefined {
  if (typeof sameOrigin === 'object') return [...sameOrigin];
  return sameOrigin === true ? [] : undefined;
}

function checkAccepts(accepts: unknown, supported: readonly AuthType[]): void {
  const isList =
    Array.isArray(accepts) &&
    accepts.length > 0 &&
    Array.from<unknown>(accepts).every((one) => supported.includes(one as AuthType));
  if (!isList) throw new TypeError(`rule "accepts" must be a list of ${supported.join(', ')}`);
}

function checkGuardKeys({ maxAge, unauthenticated, sameOrigin, check }: GuardRule<AuthType>): void {
  if (maxAge !== undefined && !isAge(maxAge))
    throw new TypeError('rule "maxAge" must be a number of seconds');
  if (!(
    unauthenticated === undefined ||
    unauthenticated === 'redirect' ||
    unauthenticated === 'respond' ||
    typeof unauthenticated === 'function'
  ))
    throw new TypeError('rule "unauthenticated" must be "redirect", "respond" or a function');
  if (!(
    sameOrigin === undefined ||
    typeof sameOrigin === 'boolean' ||
    (Array.isArray(sameOrigin) && Array.from<unknown>(sameOrigin).every(isOrigin))
  ))
    throw new TypeError(
      'rule "sameOrigin" must be true, false or a list of origins, such as "https://app.example.com"',
    );
  if (check !== undefined && typeof check !== 'function')
    throw new TypeError('rule "check" must be a function');
}

export function isAge(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isOrigin(value: unknown): boolean {
  return typeof value === 'string' && canParse(value) && new URL(value).origin === value && value !== 'null';
}

/** Keys that can never hold for principals of a type, because WorkOS has no such data about them. */
const NEVER: Readonly<Partial<Record<AuthType, readonly string[]>>> = {
  apiKey: ['role', 'entitlement', 'featureFlag', 'impersonation', 'maxAge'],
  machine: ['impersonation', 'maxAge'],
};

/** Refuses a condition that no accepted principal can meet, or that is never tested. */
function checkSense(rule: GuardRule<AuthType>, accepts: readonly AuthType[]): void {
  const impossible = Object.keys(rule).find((key) => accepts.every((type) => NEVER[type]?.includes(key)));
  if (impossible !== undefined)
    throw new TypeError(`rule "${impossible}" is about users, and "accepts" lists no type with a user`);
  if (accepts.includes('session')) return;
  if (rule.sameOrigin !== undefined)
    throw new TypeError('rule "sameOrigin" is about cookies, and "accepts" does not list "session"');
  if (rule.unauthenticated === 'redirect')
    throw new TypeError('rule "unauthenticated" redirects to sign-in, and "accepts" does not list "session"');
}

function compileTest({
  organization,
  check,
  others,
}: {
  organization: GuardRule['organization'] | undefined;
  check: Check<AuthType> | undefined;
  others: object;
}): Test {
  const organizationOf = typeof organization === 'function' ? organization : undefined;
  const isFixed = organization !== undefined && organizationOf === undefined;
  const conditions = compileConditions({ ...others, ...(isFixed ? { organization } : {}) }, [
    ...RULE_KEYS,
    ...GUARD_KEYS,
  ]);
  const failedOrganization = Object.freeze({ organization: nameOf(organizationOf) });
  const failedCheck = Object.freeze({ check: nameOf(check) });
  return (principal, req) => {
    for (const { holds, shown } of conditions) if (!holds(principal)) return shown;
    if (organizationOf && !isMember(principal, organizationOf(req))) return failedOrganization;
    if (!check) return 'holds';
    // Only `true` lets a request pass. An error object, for example, does not.
    const toResult = (value: unknown) => (value === true ? 'holds' : failedCheck);
    const result: unknown = check(principal, req);
    return isThenable(result) ? Promise.resolve(result).then(toResult) : toResult(result);
  };
}

/** A class or an application can give a function any value as its name. */
function nameOf(given: ((...args: never) => unknown) | undefined): string {
  const name: unknown = given?.name;
  return typeof name === 'string' && name !== '' ? name.slice(0, 64) : 'anonymous';
}

function isMember({ organizationId }: Principal, wanted: string | undefined): boolean {
  return organizationId !== undefined && organizationId === wanted;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}
