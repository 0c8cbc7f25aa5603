import type { AuthKitConfig } from '../config/index.js';
import { AuthKitError, isUnfinished, unavailable } from '../errors.js';
import { createWarning, errorNameOf, log, publish, type RefreshFailureReason } from '../diagnostics.js';
import {
  decodeUnverified,
  macOf,
  type TokenVerification,
  type VerifyAccessToken,
} from '../workos/access-token.js';
import type { ApiResult, Tokens } from '../workos/api-client.js';
import { classifyErrorAnswer } from '../workos/error-answers.js';
import { UpstreamError } from '../workos/fetch.js';
import { type Session, sessionIdOf, withTokens } from './sealed-session.js';

/** A session with new tokens. */
export interface RefreshedSession {
  readonly kind: 'refreshed';
  /** The ID of the requested organization; empty if none was requested. */
  readonly organization: string;
  readonly session: Session;
  readonly sealed: string;
}

/**
 * The result of a refresh. `refused` means that the session has ended, or that WorkOS requires a further step from the
 * user. `unavailable` means that the session may still be valid.
 */
export type RefreshResult =
  | RefreshedSession
  | { readonly kind: 'refused'; readonly error: AuthKitError }
  | { readonly kind: 'unavailable'; readonly error: AuthKitError };

/**
 * Exchanges a session's refresh token for new tokens. If `organizationId` is given, the new tokens are for that
 * organization. Never rejects.
 */
export type RefreshTokens = (session: Session, organizationId: string | undefined) => Promise<RefreshResult>;

export interface TokenRefreshOptions {
  refresh: (refreshToken: string, organizationId: string | undefined) => Promise<ApiResult<Tokens>>;
  verify: VerifyAccessToken;
  seal: (session: Session) => Promise<string>;
  onRefreshed: (session: Session) => void;
  onFailed: (failure: Exclude<RefreshResult, RefreshedSession>, session: Session) => void;
}

/**
 * The minimum time for which a refresh result is remembered, in milliseconds. During this time, browsers may still send
 * the old cookie.
 */
export const REMEMBERED_FOR = 60_000;

/**
 * Returns how long a refresh result is remembered, in milliseconds: until the new access token expires, but for at
 * least {@link REMEMBERED_FOR}.
 */
export function rememberedFor(result: RefreshResult, now: number): number {
  const expiresAt = result.kind === 'refreshed' ? expiryOf(result.session) : undefined;
  return Math.max(REMEMBERED_FOR, expiresAt === undefined ? 0 : expiresAt - now);
}

/** Whether the access token of a session has expired according to this server's clock. */
export function isExpired(session: Session, now: number): boolean {
  const expiresAt = expiryOf(session);
  return expiresAt !== undefined && expiresAt <= now;
}

/** Returns when a session's access token expires, in milliseconds since the epoch; `undefined` if it has no `exp`. */
function expiryOf({ accessToken }: Session): number | undefined {
  const { exp } = decodeUnverified(accessToken);
  return typeof exp === 'number' ? exp * 1000 : undefined;
}

/**
 * Creates the function that refreshes tokens at WorkOS. If WorkOS responds with tokens for a different user than the
 * session's, the result is `unavailable`.
 */
export function createTokenRefresh(options: TokenRefreshOptions): RefreshTokens {
  return async (session, organizationId) => {
    const result = await refreshTokens(session, organizationId, options);
    if (result.kind === 'refreshed') options.onRefreshed(result.session);
    else options.onFailed(result, session);
    return result;
  };
}

async function refreshTokens(
  session: Session,
  organizationId: string | undefined,
  { refresh, verify, seal }: TokenRefreshOptions,
): Promise<RefreshResult> {
  try {
    const answer = await refresh(session.refreshToken, organizationId);
    if (answer.kind === 'refused') return { kind: 'refused', error: toSessionEnded(answer.error) };
    if (answer.kind === 'unavailable') return answer;
    const verification = await verify(answer.value.accessToken, true);
    const problem = problemOf(session, answer.value, verification);
    if (problem !== undefined) return { kind: 'unavailable', error: unavailable(`WorkOS sent ${problem}`) };
    const next = withTokens(session, answer.value, macOf(verification));
    return { kind: 'refreshed', organization: organizationId ?? '', session: next, sealed: await seal(next) };
  } catch (cause) {
    return { kind: 'unavailable', error: unavailable('the session could not be refreshed', { cause }) };
  }
}

/**
 * Returns why a response from WorkOS is not accepted, or `undefined` if it is accepted. A response for a different user
 * is not accepted. A response with a new `sid` is accepted, because WorkOS may start a new session. Tokens are also
 * accepted if they cannot currently be verified, which happens if the signing keys are unavailable or this server's
 * clock is ahead. The old refresh token is no longer valid, so the new tokens must not be lost. They came from WorkOS
 * itself, and every request verifies the access token again.
 */
