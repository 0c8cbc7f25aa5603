import type { AuthKitConfig, Config } from '../config/index.js';
import type { SignInResult } from '../config/options.js';
import { type Deadline, withDeadline } from '../deadline.js';
import { ownProperties } from '../own-properties.js';
import { AuthKitError, unavailable } from '../errors.js';
import { publish } from '../events.js';
import { expiringMap } from '../expiring-map.js';
import type { Request, Response } from '../http/handler-to-middleware.js';
import type { Revocation } from '../session/revocation.js';
import { type Session, sessionIdentityIn, sessionIdOf, toSession } from '../session/sealed-session.js';
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

/** What an exchange needs from a callback, or from a native client's request. */
export interface CodeReply {
  code: string;
  codeVerifier: string;
  transaction: Transaction;
  req: Request;
  res: Response;
  /** The request's deadline. It does not limit the application's own code, such as `onSuccess`. */
  deadline: Deadline;
}

/**
 * Exchanges a code for tokens. It does not check whether a code has been exchanged before: {@link ExchangeOnce} does.
 *
 * @returns `answered` if `onSuccess` sent a response itself, in which case no session is created.
 * @throws {AuthKitError}
 */
export type ExchangeCode = (reply: CodeReply) => Promise<SignedInSession | 'answered'>;

export interface CodeExchangeDependencies {
  workos: WorkOSClient;
  verifyInTime: VerifyInTime;
  acceptSignIn: AcceptSignIn;
}

export function createCodeExchange({
  workos,
  verifyInTime,
  acceptSignIn,
}: CodeExchangeDependencies): ExchangeCode {
  return async ({ code, codeVerifier, ...signIn }) => {
    const result = await workos.exchangeCode(code, codeVerifier);
    if (result.kind !== 'ok') throw result.error;
    await assertTokens(result.value, verifyInTime);
    return acceptSignIn({ ...signIn, tokens: result.value });
  };
}

/** How a sign-in began: the parts of its transaction that are needed to accept it. */
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
  deadline: Deadline;
}

/**
 * Asks `onSuccess` whether the application accepts a sign-in that WorkOS has confirmed. If it is the user's first,
 * saves its attributes.
 *
 * @returns `answered` if `onSuccess` sent a response itself, in which case no session is created.
 * @throws {AuthKitError}
 */
export type AcceptSignIn = (signIn: ConfirmedSignIn) => Promise<SignedInSession | 'answered'>;

export interface AcceptSignInDependencies {
  config: AuthKitConfig;
  saveAttributes: SaveAttributes;
  verifyInTime: VerifyInTime;
  revocation: Pick<Revocation, 'status'>;
}

