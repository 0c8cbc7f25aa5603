import type { IncomingMessage } from 'node:http';
import { AuthKitError } from '../errors.js';
import {
  type Middleware,
  middleware,
  type Outcome,
  type Request,
  type Response,
} from '../http/middleware.js';
import { isCrossSite, isSafeMethod } from '../http/request.js';
import { bearerTokenOf, type VerifyBearer } from './bearer-token.js';
import { type Challenge, denyForbidden, denyToken, denyUnauthenticated, denyUnavailable } from './deny.js';
import {
  type AcceptedTypes,
  type Check,
  type CompiledGuardRule,
  compileGuardRule,
  type GuardRule,
} from './guard-rule.js';
import type { AuthType, Principal, SignedIn } from './principal.js';
import {
  ensureRequestProperties,
  type Instance,
  type RequestAuth,
  requestAuthsOf,
  selectSignedIn,
  setBearerAuth,
} from './request-auth.js';
import { stepUp } from './step-up.js';

/** What a guard of `authkit()` may accept. */
export type Accepted = Exclude<AuthType, 'machine' | 'sso'>;

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

/** Which requestAuths a guard looks at, which credentials it knows, and who verifiers a token. */
export interface GuardContext extends AcceptedTypes {
  /** The requestAuths that count for a request. A guard believes them, and never `req.auth` or `req.user`. */
  readonly find: (req: IncomingMessage) => readonly RequestAuth[];
  readonly bearerVerifierOf: (instance: Instance) => VerifyBearer;
  /** What is said to whoever is turned away, beyond what is wrong. */
  readonly challenge: Challenge;
}

/** The guards of an instance, or of all. */
export function guardContext(find: GuardContext['find']): GuardContext {
  return {
    find,
    supported: ['session', 'bearer', 'apiKey'],
    defaults: ['session'],
    bearerVerifierOf: ({ bearerVerifiers: tokens }) => tokens.forSessions,
    challenge: {},
  };
}

/**
 * Makes a guard.
 *
 * @throws {TypeError} where the guard is written, if its rule could not mean anything.
 */
export function createGuard<A extends AuthType>(
  rule: GuardRule<A> | Check<A>,
  kind: GuardContext,
): Middleware {
  const demands = compileGuardRule(rule, kind);
  const takesSession = demands.accepts.has('session');
  const bySession = createSessionGuard(demands, kind);
  const byToken = createTokenGuard(demands, kind);

  return middleware((req, res) => {
    const requestAuths = kind.find(req);
    const [first] = requestAuths;
    if (!first) return { error: notMounted() };
    first.responseState.isGuarded = true;
    ensureRequestProperties(req);
    // The credential that a request brings of itself is the one that counts: a cookie comes along unasked.
    const token = bearerTokenOf(req);
    if (token !== undefined) return byToken(req, res, requestAuths, token);
    if (!takesSession) return denyToken(req, res, first, demands, kind.challenge);
    return bySession(req, res, requestAuths);
  });
}

function createSessionGuard(demands: CompiledGuardRule, { challenge }: GuardContext) {
  const { test, maxAge, sameOrigin } = demands;
  const decide = (
    req: Request,
    res: Response,
    requestAuths: readonly RequestAuth[],
  ): Outcome | Promise<Outcome> => {
    const requestAuth = selectSignedIn(requestAuths) as RequestAuth;
    const auth = requestAuth.auth();
    if (auth.type === null) return decline(req, res, requestAuths, requestAuth);
    if (
      sameOrigin &&
      !isSafeMethod(req) &&
      isCrossSite(req, requestAuth.instance.config.returnToRules.origin, sameOrigin)
    ) {
      return denyForbidden(req, res, requestAuth, auth, 'this has to come from this application');
    }
    const allowed = test(auth, req);
    return allowed instanceof Promise
      ? allowed.then((value) => conclude(value, req, res, requestAuth, auth, maxAge, challenge))
      : conclude(allowed, req, res, requestAuth, auth, maxAge, challenge);
  };
  /** Who was unknown when the deadline passed may be known a moment later: never sent to sign in over that. */
  const decline = async (
    req: Request,
    res: Response,
    requestAuths: readonly RequestAuth[],
    requestAuth: RequestAuth,
  ): Promise<Outcome> => {
    const result = await requestAuth.whenAuthenticated();
    const isNobody = requestAuth.auth().type === null;
    return isNobody
      ? denyUnauthenticated(req, res, requestAuth, result, demands, challenge)
      : decide(req, res, requestAuths);
  };
  return (req: Request, res: Response, requestAuths: readonly RequestAuth[]): Outcome | Promise<Outcome> => {
    for (const requestAuth of requestAuths) {
      if (requestAuth.whenAuthenticated() instanceof Promise) {
        return Promise.all(requestAuths.map(async (each) => each.whenAuthenticated())).then(() =>
          decide(req, res, requestAuths),
        );
      }
    }
    return decide(req, res, requestAuths);
  };
}

function createTokenGuard(demands: CompiledGuardRule, kind: GuardContext) {
  const { accepts, test, maxAge } = demands;
  return async (
    req: Request,
    res: Response,
    requestAuths: readonly RequestAuth[],
    token: string,
  ): Promise<Outcome> => {
    let failed: { requestAuth: RequestAuth; error: AuthKitError } | undefined;
    let reason: string | undefined;
    for (const requestAuth of requestAuths) {
      const result = await kind.bearerVerifierOf(requestAuth.instance)(token, accepts);
      if (result.kind === 'ok') {
        const { caller } = result;
        setBearerAuth(req, caller);
        return conclude(await test(caller, req), req, res, requestAuth, caller, maxAge, kind.challenge);
      }
      if (result.kind === 'unavailable') failed ??= { requestAuth, error: result.error };
      else reason = result.reason;
    }
    // What one instance cannot tell, no other can refuse.
    if (failed) return denyUnavailable(req, res, failed.requestAuth, failed.error);
    const challenge = {
      error: 'invalid_token',
      error_description: reason as string,
      ...kind.challenge,
    } as const;
    return denyToken(req, res, requestAuths[0] as RequestAuth, demands, challenge);
  };
}

/** What follows from who it is and whether the rule holds. */
function conclude(
  isAllowed: boolean,
  req: Request,
  res: Response,
  requestAuth: RequestAuth,
  caller: Principal,
  maxAge: number | undefined,
  challenge: Challenge,
): Outcome | Promise<Outcome> {
  if (!isAllowed)
    return denyForbidden(req, res, requestAuth, caller, 'the rule of this route is not met', challenge);
  if (maxAge === undefined) return 'next';
  if (caller.user === null)
    return denyForbidden(req, res, requestAuth, caller, 'this is for people', challenge);
  return stepUp(req, res, requestAuth, caller, maxAge);
}

function notMounted(): AuthKitError {
  return new AuthKitError(
    'not_mounted',
    'requireAuth() ran on a request that authkit() has not seen: add app.use(authkit()) before this route, ' +
      'or app.use(auth.session) if authkit() is mounted at a path',
  );
}
