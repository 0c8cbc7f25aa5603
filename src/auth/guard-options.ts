import type { IncomingMessage, ServerResponse } from 'node:http';
import { isOrigin } from '../config/origins.js';
import type { FailedCondition } from '../diagnostics.js';
import type { Next } from '../http/handler-to-middleware.js';
import type { AuthType, Principal } from './principal.js';
import {
  compileConditions,
  itemsOf,
  ownEntriesOf,
  type Rule,
  RULE_KEYS,
} from './role-and-permission-rule.js';

/**
 * A function that decides whether a request may pass. Use it for conditions that a rule cannot express. The request
 * passes only if the function returns `true`, or a promise that resolves to `true`. If the guard accepts `session`,
 * `auth` can also be a user who is signed in through `sso()`.
 */
export type Check<A extends AuthType = 'session'> = (
  auth: Extract<Principal, { type: A | ('session' extends A ? 'sso' : never) }>,
  req: IncomingMessage,
) => boolean | Promise<boolean>;

/**
 * A function that responds to unauthenticated requests in place of the guard. Like any middleware, it either sends a
 * response or calls `next` with an error.
 */
export type Unauthenticated = (req: IncomingMessage, res: ServerResponse, next: Next) => unknown;

/**
 * The options of a guard: the credentials that it accepts, the conditions that it tests and its response to
 * unauthenticated requests. A request passes only if it meets all conditions.
 */
export interface GuardRule<A extends AuthType = 'session'> extends Omit<Rule, 'organization'> {
  /**
   * The organization that the principal must be in. `true` accepts any organization. A string accepts only the
   * organization with that ID. A function receives the request and returns the ID of the required organization. If it
   * returns `undefined`, the request is denied.
   */
  organization?: true | string | ((req: IncomingMessage) => string | undefined);
  /** The maximum time that may have passed since the user last authenticated, in seconds. */
  maxAge?: number;
  /**
   * The types of credentials that the guard accepts. The default is `['session']`, or `['bearer']` for the guard of a
   * protected resource. `session` is a session cookie. All other types are sent in the `Authorization: Bearer` header:
   * `bearer` is a user's access token, `apiKey` is an API key, and `machine` is an access token from the client
   * credentials grant, which only protected resources support.
   *
   * If a request has both an `Authorization: Bearer` header and a session cookie, a guard that accepts any of these
   * other types ignores the cookie. A guard that accepts only sessions ignores the `Authorization` header.
   */
  accepts?: readonly A[];
  /**
   * How the guard responds to an unauthenticated request. `redirect` redirects it to sign-in, `respond` sends a 401
   * response, and a function sends its own response. By default, page loads are redirected, and all other requests
   * receive a 401 response.
   */
  unauthenticated?: 'redirect' | 'respond' | Unauthenticated;
  /**
   * Whether a request with a session cookie and an unsafe method, such as POST, must come from the application's own
   * origin. A list additionally allows requests from the origins in that list. An http origin in the list must be on
   * this machine, unless `allowInsecureHttp` is set. The default is `false`. The cookie attribute `SameSite=Lax` already
   * protects against unsafe requests from other sites, but not against those from other hosts of the same registrable
   * domain.
   */
  sameOrigin?: boolean | readonly string[];
  check?: Check<A>;
}

/**
 * Tests whether a principal meets all conditions of a guard. Returns `holds` if it does, and otherwise the first
 * condition that the principal does not meet.
 */
export type Test = (
  principal: Principal,
  req: IncomingMessage,
) => 'holds' | FailedCondition | Promise<'holds' | FailedCondition>;

/** A {@link GuardRule} after validation. */
export interface CompiledGuardRule {
  readonly accepts: ReadonlySet<AuthType>;
  readonly test: Test;
  readonly maxAge: number | undefined;
  /**
   * Origins that are trusted in addition to the application's own origin, or `undefined` if all origins are accepted.
   */
  readonly sameOrigin: readonly string[] | undefined;
  readonly unauthenticated: 'redirect' | 'respond' | Unauthenticated | undefined;
}

/** The credential types that a kind of guard supports, and the types that it accepts by default. */
export interface AcceptedTypes {
  readonly supported: readonly AuthType[];
  readonly defaults: readonly AuthType[];
}

/** Keys that are valid in a guard's rule, but not in a rule for `has()`. */
const GUARD_KEYS = ['maxAge', 'check', 'accepts', 'sameOrigin', 'unauthenticated'];

/**
 * Validates the rule of a guard when the guard is created.
 *
 * @throws {TypeError} if the rule is neither a plain object nor a function, has an unknown key or an invalid value,
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
    // A guard that accepts `session` also accepts session cookies that were set by `sso()`.
    accepts: new Set(accepts.includes('session') ? [...accepts, 'sso'] : accepts),
    test: compileTest({ organization, check, others }),
    maxAge,
    sameOrigin: originsOf(sameOrigin),
    unauthenticated,
  };
}

/**
 * Replaces the lists in a rule with copies, so that the guard uses exactly the lists that are validated. A list that
 * cannot be copied safely is replaced with `null`, which fails validation.
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

/**
 * For each credential type, the conditions that its principals can never meet, because WorkOS has no such data about
 * them.
 */
const NEVER: Readonly<Partial<Record<AuthType, readonly string[]>>> = {
  apiKey: ['role', 'entitlement', 'featureFlag', 'impersonation', 'maxAge'],
  machine: ['impersonation', 'maxAge'],
};

/** Throws if no accepted principal can meet a condition, or if an option would never have an effect. */
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
    // Only `true` lets a request pass. Other truthy values, such as an error object, do not.
    const toResult = (value: unknown) => (value === true ? 'holds' : failedCheck);
    const result: unknown = check(principal, req);
    return isThenable(result) ? Promise.resolve(result).then(toResult) : toResult(result);
  };
}

/**
 * Returns the name of a function for use in events. The function's `name` is not always a string, because a class can
 * define a static property called `name`.
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
