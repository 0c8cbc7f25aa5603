import { decodeUnverified, type VerifyAccessToken } from './access-token.js';
import type { AuthKitConfig } from './config/index.js';
import { runOnSuccess } from './decision.js';
import { unavailable } from './errors.js';
import { publish } from './events.js';
import type { SignInResult } from './options.js';
import type { SaveAttributes } from './save-attributes.js';
import { sessionIdOf, toSession, type Session } from './session.js';
import type { SignInReply } from './sign-in-completion.js';
import type { Transaction } from './transaction.js';
import type { Tokens, WorkOSClient } from './workos.js';

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
    const tokens = facts.isFirstSignIn ? await save(answer.value, facts.attributes) : answer.value;
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
