import type { IncomingMessage } from 'node:http';
import type { AuthType, SignedIn } from './auth.js';
import { AuthKitError } from './errors.js';
import type { Check, GuardRule } from './guard-rule.js';
import { createGuard, guardContext } from './guards.js';
import type { Middleware } from './http.js';
import { selectSignedIn, requestAuthsOf } from './visits.js';

/** What a guard of `authkit()` may accept. */
export type Accepted = Exclude<AuthType, 'machine'>;

const OF_ALL = guardContext(requestAuthsOf);

/**
 * Lets a request pass only if somebody is signed in and the rule holds; see the table of answers in the README.
 * Takes the first instance, in mount order, at which the request is signed in, else the first one's sign-in.
 * Guards without parentheses too.
 *
 * @throws {TypeError} where the route is defined, if the rule has an unknown key or could not mean anything.
 * @example
 * app.get('/billing', requireAuth({ permission: 'billing:read' }), billing);
 */
export function requireAuth<A extends Accepted = 'session'>(rule?: GuardRule<A> | Check<A>): Middleware;
export function requireAuth(...request: Parameters<Middleware>): undefined;
export function requireAuth(rule: unknown = {}, ...rest: unknown[]): Middleware | undefined {
  if (rest.length < 2) return createGuard(rule as GuardRule | Check, OF_ALL);
  anybody(...([rule, ...rest] as Parameters<Middleware>));
  return undefined;
}

const anybody = createGuard({}, OF_ALL);

/**
 * The person of a guarded request, with its type: Express cannot narrow `req` from one handler to the next.
 *
 * @throws {AuthKitError} `unauthenticated` where no guard ran and nobody is signed in, and where an API key or a
 * machine called: a route that accepts these looks at `req.auth.type`.
 */
export function signedIn(req: IncomingMessage): SignedIn {
  const auth = selectSignedIn(requestAuthsOf(req))?.auth();
  if (auth?.user) return auth;
  throw new AuthKitError(
    'unauthenticated',
    auth === undefined || auth.type === null
      ? 'nobody is signed in on this request: put requireAuth() before it'
      : 'no person called, but an API key or a machine: look at req.auth.type',
  );
}
