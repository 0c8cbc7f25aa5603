import type { AuthKitConfig } from '../config/index.js';
import type { SignInResult } from '../config/options.js';
import { unavailable } from '../errors.js';
import { publish } from '../events.js';
import { expiringMap } from '../expiring-map.js';
import { TRANSACTION_LIFETIME } from '../http/cookies.js';
import type { Request, Response } from '../http/middleware.js';
import { type Session, sessionIdOf, toSession } from '../session/sealed-session.js';
import { sha256 } from '../sha256.js';
import { decodeUnverified, type VerifyAccessToken } from '../workos/access-token.js';
import type { Tokens, WorkOSClient } from '../workos/client.js';
import { runOnSuccess } from './on-success.js';
import type { SaveAttributes } from './sign-up.js';
import type { Transaction } from './transaction.js';

/** Somebody whom WorkOS has signed in and the application has accepted. */
export interface SignedInSession {
  readonly session: Session;
  readonly returnTo: string;
}

/**
 * Turns a code of WorkOS's into a session. Whoever calls it sees to it that a code is exchanged once.
 *
 * @returns `answered` if `onSuccess` answered the request itself: then nobody is signed in.
 * @throws {AuthKitError}
 */
export type ExchangeCode = (reply: Omit<SignInReply, 'state'>) => Promise<SignedInSession | 'answered'>;

export interface CodeExchangeDependencies {
  config: AuthKitConfig;
  workos: WorkOSClient;
  verify: VerifyAccessToken;
  save: SaveAttributes;
}

export function createCodeExchange({ config, workos, verify, save }: CodeExchangeDependencies): ExchangeCode {
  return async ({ code, transaction, req, res }) => {
    const answer = await workos.exchangeCode(code, transaction.codeVerifier);
    if (answer.kind !== 'ok') throw answer.error;
    await assertTokens(answer.value, verify);
    const facts = factsOf(answer.value, transaction, config);
    const ask = () => config.hooks.onSuccess?.({ ...facts, returnTo: transaction.returnTo, req, res });
    const decided = await runOnSuccess(ask, res, transaction, config);
    if (decided === 'answered') return decided;
    const { attributes, attributesFrom: from } = facts;
    const startedAt = transaction.restartOf ?? transaction.issuedAt;
    const tokens = facts.isFirstSignIn
      ? await save(answer.value, { attributes, from, startedAt })
      : answer.value;
    const session = toSession(tokens, {
      ...(transaction.isFresh ? { authenticatedAt: Math.floor(config.now() / 1000) } : {}),
      ...(decided.data === undefined ? {} : { data: decided.data }),
    });
    publishSignIn(session, config);
    return { session, returnTo: decided.returnTo };
  };
}

function publishSignIn(session: Session, { clientId }: AuthKitConfig): void {
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
async function assertTokens(tokens: Tokens, verify: VerifyAccessToken): Promise<void> {
  const verification = await verify(tokens.accessToken, true);
  const subject =
    verification.kind === 'valid' ? verification.claims.sub : decodeUnverified(tokens.accessToken)['sub'];
  if (verification.kind === 'invalid' || verification.kind === 'expired' || subject !== tokens.user.id) {
    throw unavailable(`WorkOS sent an access token that does not hold (${verification.kind})`);
  }
}

/** What `onSuccess` learns, and no more than that: an answer of WorkOS's may hold more. */
function factsOf(
  tokens: Tokens,
  transaction: Transaction,
  { signUp }: AuthKitConfig,
): Omit<SignInResult, 'returnTo' | 'req' | 'res'> {
  const { user, organizationId, accessToken, refreshToken, impersonator, authenticationMethod, oauthTokens } =
    tokens;
  const { state, attributes, from = 'link' } = transaction;
  const role = attributes?.role ?? signUp.defaultRole;
  return {
    user,
    organizationId,
    accessToken,
    refreshToken,
    impersonator,
    authenticationMethod,
    oauthTokens,
    state,
    stateFrom: state === undefined ? undefined : from,
    attributes: { ...attributes, ...(role === undefined ? {} : { role }) },
    attributesFrom: attributes === undefined ? undefined : from,
    isFirstSignIn: isFirst(tokens, transaction),
  };
}

/** Created while this sign-in was under way; or, where WorkOS tells the sign-in before this one, there was none. */
function isFirst({ user }: Tokens, { issuedAt, restartOf = issuedAt }: Transaction): boolean {
  return user.lastSignInAt === null || Date.parse(user.createdAt) >= restartOf;
}

/** A double click or a reload of the callback gets the same answer for this long, in milliseconds. */
const SHARED = 10_000;

const MAX_STATES = 10_000;

/** A session as its cookie has it, and where to go. */
export interface Completed {
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
export type ExchangeOnce = (reply: SignInReply) => Promise<Completed | 'spent' | 'answered'>;

interface Exchange {
  readonly outcome: Promise<Completed | 'answered'>;
  /** Milliseconds since the epoch; shared while it is under way and shortly after it succeeded. */
  sharedUntil: number;
}

/** @param complete Exchanges the code at WorkOS. */
export function oncePerState(
  now: () => number,
  complete: (reply: SignInReply) => Promise<Completed | 'answered'>,
): ExchangeOnce {
  const exchanges = expiringMap<Exchange>({ max: MAX_STATES, ttl: TRANSACTION_LIFETIME, now });
  return async (reply) => {
    const key = sha256(reply.state);
    const known = exchanges.get(key);
    if (known) return now() < known.sharedUntil ? known.outcome : 'spent';
    const exchange: Exchange = { outcome: complete(reply), sharedUntil: Infinity };
    exchanges.set(key, exchange);
    void exchange.outcome.then(
      () => (exchange.sharedUntil = now() + SHARED),
      () => (exchange.sharedUntil = 0),
    );
    return exchange.outcome;
  };
}
