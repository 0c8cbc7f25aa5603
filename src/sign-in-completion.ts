import { LRUCache } from 'lru-cache';
import { createHash } from 'node:crypto';
import { peek, type VerifyAccessToken } from './access-token.js';
import type { Config } from './config/index.js';
import { AuthKitError, unavailable } from './errors.js';
import type { Request, Response } from './http.js';
import { publish } from './events.js';
import type { SignInDecision } from './options.js';
import { safeReturnTo } from './return-to.js';
import { sealSession, sessionIdOf, toSession, type Session } from './session.js';
import { TRANSACTION_LIFETIME, type Transaction } from './transaction.js';
import type { Tokens, WorkOSDoor } from './workos.js';

/** A double click or a reload of the callback gets the same answer for this long, in milliseconds. */
const SHARED = 10_000;
const MAX_STATES = 10_000;

interface Completed {
  readonly sealed: string;
  readonly returnTo: string;
}

export interface SignInReply {
  state: string;
  code: string;
  transaction: Transaction;
  req: Request;
  res: Response;
}

/**
 * Turns a code into a session, once for a state: two callbacks at once share one exchange, later ones find it `spent`.
 *
 * @returns `answered` if `onSuccess` answered the request itself: then nobody is signed in.
 * @throws {AuthKitError}
 */
export type CompleteSignIn = (reply: SignInReply) => Promise<Completed | 'spent' | 'answered'>;

interface Exchange {
  readonly outcome: Promise<Completed | 'answered'>;
  /** Milliseconds since the epoch; shared while it is under way and shortly after it succeeded. */
  sharedUntil: number;
}

export function createSignInCompletion(
  config: Config,
  door: WorkOSDoor,
  verify: VerifyAccessToken,
): CompleteSignIn {
  const { now } = config;
  const exchanges = new LRUCache<string, Exchange>({
    max: MAX_STATES,
    ttl: TRANSACTION_LIFETIME,
    ttlResolution: 0,
    perf: { now },
  });
  return async (reply) => {
    const key = createHash('sha256').update(reply.state).digest('base64url');
    const known = exchanges.get(key);
    if (known) return now() < known.sharedUntil ? known.outcome : 'spent';
    const exchange: Exchange = { outcome: complete(reply, config, door, verify), sharedUntil: Infinity };
    exchanges.set(key, exchange);
    void exchange.outcome.then(
      () => (exchange.sharedUntil = now() + SHARED),
      () => (exchange.sharedUntil = 0),
    );
    return exchange.outcome;
  };
}

async function complete(
  { code, transaction, req, res }: SignInReply,
  config: Config,
  door: WorkOSDoor,
  verify: VerifyAccessToken,
): Promise<Completed | 'answered'> {
  const answer = await door.exchangeCode(code, transaction.codeVerifier);
  if (answer.kind !== 'granted') throw answer.error;
  const tokens = answer.value;
  await believe(tokens, verify);
  const decision = await decide(tokens, transaction, req, res, config);
  if (decision === 'answered') return decision;
  const data = plain(decision.data);
  const session = toSession(tokens, {
    ...(transaction.isFresh ? { authenticatedAt: Math.floor(config.now() / 1000) } : {}),
    ...(data === undefined ? {} : { data }),
  });
  const returnTo = safeReturnTo(decision.returnTo ?? transaction.returnTo, config.returnToRules);
  const sealed = await sealSession(session, config.cookiePasswords[0]);
  tell(session, config);
  return { sealed, returnTo: returnTo ?? config.returnTo };
}

function tell(session: Session, { clientId }: Config): void {
  const { user, organizationId, authenticationMethod, impersonator } = session;
  publish('sign-in', {
    clientId,
    userId: user.id,
    sessionId: sessionIdOf(session),
    organizationId,
    authenticationMethod,
    isImpersonated: impersonator !== undefined,
  });
}

/** Tokens are taken only if they hold. Keys that cannot be had now are no reason to lose a sign-in: they came from WorkOS. */
async function believe(tokens: Tokens, verify: VerifyAccessToken): Promise<void> {
  const verdict = await verify(tokens.accessToken, true);
  const subject = verdict.kind === 'valid' ? verdict.claims.sub : peek(tokens.accessToken)['sub'];
  if (verdict.kind === 'invalid' || verdict.kind === 'expired' || subject !== tokens.user.id) {
    throw unavailable(`WorkOS sent an access token that does not hold (${verdict.kind})`);
  }
}

/** The application's word on a sign-in. A throw is a veto. */
async function decide(
  tokens: Tokens,
  { state, stateFrom, returnTo }: Transaction,
  req: Request,
  res: Response,
  { hooks }: Config,
): Promise<SignInDecision | 'answered'> {
  const { user, organizationId, accessToken, refreshToken, impersonator, authenticationMethod, oauthTokens } =
    tokens;
  const facts = {
    user,
    organizationId,
    accessToken,
    refreshToken,
    impersonator,
    authenticationMethod,
    oauthTokens,
  };
  try {
    const decision = await hooks.onSuccess?.({ ...facts, state, stateFrom, returnTo, req, res });
    return res.headersSent || res.writableEnded ? 'answered' : (decision ?? {});
  } catch (cause) {
    throw new AuthKitError('sign_in_rejected', 'onSuccess did not accept this sign-in', { cause });
  }
}

function plain(data: unknown): unknown {
  try {
    return data === undefined ? undefined : (JSON.parse(JSON.stringify(data)) as unknown);
  } catch (cause) {
    throw new AuthKitError('sign_in_rejected', 'onSuccess returned data that is no JSON', { cause });
  }
}
