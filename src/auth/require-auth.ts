import type { IncomingMessage } from 'node:http';
import { after, withDeadline } from '../deadline.js';
import { isInsecureOrigin } from '../config/insecure-http.js';
import { AuthKitError } from '../errors.js';
import {
  isRequest,
  type Middleware,
  middleware,
  type Outcome,
  type Request,
  type Response,
} from '../http/handler-to-middleware.js';
import { isCrossSite, isSafeMethod } from '../http/request.js';
import { markGuarded } from '../http/response.js';
import { type BearerResult, bearerTokenOf, type VerifyBearer } from './bearer-token.js';
import {
  type Challenge,
  denyForbidden,
  denyToken,
  denyUnauthenticated,
  denyUnavailable,
  denyUnknownUser,
} from './deny.js';
import {
  type AcceptedTypes,
  type Check,
  type CompiledGuardRule,
  compileGuardRule,
  type GuardRule,
} from './guard-options.js';
import { type AuthType, isSessionType, type Principal, type SignedIn } from './principal.js';
import {
  ensureRequestProperties,
  type Instance,
  markPersonal,
  type RequestAuth,
  requestAuthsOf,
  selectSignedIn,
  type SessionResult,
  setAcceptedSession,
  setBearerAuth,
  timedOut,
} from './request-auth.js';
import { stepUp } from './step-up.js';

/**
 * Credential types that a guard of `authkit()` may accept. A guard that accepts `session` also accepts sessions that
 * `sso()` created.
 */
export type Accepted = Exclude<AuthType, 'machine' | 'sso'>;

/** `requireAuth(rule)` returns a guard. `requireAuth` without parentheses is itself a guard. */
export interface RequireAuth {
  <A extends Accepted = 'session'>(rule?: GuardRule<A> | Check<A>): Middleware;
  (...request: Parameters<Middleware>): undefined;
}

/**
 * What a guard needs to know about the instances that it covers. A guard covers either one instance or all instances.
 */
export interface GuardContext extends AcceptedTypes {
  /**
   * Returns the authentication state of a request at these instances. A guard reads this state, and never `req.auth` or
   * `req.user`.
   */
  readonly find: (req: IncomingMessage) => readonly RequestAuth[];
  readonly bearerVerifierOf: (instance: Instance) => VerifyBearer;
  /** Parameters that the guard adds to its `WWW-Authenticate` headers. */
  readonly challenge: Challenge;
}

export function guardContext(find: GuardContext['find']): GuardContext {
  return {
    find,
    supported: ['session', 'bearer', 'apiKey'],
    defaults: ['session'],
    bearerVerifierOf: ({ bearerVerifiers }) => bearerVerifiers.forSessions,
    challenge: {},
  };
}

/**
 * Creates a guard, which lets a request pass only if the request is authenticated and meets the rule. The README has a
 * table of the responses to all other requests. If several instances are mounted, the guard uses the first instance at
 * which the request is authenticated.
 *
 * @throws {TypeError} if the rule is neither a plain object nor a function, has an unknown key or an invalid value, or
 * can never be met.
 * @example
 * app.get('/billing', requireAuth({ permission: 'billing:read' }), billing);
 */
export function requireAuth<A extends Accepted = 'session'>(rule?: GuardRule<A> | Check<A>): Middleware;

export function requireAuth(...request: Parameters<Middleware>): undefined;

export function requireAuth(...args: unknown[]): Middleware | undefined {
  return requireAuthAtAll(...(args as []));
}

const requireAuthAtAll = createRequireAuth(guardContext(requestAuthsOf));

/** Creates a `requireAuth` function for one instance or for all instances. */
export function createRequireAuth(context: GuardContext): RequireAuth {
  const withoutRule = createGuard({}, context);
  const requireAuth = (...args: unknown[]): Middleware | undefined => {
    // If `requireAuth` is used without parentheses, as in `app.get(path, requireAuth, handler)`, Express calls it with
    // the request.
    if (args.some(isRequest)) {
      withoutRule(...(args as Parameters<Middleware>));
      return undefined;
    }
    if (args.length === 0) return withoutRule;
    if (args.length > 1)
      throw new TypeError(
        "requireAuth() takes one rule: put all keys into one object, as in requireAuth({ role: ['admin', 'editor'] })",
      );
    return createGuard(args[0], context);
  };
  return requireAuth as RequireAuth;
}

