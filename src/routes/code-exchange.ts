import type { AuthKitConfig, Config } from '../config/index.js';
import type { SignInResult } from '../config/options.js';
import { withDeadline } from '../deadline.js';
import { unavailable } from '../errors.js';
import { publish } from '../events.js';
import { expiringMap } from '../expiring-map.js';
import type { Request, Response } from '../http/middleware.js';
import { type Session, sessionIdOf, toSession } from '../session/sealed-session.js';
import { sha256 } from '../sha256.js';
import {
  decodeUnverified,
  macOf,
  type TokenVerification,
  type VerifyAccessToken,
} from '../workos/access-token.js';
import type { Tokens, WorkOSClient } from '../workos/api-client.js';
import { runOnSuccess } from './on-success.js';
import type { SaveAttributes } from './sign-up.js';
import { CLOCK_SKEW, isSame, type Transaction } from './sign-in-transaction.js';

/** A sign-in that WorkOS has confirmed and the application has accepted. */
export interface SignedInSession {
  readonly session: Session;
  readonly returnTo: string;
}

/** What an exchange needs of a callback, or of the request of a native client. */
export interface CodeReply {
  code: string;
  codeVerifier: string;
  transaction: Transaction;
  req: Request;
  res: Response;
}

/**
 * Exchanges a code for tokens. It does not check whether a code has been exchanged before: {@link ExchangeOnce} does.
 *
 * @returns `answered` if `onSuccess` answered the request itself. No session is created then.
 * @throws {AuthKitError}
 */
export type ExchangeCode = (reply: CodeReply) => Promise<SignedInSession | 'answered'>;

export interface CodeExchangeDependencies {
  workos: WorkOSClient;
  verifySoon: VerifySoon;
  acceptSignIn: AcceptSignIn;
}

export function createCodeExchange({
  workos,
  verifySoon,
  acceptSignIn,
}: CodeExchangeDependencies): ExchangeCode {
  return async ({ code, codeVerifier, transaction, req, res }) => {
    const result = await workos.exchangeCode(code, codeVerifier);
    if (result.kind !== 'ok') throw result.error;
    await assertTokens(result.value, verifySoon);
    return acceptSignIn({ tokens: result.value, transaction, req, res });
  };
}

/** How a sign-in began, as far as the application wants to know it. */
export type SignInStart = Pick<
  Transaction,
  'returnTo' | 'callback' | 'state' | 'attributes' | 'from' | 'issuedAt' | 'restartOf' | 'maxAge'
>;

export interface ConfirmedSignIn {
  /** Verified tokens. */
  tokens: Tokens;
  transaction: SignInStart;
  req: Request;
  res: Response;
}

/**
 * Asks the application, by `onSuccess`, whether it accepts a sign-in that WorkOS has confirmed, and saves the attributes
 * of a first one.
 *
 * @returns `answered` if `onSuccess` answered the request itself. No session is created then.
 * @throws {AuthKitError}
 */
export type AcceptSignIn = (signIn: ConfirmedSignIn) => Promise<SignedInSession | 'answered'>;

export function createAcceptSignIn(
  config: AuthKitConfig,
  save: SaveAttributes,
  verifySoon: VerifySoon,
): AcceptSignIn {
  return async ({ tokens: confirmed, transaction, req, res }) => {
    const signIn = signInResult(confirmed, transaction, config);
    const call = () => config.hooks.onSuccess?.({ ...signIn, returnTo: transaction.returnTo, req, res });
    const outcome = await runOnSuccess(call, res, transaction, config);
    if (outcome === 'answered') return outcome;
    const { attributes, attributesFrom: from, isFirstSignIn } = signIn;
    const startedAt = transaction.restartOf ?? transaction.issuedAt;
    const tokens = isFirstSignIn ? await save(confirmed, { attributes, from, startedAt }) : confirmed;
    const tokenMac = macOf(await verifySoon(tokens.accessToken));
    const session = toSession(tokens, {
      ...authenticatedAt(transaction, config),
      ...(outcome.data === undefined ? {} : { data: outcome.data }),
      tokenMac,
    });
    publishSignIn(session, config);
    return { session, returnTo: outcome.returnTo };
  };
}

/**
 * The latest time for which it is certain that the user has authenticated since, in seconds. WorkOS accepts an
 * authentication of up to `max_age` seconds ago, so a link with a long one says nothing about today.
 */
