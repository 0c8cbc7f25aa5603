import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Next } from '../http/middleware.js';
import type { AuthType, Principal } from './principal.js';
import { compileRule, type Rule } from './rule.js';

/** Decides by itself; anything but `true` is no. Where sessions are accepted, those of `sso()` are too. */
export type Check<A extends AuthType = 'session'> = (
  auth: Extract<Principal, { type: A | ('session' extends A ? 'sso' : never) }>,
  req: IncomingMessage,
) => boolean | Promise<boolean>;

/** Answers in the guard's place, as a middleware does: it sends an answer, or calls `next` with an error. */
export type Unauthenticated = (req: IncomingMessage, res: ServerResponse, next: Next) => unknown;

/** What `requireAuth` asks for. Several keys must all hold. */
export interface GuardRule<A extends AuthType = 'session'> extends Omit<Rule, 'organization'> {
  /** `true`: any organization. A string: that one. A function: the one that this request is about. */
  organization?: true | string | ((req: IncomingMessage) => string | undefined);
  /** Longest time since the person last authenticated, in seconds. */
  maxAge?: number;
  /**
   * How a caller may prove who they are, default `['session']`: by the cookie of a browser, an access token or an API
   * key in `Authorization: Bearer`. A request that brings a token is judged by the token alone.
   */
  accepts?: readonly A[];
  /**
   * What happens to a request that nobody is signed in on: `redirect` to sign-in, `respond` with 401, or a function
   * that answers. Without it, page loads are redirected and everything else gets 401.
   */
  unauthenticated?: 'redirect' | 'respond' | Unauthenticated;
  /**
   * Whether a request that changes something by way of a cookie must come from this origin, or from one of those
   * listed. Default `false`: `SameSite=Lax` keeps other sites out, but not those under the same domain.
   */
  sameOrigin?: boolean | readonly string[];
  check?: Check<A>;
}

/** What a request must meet, beyond being of somebody. */
export type Test = (caller: Principal, req: IncomingMessage) => boolean | Promise<boolean>;

/** A {@link GuardRule}, checked. */
export interface CompiledGuardRule {
  readonly accepts: ReadonlySet<AuthType>;
  readonly test: Test;
  readonly maxAge: number | undefined;
  /** Origins trusted beside our own; `undefined` if the origin does not matter. */
  readonly sameOrigin: readonly string[] | undefined;
  readonly unauthenticated: 'redirect' | 'respond' | Unauthenticated | undefined;
}

/** Which credentials a kind of guard knows, and what it accepts if its rule does not say. */
export interface AcceptedTypes {
  readonly supported: readonly AuthType[];
  readonly defaults: readonly AuthType[];
}

/**
 * Checks a rule once.
 *
 * @throws {TypeError} where the guard is written, if its rule has an unknown key, contradicts itself, or could not
 * mean anything.
 */
export function compileGuardRule<A extends AuthType>(
  given: GuardRule<A> | Check<A>,
  { supported: known, defaults: usual }: AcceptedTypes,
): CompiledGuardRule {
  if (typeof given !== 'function' && !isRecord(given))
    throw new TypeError('a rule is an object or a function');
  // What `check` is given depends on `accepts`, as its type says.
  const rule = (typeof given === 'function' ? { check: given } : given) as unknown as GuardRule<AuthType>;
  const { maxAge, accepts = usual, unauthenticated, sameOrigin, check, organization, ...others } = rule;
  for (const [key, value] of Object.entries(rule)) {
    if (value === undefined)
      throw new TypeError(`rule "${key}" is undefined: leave it out, or say what it demands`);
  }
  checkAccepts(accepts, known);
  checkOwn(rule);
  checkSense(rule, accepts);
  return {
    // Both are the session cookie of a browser.
    accepts: new Set(accepts.includes('session') ? [...accepts, 'sso'] : accepts),
    test: compileTest({ organization, check, others }),
    maxAge,
    sameOrigin: trustedOrigins(sameOrigin),
    unauthenticated,
  };
}

function trustedOrigins(sameOrigin: GuardRule['sameOrigin']): readonly string[] | undefined {
  if (typeof sameOrigin === 'object') return [...sameOrigin];
  return sameOrigin === true ? [] : undefined;
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkAccepts(accepts: unknown, known: readonly AuthType[]): void {
  const isList =
    Array.isArray(accepts) && accepts.length > 0 && accepts.every((one) => known.includes(one as AuthType));
  if (!isList) throw new TypeError(`rule "accepts" must be a list of ${known.join(', ')}`);
}

function checkOwn({ maxAge, unauthenticated, sameOrigin, check }: GuardRule<AuthType>): void {
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
    (Array.isArray(sameOrigin) && sameOrigin.every(isOrigin))
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
  return (
    typeof value === 'string' && URL.canParse(value) && new URL(value).origin === value && value !== 'null'
  );
}

/** What a caller of that kind never has, so that nobody of that kind meets the demand. */
const NEVER: Readonly<Partial<Record<AuthType, readonly (keyof GuardRule)[]>>> = {
  apiKey: ['role', 'entitlement', 'featureFlag', 'impersonation', 'maxAge'],
  machine: ['impersonation', 'maxAge'],
};

/** A demand that nobody accepted can meet, or that is never looked at, is a mistake and not a rule. */
function checkSense(rule: GuardRule<AuthType>, accepts: readonly AuthType[]): void {
  const impossible = (Object.keys(rule) as (keyof GuardRule)[]).find((key) =>
    accepts.every((type) => NEVER[type]?.includes(key)),
  );
  if (impossible !== undefined)
    throw new TypeError(`rule "${impossible}" is about people, and "accepts" has none`);
  if (accepts.includes('session')) return;
  if (rule.sameOrigin !== undefined)
    throw new TypeError('rule "sameOrigin" is about cookies, and "accepts" has no "session"');
  if (rule.unauthenticated === 'redirect')
    throw new TypeError('rule "unauthenticated" redirects to sign-in, and "accepts" has no "session"');
}

function compileTest({
  organization,
  check,
  others,
}: {
  organization: GuardRule['organization'] | undefined;
  check: Check<AuthType> | undefined;
  others: Omit<Rule, 'organization'>;
}): Test {
  const isDynamic = typeof organization === 'function';
  const holds = compileRule({
    ...others,
    ...(isDynamic || organization === undefined ? {} : { organization }),
  });
  return (caller, req) => {
    if (!holds(caller)) return false;
    if (isDynamic && (caller.organizationId === undefined || organization(req) !== caller.organizationId))
      return false;
    if (!check) return true;
    const verification: unknown = check(caller, req);
    // Only `true` is yes: an error object, say, is not.
    return isThenable(verification)
      ? Promise.resolve(verification).then((value) => value === true)
      : verification === true;
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}