/**
 * Returns the `req.auth` of a guarded request, typed as a signed-in user. TypeScript cannot infer this type, because a
 * guard and the handler after it are separate functions.
 *
 * @throws {AuthKitError} `unauthenticated` if the request is not authenticated, or was authenticated with an API key or
 * as a machine. In a route that accepts API keys or machines, check `req.auth.type` first.
 */
export function signedIn(req: IncomingMessage): SignedIn {
  const requestAuths = requestAuthsOf(req);
  markPersonal(requestAuths);
  const auth = selectSignedIn(requestAuths)?.auth();
  if (auth?.user) return auth;
  throw new AuthKitError(
    'unauthenticated',
    auth === undefined || auth.type === null
      ? 'this request is not signed in: put requireAuth() before the handler'
      : 'this request was sent by an API key or a machine and has no user: look at req.auth.type',
  );
}

/**
 * Creates a guard.
 *
 * @throws {TypeError} if the rule is invalid or can never be met.
 */
function createGuard(rule: unknown, context: GuardContext): Middleware {
  const compiled = compileGuardRule(rule, context);
  const takesSession = compiled.accepts.has('session');
  const takesToken = [...compiled.accepts].some((type) => !isSessionType(type));
  const guardSession = createSessionGuard(compiled, context);
  const guardToken = createTokenGuard(compiled, context);

  return middleware((req, res) => {
    const requestAuths = context.find(req);
    const [first] = requestAuths;
    if (!first) return { error: notMounted() };
    markGuarded(first.responseState, req);
    ensureRequestProperties(req);
    // If a guard accepts tokens and the request has one, the guard ignores the session cookie: the client chose to send
    // the token, whereas browsers send cookies automatically. A guard that accepts only sessions ignores the
    // `Authorization` header, because gateways and proxies may set it for other purposes.
    const token = takesToken ? bearerTokenOf(req) : undefined;
    if (token !== undefined) return guardToken(req, res, requestAuths, token);
    if (!takesSession) return denyToken(req, res, first, compiled, context.challenge);
    return guardSession(req, res, requestAuths);
  });
}

type Guard<Rest extends unknown[] = []> = (
  req: Request,
  res: Response,
  requestAuths: readonly RequestAuth[],
  ...rest: Rest
) => Outcome | Promise<Outcome>;

function createSessionGuard(rule: CompiledGuardRule, context: GuardContext): Guard {
  const { sameOrigin } = rule;
  // An http origin of a host other than this machine is trusted only with `allowInsecureHttp`, as in `trustedOrigins`.
  // When a guard is created, the instances that it covers are not known yet, so each request chooses one of the two
  // lists.
  const secureOrigins = (sameOrigin ?? []).filter((origin) => !isInsecureOrigin(origin));
  const decide = (
    req: Request,
    res: Response,
    requestAuths: readonly RequestAuth[],
    results: readonly SessionResult[],
  ): Outcome | Promise<Outcome> => {
    const requestAuth = selectSignedIn(requestAuths) as RequestAuth;
    const auth = requestAuth.auth();
    if (auth.type === null) {
      // If one instance cannot verify the request's session at this time, that session may be valid. The request is
      // then denied with the error of that instance, even if it has no session at the other instances.
      for (const [index, result] of results.entries()) {
        if (result.kind === 'unavailable')
          return denyUnavailable(req, res, requestAuths[index] as RequestAuth, result.error);
      }
      return denyUnauthenticated(req, res, requestAuth, rule);
    }
    if (!isAccepted(auth, requestAuth, rule, context)) {
      const challenge = { error: 'invalid_token', error_description: 'not accepted here' } as const;
      return denyToken(req, res, requestAuth, rule, { ...challenge, ...context.challenge });
    }
    const { config } = requestAuth.instance;
    if (
      sameOrigin &&
      isSessionType(auth.type) &&
      !isSafeMethod(req) &&
      isCrossSite(req, config, config.allowInsecureHttp ? sameOrigin : secureOrigins)
    ) {
      const isInsecure = !isCrossSite(req, config, sameOrigin);
      return denyForbidden(req, res, requestAuth, auth, {
        message: isInsecure ? INSECURE_ORIGIN : 'this request has to come from this application',
        rule: { sameOrigin: sameOrigin.length === 0 ? true : sameOrigin },
      });
    }
    setAcceptedSession(req, requestAuth);
    return applyRule(req, res, requestAuth, auth, rule, context);
  };
  return (req, res, requestAuths) =>
    after(whenAllAuthenticated(requestAuths), (results) => decide(req, res, requestAuths, results));
}