function problemOf(before: Session, next: Tokens, verification: TokenVerification): string | undefined {
  if (next.user.id !== before.user.id) return 'the session of another user';
  if (verification.kind === 'invalid') return `an access token that is not valid (${verification.reason})`;
  const subject =
    verification.kind === 'valid' ? verification.claims.sub : decodeUnverified(next.accessToken)['sub'];
  return subject === before.user.id ? undefined : 'an access token of another user';
}

const warn = createWarning('AUTHKIT_CLOCK');

/** Warns that this server's clock is ahead. */
export function warnAboutClock(): void {
  warn(
    'WorkOS issued an access token that has already expired by the clock of this server, so requests are answered with 503. ' +
      'Set the clock, e.g. with NTP.',
  );
}

/**
 * Returns an `unauthenticated` error in place of an error that `invalid_grant` caused. If WorkOS returns
 * `invalid_grant` for a refresh token, the session has ended, whatever the error description says. All other errors are
 * returned unchanged.
 */
function toSessionEnded(error: AuthKitError): AuthKitError {
  return error.code === 'code_exchange_failed' ? sessionEnded(error).error : error;
}

/** Creates the result for a session that has ended. */
export function sessionEnded(cause?: AuthKitError): { kind: 'refused'; error: AuthKitError } {
  return {
    kind: 'refused',
    error: new AuthKitError('unauthenticated', 'the session has ended', cause ? { cause } : {}),
  };
}

/**
 * Whether a result means that the session has ended. False if WorkOS only requires a further step for an organization.
 */
export function isSessionEnded(result: RefreshResult): boolean {
  return result.kind === 'refused' && result.error.code === 'unauthenticated';
}

/**
 * Whether a session's refresh token can no longer be used after this result. WorkOS may return the same refresh token
 * again. In that case, the result is not remembered, because the next refresh with this token may have a different
 * result.
 */
export function isTokenSpent({ refreshToken }: Session, result: RefreshResult): boolean {
  return result.kind === 'refreshed' ? result.session.refreshToken !== refreshToken : isSessionEnded(result);
}

/** Creates the callbacks that report each refresh to the application's hooks and to event subscribers. */
export function createRefreshHooks({
  clientId,
  hooks,
}: AuthKitConfig): Pick<TokenRefreshOptions, 'onRefreshed' | 'onFailed'> {
  const about = (session: Session) => ({
    clientId,
    userId: session.user.id,
    sessionId: sessionIdOf(session),
    organizationId: session.organizationId,
  });
  return {
    onRefreshed(session) {
      const { user, organizationId, accessToken, refreshToken, impersonator } = session;
      publish('refresh', about(session));
      notify(hooks.onSessionRefreshSuccess, {
        user,
        organizationId,
        accessToken,
        refreshToken,
        impersonator,
      });
    },
    onFailed(failure, session) {
      const { kind: outcome, error } = failure;
      const { reason, status } = causeOf(failure);
      publish('refresh-failed', { ...about(session), outcome, code: error.code, reason, status });
      notify(hooks.onSessionRefreshError, { error, sessionId: sessionIdOf(session) });
    },
  };
}

/** Returns why a refresh failed, and the HTTP status of the WorkOS response, if known. */
function causeOf(failure: Exclude<RefreshResult, RefreshedSession>): {
  reason: RefreshFailureReason;
  status: number | undefined;
} {
  const { kind, error } = failure;
  if (kind === 'refused') {
    const reason = isUnfinished(error.code) ? 'next_step' : 'refused';
    return { reason: isSessionEnded(failure) ? 'session_ended' : reason, status: undefined };
  }
  const answer = UpstreamError.from(error.cause);
  if (answer) {
    const isMisconfigured = classifyErrorAnswer(answer).kind === 'misconfigured';
    return { reason: isMisconfigured ? 'misconfigured' : answer.reason, status: answer.status };
  }
  // If WorkOS has responded but this package does not accept the response, the error has no `cause`.
  const isAnswer = error.code === 'upstream_unavailable' && error.cause === undefined;
  return { reason: isAnswer ? 'answer' : 'internal', status: undefined };
}

/** Calls one of the application's hooks. An error in the hook is logged and does not make the request fail. */
function notify<T>(hook: ((context: T) => unknown) | undefined, context: T): void {
  const failed = (error: unknown) => {
    log('hook', { failed: errorNameOf(error) });
  };
  try {
    Promise.resolve(hook?.(context)).catch(failed);
  } catch (error) {
    failed(error);
  }
}