export function createAcceptSignIn({
  config,
  saveAttributes,
  verifyInTime,
  revocation,
}: AcceptSignInDependencies): AcceptSignIn {
  // Users whose first sign-in was accepted. A new user may sign in again within `signInLifetime`, and an administrator
  // may have changed the role in between. The second sign-in must not overwrite that role.
  const signedInOnce = expiringMap<true>({
    max: MAX_STATES,
    ttl: config.signInLifetime * 1000 + CLOCK_SKEW,
    now: config.now,
  });
  const isEnded = async (accessToken: string) =>
    (await revocation.status(sessionIdentityIn(decodeUnverified(accessToken)))) === 'revoked';
  return async ({ tokens: confirmed, transaction, req, res, deadline }) => {
    const wasEnded = await isEnded(confirmed.accessToken);
    const userId = confirmed.user.id;
    const isFirstSignIn = !signedInOnce.has(userId) && isFirst(confirmed, transaction);
    const signIn = { ...signInResult(confirmed, transaction, config), isFirstSignIn };
    const call = () => config.hooks.onSuccess?.({ ...signIn, returnTo: transaction.returnTo, req, res });
    const outcome = await deadline.exclude(runOnSuccess(call, res, transaction, config));
    if (outcome === 'answered') return outcome;
    const { attributes, attributesFrom: from } = signIn;
    if (isFirstSignIn) signedInOnce.set(userId, true);
    const startedAt = transaction.restartOf ?? transaction.issuedAt;
    const tokens = isFirstSignIn
      ? await saveAttributes(confirmed, { attributes, from, startedAt }, deadline)
      : confirmed;
    const tokenMac = macOf(await verifyInTime(tokens.accessToken));
    // If the session was signed out of this application before this sign-in, the user signs in to it again. If it was
    // ended during this sign-in, it stays ended.
    if (!wasEnded && (await isEnded(tokens.accessToken)))
      throw new AuthKitError('unauthenticated', 'the session has ended during the sign-in');
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
 * The earliest time at which the user can have authenticated, in seconds since the epoch. WorkOS accepts an
 * authentication from up to `max_age` seconds ago, so a link with a large `maxAge` does not prove a recent
 * authentication.
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

/** Verifies a token that WorkOS has just sent. */
export type VerifyInTime = (accessToken: string) => Promise<TokenVerification>;

/**
 * Creates a verifier that waits for the signing keys for at most a quarter of `timeout`. The exchange may already have
 * taken a whole `timeout`, and the session still has to be stored.
 */
export function createVerifyInTime(verify: VerifyAccessToken, { timeout }: AuthKitConfig): VerifyInTime {
  return async (accessToken) =>
    (await withDeadline(timeout / 4, verify(accessToken, true))) ?? { kind: 'unavailable' };
}

/**
 * Accepts only a valid access token that belongs to this user. If the signing keys are unavailable, the token is
 * accepted without verifying its signature, because it came from WorkOS over TLS.
 */
async function assertTokens(tokens: Tokens, verifyInTime: VerifyInTime): Promise<void> {
  const verification = await verifyInTime(tokens.accessToken);
  const subject =
    verification.kind === 'valid' ? verification.claims.sub : decodeUnverified(tokens.accessToken)['sub'];
  if (verification.kind === 'invalid' || verification.kind === 'expired' || subject !== tokens.user.id) {
    const reason = verification.kind === 'invalid' ? `invalid ${verification.reason}` : verification.kind;
    throw unavailable(`WorkOS sent an access token that is not valid for this user (${reason})`);
  }
}

/** Builds what `onSuccess` receives. Other fields of WorkOS's response are left out. */
function signInResult(
  tokens: Tokens,
  transaction: SignInStart,
  { signUp }: AuthKitConfig,
): Omit<SignInResult, 'returnTo' | 'req' | 'res' | 'isFirstSignIn'> {
  const { user, organizationId, accessToken, refreshToken, impersonator, authenticationMethod, oauthTokens } =
    tokens;
  const { state, attributes, from = 'link' } = transaction;
  const role = ownProperties(attributes ?? {}).role ?? signUp.defaultRole;
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
  };
}

/** Whether the user was created during this sign-in, or has no earlier sign-in according to WorkOS. */
function isFirst({ user }: Tokens, { issuedAt, restartOf = issuedAt }: SignInStart): boolean {
  return user.lastSignInAt === null || Date.parse(user.createdAt) >= restartOf;
}

/** How long a repeated callback, such as after a double click or a reload, gets the same result, in milliseconds. */
const SHARED = 10_000;

const MAX_STATES = 10_000;

/** Memory limit for the shared results, in bytes: 8 MiB, enough for about 2000 sign-ins in ten seconds. */
const MAX_RESULT_BYTES = 8_388_608;

/** Size of a result without its strings, in bytes. */
const EMPTY_RESULT_BYTES = 256;

/** The value of the session cookie, and where to redirect the browser. */
export interface Completed {
  readonly sealed: string;
  readonly returnTo: string;
}

export interface CallbackReply extends CodeReply {
  state: string;
  /** The secret from the transaction cookie. */
  secret: string;
}

/** Exchanges codes, once for each `state`. */
export interface ExchangeOnce {
  /**
   * Callbacks with the same state, secret and code share one exchange for ten seconds. Any other callback with the same
   * state gets `spent`. A different code could be an attempt to inject a code (RFC 9700 section 4.5).
   *
   * @returns `answered` if `onSuccess` sent the response to this request itself.
   * @throws {AuthKitError}
   */
  exchange: (reply: CallbackReply) => Promise<Completed | 'spent' | 'answered'>;
  /**
   * Uses up a state whose code is not exchanged here: WorkOS has answered with an error, or a native client exchanges
   * the code.
   *
   * @param answer WorkOS's answer: the query of the callback. The same answer may be repeated for ten seconds.
   * @returns True for the first callback with this state, and for a repetition of it within ten seconds.
   */
  spend: (reply: Pick<CallbackReply, 'state' | 'secret'> & { answer: string }) => boolean;
  /** Whether this process has seen a callback with this state. */
  isSpent: (state: string) => boolean;
}

interface Exchange {
  /** Hash of the secret and the code. */
  readonly proof: string;
  /** The result of the exchange, while it is in progress. */
  pending: Promise<Completed | 'answered'> | undefined;
}

/** Options of {@link createExchangeOnce}. */
export interface ExchangeOnceOptions extends Pick<Config, 'now' | 'signInLifetime'> {
  /** Memory limit for the results that are shared, in bytes. */
  maxBytes?: number;
}

interface SpentState {
  /** Hash of the secret and the answer. */
  readonly proof: string;
  /** Until when the same answer may be repeated, in milliseconds since the epoch. */
  readonly repeatedUntil: number;
}

/**
 * Creates an {@link ExchangeOnce}, which remembers states in the memory of this process.
 *
 * @param complete Exchanges the code at WorkOS.
 */
export function createExchangeOnce(
  { now, signInLifetime, maxBytes = MAX_RESULT_BYTES }: ExchangeOnceOptions,
  complete: (reply: CallbackReply) => Promise<Completed | 'answered'>,
): ExchangeOnce {
  const ttl = signInLifetime * 1000 + CLOCK_SKEW;
  // A state must stay spent for as long as it is valid. Its result is needed only briefly, so results have a separate
  // map.
  const exchanges = expiringMap<Exchange>({ max: MAX_STATES, ttl, now });
  // States without an exchange have a separate map: error responses cost an attacker nothing, and many of them must not
  // evict exchanges.
  const spent = expiringMap<SpentState>({ max: MAX_STATES, ttl, now });
  const results = expiringMap<Completed>({
    ttl: SHARED,
    now,
    size: {
      max: maxBytes,
      of: ({ sealed, returnTo }) => EMPTY_RESULT_BYTES + sealed.length + returnTo.length * 2,
    },
  });
  const run = async (key: string, exchange: Exchange, reply: CallbackReply) => {
    try {
      exchange.pending = complete(reply);
      const outcome = await exchange.pending;
      results.purgeStale();
      if (outcome !== 'answered') results.set(key, outcome);
      return outcome;
    } finally {
      exchange.pending = undefined;
    }
  };
  return {
    async exchange(reply) {
      const key = sha256(reply.state);
      if (spent.has(key)) return 'spent';
      const proof = sha256(`${reply.secret} ${reply.code}`);
      const known = exchanges.get(key);
      if (known) {
        if (!isSame(proof, known.proof)) return 'spent';
        const outcome = await (known.pending ?? results.get(key));
        // onSuccess sent its response to the first request, not to this one.
        return outcome === undefined || outcome === 'answered' ? 'spent' : outcome;
      }
      const exchange: Exchange = { proof, pending: undefined };
      exchanges.set(key, exchange);
      return run(key, exchange, reply);
    },
    spend({ state, secret, answer }) {
      const key = sha256(state);
      if (exchanges.has(key)) return false;
      const proof = sha256(`${secret} ${answer}`);
      const known = spent.get(key);
      if (known) return isSame(proof, known.proof) && now() < known.repeatedUntil;
      spent.set(key, { proof, repeatedUntil: now() + SHARED });
      return true;
    },
    isSpent: (state) => exchanges.has(sha256(state)) || spent.has(sha256(state)),
  };
}