const INSECURE_ORIGIN =
  'this request comes from an http origin in sameOrigin: use https for that origin, or set allowInsecureHttp: true if ' +
  'that network is private';

/**
 * Returns the result of authenticating the session cookie at each instance. Waits for results that are not known yet,
 * but only until the request's deadline. A session that was not verified within the soft timeout can still be verified
 * before the deadline.
 */
function whenAllAuthenticated(
  requestAuths: readonly RequestAuth[],
): readonly SessionResult[] | Promise<readonly SessionResult[]> {
  const results = requestAuths.map((requestAuth) => requestAuth.whenAuthenticated());
  const isWaiting = results.some((result) => result instanceof Promise);
  return isWaiting
    ? Promise.all(results.map(async (result) => result))
    : (results as readonly SessionResult[]);
}

/**
 * Whether this guard accepts the principal. An earlier guard may have accepted a token that this guard does not accept
 * or verifies differently.
 */
function isAccepted(
  { type }: Principal,
  requestAuth: RequestAuth,
  { accepts }: CompiledGuardRule,
  { bearerVerifierOf }: GuardContext,
): boolean {
  if (!accepts.has(type)) return false;
  return isSessionType(type) || requestAuth.verifiedBy === bearerVerifierOf(requestAuth.instance);
}

function createTokenGuard(rule: CompiledGuardRule, context: GuardContext): Guard<[token: string]> {
  return (req, res, requestAuths, token) => {
    let failed: { requestAuth: RequestAuth; error: AuthKitError } | undefined;
    let reason: string | undefined;
    const verifyAt = (index: number): Outcome | Promise<Outcome> => {
      const requestAuth = requestAuths[index];
      if (!requestAuth) return deny();
      const verify = context.bearerVerifierOf(requestAuth.instance);
      const pending = verify(token, rule.accepts);
      return after(withinDeadline(pending, requestAuth), (result) => {
        if (result.kind === 'ok') {
          setBearerAuth(req, result.principal, { acceptedAt: requestAuth, verifiedBy: verify });
          return applyRule(req, res, requestAuth, result.principal, rule, context);
        }
        if (result.kind === 'unavailable') failed ??= { requestAuth, error: result.error };
        else reason = result.reason;
        return verifyAt(index + 1);
      });
    };
    const deny = () => {
      // If one instance cannot verify the token at this time, the token may be valid there. The request is then denied
      // with the error of that instance, even if all other instances refuse the token.
      if (failed) return denyUnavailable(req, res, failed.requestAuth, failed.error);
      const challenge = { error: 'invalid_token', error_description: reason as string } as const;
      const [first] = requestAuths as readonly [RequestAuth];
      return denyToken(req, res, first, rule, { ...challenge, ...context.challenge });
    };
    return verifyAt(0);
  };
}

/** Returns the result, or `unavailable` if the result is not known by the request's deadline. */
function withinDeadline(
  pending: BearerResult | Promise<BearerResult>,
  { deadline }: RequestAuth,
): BearerResult | Promise<BearerResult> {
  if (!(pending instanceof Promise)) return pending;
  return withDeadline(deadline.left(), pending).then((result) => result ?? timedOut());
}

/** Tests the rule. The application's user is loaded first, because a `check` function may read `req.user`. */
function applyRule(
  req: Request,
  res: Response,
  requestAuth: RequestAuth,
  principal: Principal,
  rule: CompiledGuardRule,
  { challenge }: GuardContext,
): Outcome | Promise<Outcome> {
  return after(requestAuth.loadUser(), () => {
    if (requestAuth.hasUnknownUser()) return denyUnknownUser(req, res, requestAuth);
    return after(rule.test(principal, req), (result) => {
      if (result !== 'holds') {
        const message = 'the rule of this route does not hold';
        return denyForbidden(req, res, requestAuth, principal, { message, rule: result, challenge });
      }
      const { maxAge } = rule;
      if (maxAge === undefined) return 'next';
      if (principal.user === null) {
        const message = 'this route is for users';
        return denyForbidden(req, res, requestAuth, principal, { message, rule: { maxAge }, challenge });
      }
      return stepUp(req, res, requestAuth, principal, maxAge);
    });
  });
}

function notMounted(): AuthKitError {
  return new AuthKitError(
    'not_mounted',
    'requireAuth() ran on a request that authkit() has not seen: add app.use(authkit()) before this route, ' +
      'or app.use(auth.session) if authkit() is mounted at a path',
  );
}
