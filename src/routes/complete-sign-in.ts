import type { AuthKitConfig, Config } from '../config/index.js';
import type { SignInResult } from '../config/authkit-options.js';
import { type Deadline, withDeadline } from '../deadline.js';
import { publish } from '../diagnostics.js';
import { AuthKitError } from '../errors.js';
import { expiringMap } from '../expiring-map.js';
import type { Request, Response } from '../http/handler-to-middleware.js';
import { ownProperties } from '../plain-objects.js';
import { CLOCK_SKEW } from '../session/purpose-bound-seal.js';
import type { Revocation, SessionEnd } from '../session/revocation.js';
import {
  type Session,
  type SessionExtension,
  sessionIdentityIn,
  sessionIdOf,
  toSession,
} from '../session/sealed-session.js';
import {
  decodeUnverified,
  macOf,
  type TokenVerification,
  type VerifyAccessToken,
} from '../workos/access-token.js';
import type { Tokens } from '../workos/api-client.js';
import { runOnSuccess } from './on-success.js';
import type { Transaction } from './sign-in-transaction.js';
import type { SaveAttributes } from './sign-up.js';

/** A sign-in that WorkOS has confirmed and the application has accepted. */
export interface SignedInSession {
  readonly session: Session;
  readonly returnTo: string;
  /** How a session with the same ID was ended before this sign-in, or `undefined` if it was not ended. */
  readonly earlierEnd: SessionEnd | undefined;
}

/** The parts of a sign-in's transaction that are needed to accept the sign-in. */
export type SignInStart = Pick<
  Transaction,
  'returnTo' | 'callback' | 'state' | 'attributes' | 'from' | 'issuedAt' | 'restartOf' | 'maxAge'
>;

export interface ConfirmedSignIn {
  /** The tokens from WorkOS, which the caller has already checked. */
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
export type CompleteSignIn = (signIn: ConfirmedSignIn) => Promise<SignedInSession | 'answered'>;

/** The maximum number of users whose first sign-in is remembered. */
const MAX_NEW_USERS = 10_000;

export interface CompleteSignInDependencies {
  config: AuthKitConfig;
  saveAttributes: SaveAttributes;
  verifyInTime: VerifyInTime;
  revocation: Pick<Revocation, 'status' | 'endOf'>;
  /** Returns the current time according to WorkOS's clock, in milliseconds since the epoch. */
  workosNow: () => number;
}

export function createCompleteSignIn({
  config,
  saveAttributes,
  verifyInTime,
  revocation,
  workosNow,
}: CompleteSignInDependencies): CompleteSignIn {
  // The IDs of users whose first sign-in was accepted. If a new user signs in again within `signInLifetime`, that
  // sign-in must not count as a first sign-in, because saving its attributes could overwrite a role that an
  // administrator has assigned in the meantime.
  const signedInOnce = expiringMap<true>({
    max: MAX_NEW_USERS,
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
    // The time is converted to WorkOS's clock, because it is compared with the times at which WorkOS created the user
    // and the membership.
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
    // If the session had been ended before this sign-in, in this application but not at WorkOS, the sign-in starts it
    // again. If the session was ended during this sign-in, it stays ended.
    const after = await endOf(tokens.accessToken);
    if (after.isEnded && (!before.isEnded || after.end !== before.end))
      throw new AuthKitError('unauthenticated', 'the session has ended during the sign-in');
    const session = toSession(tokens, {
      ...freshness(transaction, config),
      ...(outcome.data === undefined ? {} : { data: outcome.data }),
      tokenMac,
    });
    publishSignIn(session, config);
    return { session, returnTo: outcome.returnTo, earlierEnd: before.end };
  };
}

/**
 * Returns the session's `signedInAt` and `authenticatedAt` fields. The result is empty if the sign-in has no `maxAge`.
 * For a sign-in with `maxAge`, WorkOS accepts an authentication from up to that many seconds ago. `authenticatedAt` is
 * therefore `maxAge` seconds before `signedInAt`.
 */
function freshness(
  { maxAge }: SignInStart,
  { now }: Config,
): Pick<SessionExtension, 'signedInAt' | 'authenticatedAt'> {
  const signedInAt = Math.floor(now() / 1000);
  return maxAge === undefined ? {} : { signedInAt, authenticatedAt: signedInAt - maxAge };
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

/**
 * Builds the part of the argument for `onSuccess` that describes the sign-in. Fields of the response from WorkOS that
 * are not listed here are left out.
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
 * Verifies an access token that WorkOS has just issued. The result is `unavailable` if the signing keys do not arrive
 * in time.
 */
export type VerifyInTime = (accessToken: string) => Promise<TokenVerification>;

/**
 * Creates a verifier that waits for the signing keys for at most a quarter of `timeout`. This time is short, because
 * the exchange may already have taken the full `timeout`, and the session must still be stored.
 */
export function createVerifyInTime(verify: VerifyAccessToken, { timeout }: AuthKitConfig): VerifyInTime {
  return async (accessToken) =>
    (await withDeadline(timeout / 4, verify(accessToken, true))) ?? { kind: 'unavailable' };
}
