import type { AuthKitConfig, Config } from '../config/index.js';
import type { SignInResult } from '../config/authkit-options.js';
import { type Deadline, withDeadline } from '../deadline.js';
import { ownProperties } from '../plain-objects.js';
import { AuthKitError, unavailable } from '../errors.js';
import { publish } from '../diagnostics.js';
import { expiringMap } from '../expiring-map.js';
import type { Request, Response } from '../http/handler-to-middleware.js';
import type { Revocation, SessionEnd } from '../session/revocation.js';
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
  /** How the session was ended before this sign-in, if it was. */
  readonly earlierEnd: SessionEnd | undefined;
}

/** The values that a code exchange needs. They come from a callback or from a client's request to the token route. */
export interface CodeReply {
  code: string;
  codeVerifier: string;
  transaction: Transaction;
  req: Request;
  res: Response;
  /** The request's deadline. It does not limit application code, such as `onSuccess`. */
  deadline: Deadline;
}

/**
 * Exchanges a code for tokens. This function does not check whether the code has been exchanged before: {@link
 * ExchangeOnce} does that.
 *
 * @returns The session, or `answered` if `onSuccess` sent the response. In the latter case, no session is created.
 * @throws {AuthKitError} if the exchange fails, or if `onSuccess` rejects the sign-in.
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

/** The parts of a sign-in's transaction that are needed to accept the sign-in. */
export type SignInStart = Pick<
  Transaction,
  'returnTo' | 'callback' | 'state' | 'attributes' | 'from' | 'issuedAt' | 'restartOf' | 'maxAge'
>;

export interface ConfirmedSignIn {
  /** The tokens from WorkOS, which have been verified. */
  tokens: Tokens;
  transaction: SignInStart;
  req: Request;
  res: Response;
  deadline: Deadline;
}

/**
 * Asks `onSuccess` whether the application accepts a sign-in that WorkOS has confirmed. If this is the user's first
 * sign-in, also saves its sign-up attributes.
 *
 * @returns The session, or `answered` if `onSuccess` sent the response. In the latter case, no session is created.
 * @throws {AuthKitError} if `onSuccess` rejects the sign-in, or if the session has ended during the sign-in.
 */
export type AcceptSignIn = (signIn: ConfirmedSignIn) => Promise<SignedInSession | 'answered'>;

export interface AcceptSignInDependencies {
  config: AuthKitConfig;
  saveAttributes: SaveAttributes;
  verifyInTime: VerifyInTime;
  revocation: Pick<Revocation, 'status' | 'endOf'>;
  /** Returns the current time by the clock of WorkOS, in milliseconds since the epoch. */
  workosNow: () => number;
}

export function createAcceptSignIn({
  config,
  saveAttributes,
  verifyInTime,
  revocation,
  workosNow,
}: AcceptSignInDependencies): AcceptSignIn {
  // The IDs of users whose first sign-in was accepted. If a new user signs in again within `signInLifetime`, that
  // sign-in must not count as a first sign-in, because saving its attributes could overwrite a role that an
  // administrator has assigned in the meantime.
  const signedInOnce = expiringMap<true>({
    max: MAX_STATES,
    ttl: config.signInLifetime * 1000 + CLOCK_SKEW,
    now: config.now,
  });
  const endOf = async (accessToken: string) => {
    const identity = sessionIdentityIn(decodeUnverified(accessToken));
    const end = await revocation.endOf(identity);
    return { isEnded: (await revocation.status(identity)) === 'revoked', end };
  };
  return async ({ tokens: confirmed, transaction, req, res, deadline }) => {
    const before = await endOf(confirmed.accessToken);
    const userId = confirmed.user.id;
    // The time is converted to the clock of WorkOS, because it is compared with the times at which WorkOS created the
    // user and the membership.
    const { issuedAt, restartOf = issuedAt } = transaction;
    const startedAt = restartOf - config.now() + workosNow();
    const isFirstSignIn = !signedInOnce.has(userId) && isFirst(confirmed, startedAt);
    const signIn = { ...signInResult(confirmed, transaction, config), isFirstSignIn };
    const call = () => config.hooks.onSuccess?.({ ...signIn, returnTo: transaction.returnTo, req, res });
    const outcome = await deadline.exclude(runOnSuccess(call, res, transaction, config));
    if (outcome === 'answered') return outcome;
    const { attributes, attributesFrom: from } = signIn;
    if (isFirstSignIn) signedInOnce.set(userId, true);
    const tokens = isFirstSignIn
      ? await saveAttributes(confirmed, { attributes, from, startedAt }, deadline)
      : confirmed;
    const tokenMac = macOf(await verifyInTime(tokens.accessToken));
    // If the session was ended in this application but not at WorkOS before this sign-in began, this sign-in starts it
    // again. If the session was ended during this sign-in, it stays ended.
    const after = await endOf(tokens.accessToken);
    if (after.isEnded && (!before.isEnded || after.end !== before.end))
      throw new AuthKitError('unauthenticated', 'the session has ended during the sign-in');
    const session = toSession(tokens, {
      ...authenticatedAt(transaction, config),
      ...(outcome.data === undefined ? {} : { data: outcome.data }),
      tokenMac,
    });
    publishSignIn(session, config);
    return { session, returnTo: outcome.returnTo, earlierEnd: before.end };
  };
}

