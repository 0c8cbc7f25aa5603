import type { IncomingMessage } from 'node:http';
import type { Caller, Credential } from './auth.js';
import type { Challenge } from './challenge.js';
import { tokenOf, type JudgeToken } from './credentials.js';
import { AuthKitError } from './errors.js';
import { compileGuardRule, type Acceptance, type Check, type Demands, type GuardRule } from './guard-rule.js';
import { middleware, type Middleware, type Outcome, type Request, type Response } from './http.js';
import { refuse, refuseNow, refuseToken, turnAway } from './refusals.js';
import { isForeign, isSafe } from './same-origin.js';
import { stepUp } from './step-up.js';
import type { Visit, VisitParts } from './visit.js';
import { ensureExposed, firstSignedIn, present } from './visits.js';

/** Which visits a guard looks at, which credentials it knows, and who judges a token. */
export interface GuardKind extends Acceptance {
  /** The visits that count for a request. A guard believes them, and never `req.auth` or `req.user`. */
  readonly find: (req: IncomingMessage) => readonly Visit[];
  readonly judgeAt: (instance: VisitParts) => JudgeToken;
  /** What is said to whoever is turned away, beyond what is wrong. */
  readonly challenge: Challenge;
}

/** The guards of an instance, or of all. */
export function guardKind(find: GuardKind['find']): GuardKind {
  return {
    find,
    known: ['session', 'bearer', 'apiKey'],
    usual: ['session'],
    judgeAt: ({ tokens }) => tokens.ofSessions,
    challenge: {},
  };
}

/**
 * Makes a guard.
 *
 * @throws {TypeError} where the guard is written, if its rule could not mean anything.
 */
export function createGuard<A extends Credential>(
  rule: GuardRule<A> | Check<A>,
  kind: GuardKind,
): Middleware {
  const demands = compileGuardRule(rule, kind);
  const takesSession = demands.accepts.has('session');
  const bySession = createSessionGuard(demands, kind);
  const byToken = createTokenGuard(demands, kind);

  return middleware((req, res) => {
    const visits = kind.find(req);
    const [first] = visits;
    if (!first) return { error: notMounted() };
    first.head.isGuarded = true;
    ensureExposed(req);
    // The credential that a request brings of itself is the one that counts: a cookie comes along unasked.
    const token = tokenOf(req);
    if (token !== undefined) return byToken(req, res, visits, token);
    if (!takesSession) return refuseToken(req, res, first, demands, kind.challenge);
    return bySession(req, res, visits);
  });
}

function createSessionGuard(demands: Demands, { challenge }: GuardKind) {
  const { test, maxAge, sameOrigin } = demands;
  const decide = (req: Request, res: Response, visits: readonly Visit[]): Outcome | Promise<Outcome> => {
    const visit = firstSignedIn(visits) as Visit;
    const auth = visit.auth();
    if (auth.type === null) return decline(req, res, visits, visit);
    if (sameOrigin && !isSafe(req) && isForeign(req, visit.at.config.returnToRules.origin, sameOrigin)) {
      return refuse(req, res, visit, auth, 'this has to come from this application');
    }
    const allowed = test(auth, req);
    return allowed instanceof Promise
      ? allowed.then((value) => conclude(value, req, res, visit, auth, maxAge, challenge))
      : conclude(allowed, req, res, visit, auth, maxAge, challenge);
  };
  /** Who was unknown when the deadline passed may be known a moment later: never sent to sign in over that. */
  const decline = async (
    req: Request,
    res: Response,
    visits: readonly Visit[],
    visit: Visit,
  ): Promise<Outcome> => {
    const result = await visit.settled();
    const isNobody = visit.auth().type === null;
    return isNobody ? turnAway(req, res, visit, result, demands, challenge) : decide(req, res, visits);
  };
  return (req: Request, res: Response, visits: readonly Visit[]): Outcome | Promise<Outcome> => {
    for (const visit of visits) {
      if (visit.settled() instanceof Promise) {
        return Promise.all(visits.map(async (each) => each.settled())).then(() => decide(req, res, visits));
      }
    }
    return decide(req, res, visits);
  };
}

function createTokenGuard(demands: Demands, kind: GuardKind) {
  const { accepts, test, maxAge } = demands;
  return async (req: Request, res: Response, visits: readonly Visit[], token: string): Promise<Outcome> => {
    let failed: { visit: Visit; error: AuthKitError } | undefined;
    let reason: string | undefined;
    for (const visit of visits) {
      const judgement = await kind.judgeAt(visit.at)(token, accepts);
      if (judgement.kind === 'accepted') {
        const { caller } = judgement;
        present(req, caller);
        return conclude(await test(caller, req), req, res, visit, caller, maxAge, kind.challenge);
      }
      if (judgement.kind === 'unknown') failed ??= { visit, error: judgement.error };
      else reason = judgement.reason;
    }
    // What one instance cannot tell, no other can refuse.
    if (failed) return refuseNow(req, res, failed.visit, failed.error);
    const challenge = {
      error: 'invalid_token',
      error_description: reason as string,
      ...kind.challenge,
    } as const;
    return refuseToken(req, res, visits[0] as Visit, demands, challenge);
  };
}

/** What follows from who it is and whether the rule holds. */
function conclude(
  isAllowed: boolean,
  req: Request,
  res: Response,
  visit: Visit,
  caller: Caller,
  maxAge: number | undefined,
  challenge: Challenge,
): Outcome | Promise<Outcome> {
  if (!isAllowed) return refuse(req, res, visit, caller, 'the rule of this route is not met', challenge);
  if (maxAge === undefined) return 'next';
  if (caller.user === null) return refuse(req, res, visit, caller, 'this is for people', challenge);
  return stepUp(req, res, visit, caller, maxAge);
}

function notMounted(): AuthKitError {
  return new AuthKitError(
    'not_mounted',
    'requireAuth() ran on a request that authkit() has not seen: add app.use(authkit()) before this route, ' +
      'or app.use(auth.session) if authkit() is mounted at a path',
  );
}