function authenticatedAt({ maxAge }: SignInStart, { now }: Config): { authenticatedAt?: number } {
  return maxAge === undefined ? {} : { authenticatedAt: Math.floor(now() / 1000) - maxAge };
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

/** Verifies a token that WorkOS has sent just now. */
export type VerifySoon = (accessToken: string) => Promise<TokenVerification>;

/** The exchange has taken up to a `timeout`, and the session still has to be stored, so late keys are not waited for. */
export function createVerifySoon(verify: VerifyAccessToken, { timeout }: AuthKitConfig): VerifySoon {
  return async (accessToken) =>
    (await withDeadline(timeout / 4, verify(accessToken, true))) ?? { kind: 'unavailable' };
}

/**
 * Only a valid access token of this user is accepted. If the keys are unavailable, the tokens are accepted, because they
 * came from WorkOS over TLS.
 */
async function assertTokens(tokens: Tokens, verifySoon: VerifySoon): Promise<void> {
  const verification = await verifySoon(tokens.accessToken);
  const subject =
    verification.kind === 'valid' ? verification.claims.sub : decodeUnverified(tokens.accessToken)['sub'];
  if (verification.kind === 'invalid' || verification.kind === 'expired' || subject !== tokens.user.id) {
    throw unavailable(`WorkOS sent an access token that is not valid for this user (${verification.kind})`);
  }
}

/** What `onSuccess` receives. A response of WorkOS may contain more. */
function signInResult(
  tokens: Tokens,
  transaction: SignInStart,
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

/** The user was created during this sign-in, or WorkOS says that there was no sign-in before. */
function isFirst({ user }: Tokens, { issuedAt, restartOf = issuedAt }: SignInStart): boolean {
  return user.lastSignInAt === null || Date.parse(user.createdAt) >= restartOf;
}

/** A double click or a reload of the callback gets the same result for this long, in milliseconds. */
const SHARED = 10_000;

const MAX_STATES = 10_000;

/** The value of a session cookie, and where to go. */
export interface Completed {
  readonly sealed: string;
  readonly returnTo: string;
}

export interface CallbackReply extends CodeReply {
  state: string;
  /** From the transaction cookie. */
  secret: string;
}

/** The exchange of a code, once for each state. */
export interface ExchangeOnce {
  /**
   * Two callbacks with one state, one secret and one code share one exchange for ten seconds. Any other callback of
   * the state is `spent`: a request with another code did not finish this sign-in (RFC 9700 section 4.5).
   *
   * @returns `answered` if `onSuccess` answered this request itself.
   * @throws {AuthKitError}
   */
  exchange: (reply: CallbackReply) => Promise<Completed | 'spent' | 'answered'>;
  /** Whether this process has seen a callback of the state. */
  isSpent: (state: string) => boolean;
}

interface Exchange {
  /** Hash of the secret and the code. */
  readonly proof: string;
  readonly outcome: Promise<Completed | 'answered'>;
  /** Milliseconds since the epoch; `Infinity` while the exchange is under way. */
  sharedUntil: number;
}

/** @param complete Exchanges the code at WorkOS. */
export function createExchangeOnce(
  { now, signInLifetime }: Pick<Config, 'now' | 'signInLifetime'>,
  complete: (reply: CallbackReply) => Promise<Completed | 'answered'>,
): ExchangeOnce {
  const ttl = signInLifetime * 1000 + CLOCK_SKEW;
  const exchanges = expiringMap<Exchange>({ max: MAX_STATES, ttl, now });
  return {
    async exchange(reply) {
      const key = sha256(reply.state);
      const proof = sha256(`${reply.secret} ${reply.code}`);
      const known = exchanges.get(key);
      if (known) {
        if (!isSame(proof, known.proof) || now() >= known.sharedUntil) return 'spent';
        const outcome = await known.outcome;
        // The response that onSuccess sent was that of the first request.
        return outcome === 'answered' ? 'spent' : outcome;
      }
      const exchange: Exchange = { proof, outcome: complete(reply), sharedUntil: Infinity };
      exchanges.set(key, exchange);
      void exchange.outcome.then(
        () => (exchange.sharedUntil = now() + SHARED),
        () => (exchange.sharedUntil = 0),
      );
      return exchange.outcome;
    },
    isSpent: (state) => exchanges.has(sha256(state)),
  };
}