/**
 * Returns the earliest time at which the user may have authenticated, in seconds since the epoch. WorkOS accepts an
 * authentication from up to `max_age` seconds ago, so a sign-in with a large `maxAge` does not prove that the user
 * authenticated recently.
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

/** Verifies an access token that WorkOS has just issued. */
export type VerifyInTime = (accessToken: string) => Promise<TokenVerification>;

/**
 * Creates a verifier that waits for the signing keys for at most a quarter of `timeout`. This time is short, because
 * the exchange may already have taken the full `timeout`, and the session must still be stored.
 */
export function createVerifyInTime(verify: VerifyAccessToken, { timeout }: AuthKitConfig): VerifyInTime {
  return async (accessToken) =>
    (await withDeadline(timeout / 4, verify(accessToken, true))) ?? { kind: 'unavailable' };
}

/**
 * Throws unless the access token is valid and belongs to the user in the same response. If the signing keys are
 * unavailable, the token's signature is not verified. This is safe, because the token came from WorkOS over TLS.
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

/**
 * Builds the part of the argument for `onSuccess` that describes the sign-in. All other fields of the response from
 * WorkOS are left out.
 */
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

/** Whether the user was created during this sign-in, or, according to WorkOS, has never signed in before. */
function isFirst({ user }: Tokens, startedAt: number): boolean {
  return user.lastSignInAt === null || Date.parse(user.createdAt) >= startedAt;
}

/**
 * For how long a repeated callback gets the result of the first one, in milliseconds. A callback is repeated after a
 * double click or a reload, for example.
 */
const SHARED = 10_000;

const MAX_STATES = 10_000;

/**
 * The default memory limit for shared results, in bytes. 8 MiB is enough for about 2000 sign-ins within ten seconds.
 */
const MAX_RESULT_BYTES = 8_388_608;

/** The estimated size of a result without its strings, in bytes. */
const EMPTY_RESULT_BYTES = 256;

/** The result of a completed sign-in: the value of the session cookie, and the page to redirect the browser to. */
export interface Completed {
  readonly sealed: string;
  readonly returnTo: string;
}

export interface CallbackReply extends CodeReply {
  state: string;
  /** The secret from the transaction cookie. */
  secret: string;
}

/** Exchanges authorization codes, at most one for each `state`. */
export interface ExchangeOnce {
  /**
   * Exchanges the code of a callback. Callbacks with the same state, secret and code share one exchange for ten
   * seconds. For any other callback with the same state, the result is `spent`, because a different code could be an
   * attempt to inject a code (RFC 9700 section 4.5).
   *
   * @returns The completed sign-in, `spent`, or `answered` if `onSuccess` sent the response to this request.
   * @throws {AuthKitError} if the exchange fails, or if `onSuccess` rejects the sign-in.
   */
  exchange: (reply: CallbackReply) => Promise<Completed | 'spent' | 'answered'>;
  /**
   * Marks a state as spent without exchanging a code, for example, because WorkOS responded with an error or because a
   * native client will redeem the code.
   *
   * @param answer The response from WorkOS: the query of the callback. The same response may be repeated for ten
   * seconds.
   * @returns True for the first callback with this state, and for a repeat of that callback within ten seconds.
   */
  spend: (reply: Pick<CallbackReply, 'state' | 'secret'> & { answer: string }) => boolean;
  /** Returns whether this process has handled a callback with this state. */
  isSpent: (state: string) => boolean;
}

interface Exchange {
  /** The hash of the transaction secret and the code. */
  readonly proof: string;
  /** A promise for the result while the exchange is in progress, otherwise `undefined`. */
  pending: Promise<Completed | 'answered'> | undefined;
}

/** Options of {@link createExchangeOnce}. */
export interface ExchangeOnceOptions extends Pick<Config, 'now' | 'signInLifetime'> {
  /** The memory limit for shared results, in bytes. */
  maxBytes?: number;
}

interface SpentState {
  /** The hash of the transaction secret and the response from WorkOS. */
  readonly proof: string;
  /** The time until which the same response may be repeated, in milliseconds since the epoch. */
  readonly repeatedUntil: number;
}

/**
 * Creates an {@link ExchangeOnce}, which remembers states in the memory of this process.
 *
 * @param complete Exchanges the code at WorkOS and completes the sign-in.
 */
export function createExchangeOnce(
  { now, signInLifetime, maxBytes = MAX_RESULT_BYTES }: ExchangeOnceOptions,
  complete: (reply: CallbackReply) => Promise<Completed | 'answered'>,
): ExchangeOnce {
  const ttl = signInLifetime * 1000 + CLOCK_SKEW;
  // An exchange must be remembered for as long as its state is valid. The result of the exchange is needed only for a
  // short time, so results have a separate map.
  const exchanges = expiringMap<Exchange>({ max: MAX_STATES, ttl, now });
  // States that were spent without an exchange have a separate map. An attacker can cause any number of error
  // responses, and these must not evict exchanges.
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
        // `answered` means that `onSuccess` responded to the first request. This request still needs a response.
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
