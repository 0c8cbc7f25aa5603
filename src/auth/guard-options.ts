import type { IncomingMessage, ServerResponse } from 'node:http';
import { canParse } from '../can-parse.js';
import type { FailedCondition } from '../events.js';
import type { Next } from '../http/handler-to-middleware.js';
import type { AuthType, Principal } from './principal.js';
import { compileConditions, itemsOf, ownEntriesOf, type Rule, RULE_KEYS } from './authorization-rule.js';

/**
 * A function that decides whether a request may pass, for conditions that a rule cannot express. The request passes
 * only if the function returns `true`, or a promise that resolves to `true`. If the guard accepts sessions, `auth` can
 * also be a session of `sso()`.
 */
export type Check<A extends AuthType = 'session'> = (
  auth: Extract<Principal, { type: A | ('session' extends A ? 'sso' : never) }>,
  req: IncomingMessage,
) => boolean | Promise<boolean>;

/**
 * A function that responds to an unauthenticated request instead of the guard. Like a middleware, it sends a response
 * or calls `next` with an error.
 */
export type Unauthenticated = (req: IncomingMessage, res: ServerResponse, next: Next) => unknown;

/** The conditions that a guard tests, and how it responds. If there are several conditions, all of them must be met. */
export interface GuardRule<A extends AuthType = 'session'> extends Omit<Rule, 'organization'> {
  /**
   * The organization that the principal must be in. `true` accepts any organization. A string accepts only the
   * organization with this ID. A function returns the required ID for the request.
   */
  organization?: true | string | ((req: IncomingMessage) => string | undefined);
  /** Maximum time since the user last authenticated, in seconds. */
  maxAge?: number;
  /**
   * The credentials that the guard accepts. Default `['session']`. `session` is a browser's session cookie. `bearer` is
   * an access token and `apiKey` is an API key, both in the `Authorization: Bearer` header. If a request has a token, a
   * guard that accepts tokens ignores its cookies. A guard that accepts only sessions ignores the `Authorization`
   * header.
   */
  accepts?: readonly A[];
  /**
   * What to do with an unauthenticated request: `redirect` to sign-in, `respond` with 401, or call a function that
   * responds. By default, page loads are redirected and other requests get 401.
   */
  unauthenticated?: 'redirect' | 'respond' | Unauthenticated;
  /**
   * Whether a request with a session cookie and an unsafe method, such as POST, must come from this origin or from one
   * of the listed origins. Default `false`. `SameSite=Lax` already blocks such requests from other sites, but not from
   * other hosts of the same registrable domain.
   */
  sameOrigin?: boolean | readonly string[];
  check?: Check<A>;
}

/** Tests whether a principal meets the conditions of a guard. If not, the result is the first condition that failed. */
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

/** Keys of a guard's rule that `has()` does not accept. */
const GUARD_KEYS = ['maxAge', 'check', 'accepts', 'sameOrigin', 'unauthenticated'];

/**
 * Checks a rule once, when the guard is created.
 *
 * @throws {TypeError} when the route is defined, if the rule is not a plain object or a function, has an unknown key,
 * contradicts itself, or can never be met.
 */
export function compileGuardRule(given: unknown, { supported, defaults }: AcceptedTypes): CompiledGuardRule {
  const own = typeof given === 'function' ? { check: given } : ownEntriesOf(given);
  // The copy has no prototype, so a polluted `Object.prototype` cannot add keys.
  const rule = Object.assign(Object.create(null), own) as GuardRule<AuthType>;
  copyLists(rule);
  const { maxAge, accepts = defaults, unauthenticated, sameOrigin, check, organization, ...others } = rule;
  checkAccepts(accepts, supported);
  checkGuardKeys(rule);
  checkSense(rule, accepts);
  return {
    // A guard that accepts `session` also accepts the session cookies of `sso()`.
    accepts: new Set(accepts.includes('session') ? [...accepts, 'sso'] : accepts),
    test: compileTest({ organization, check, others }),
    maxAge,
    sameOrigin: originsOf(sameOrigin),
    unauthenticated,
  };
}

/**
 * Replaces the lists in a rule with copies, which both the checks and the guard read. A list that cannot be copied is
 * replaced with `null`, which the checks refuse.
 */
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

/** Conditions that principals of a type can never meet, because WorkOS has no such data about them. */
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

/**
 * The name of a function, for events. It may be something other than a string: a class can have a static property
 * `name`.
 */
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
