import type { Deadline } from '../deadline.js';
import { unavailable } from '../errors.js';
import type { Request, Response } from '../http/handler-to-middleware.js';
import { decodeUnverified } from '../workos/access-token.js';
import type { Tokens, WorkOSClient } from '../workos/api-client.js';
import type { CompleteSignIn, SignedInSession, VerifyInTime } from './complete-sign-in.js';
import type { Transaction } from './sign-in-transaction.js';

/** The values that a code exchange needs. They come from a callback or from a client's request to the token route. */
export interface CodeExchangeRequest {
  code: string;
  codeVerifier: string;
  transaction: Transaction;
  req: Request;
  res: Response;
  /** The request's deadline. It does not limit application code, such as `onSuccess`. */
  deadline: Deadline;
}

/**
 * Exchanges a code for tokens. This function does not check whether the code has been exchanged before:
 * `ExchangeOnce` does that for callbacks, and the token route does it for the codes of clients.
 *
 * @returns The session, or `answered` if `onSuccess` sent the response. In the latter case, no session is created.
 * @throws {AuthKitError} if the exchange fails, or if `onSuccess` rejects the sign-in.
 */
export type ExchangeCode = (request: CodeExchangeRequest) => Promise<SignedInSession | 'answered'>;

export interface CodeExchangeDependencies {
  workos: WorkOSClient;
  verifyInTime: VerifyInTime;
  completeSignIn: CompleteSignIn;
}

export function createCodeExchange({
  workos,
  verifyInTime,
  completeSignIn,
}: CodeExchangeDependencies): ExchangeCode {
  return async ({ code, codeVerifier, ...signIn }) => {
    const result = await workos.exchangeCode(code, codeVerifier);
    if (result.kind !== 'ok') throw result.error;
    await assertTokens(result.value, verifyInTime);
    return completeSignIn({ ...signIn, tokens: result.value });
  };
}

/**
 * Checks that the access token belongs to the user in the same response and, if the signing keys are available, that it
 * is valid. Without the keys, it is safe not to verify the token, because it came from WorkOS over TLS.
 *
 * @throws {AuthKitError} `upstream_unavailable` if either check fails.
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
