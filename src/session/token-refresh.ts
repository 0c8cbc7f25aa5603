import type { AuthKitConfig } from '../config/index.js';
import { AuthKitError, unavailable } from '../errors.js';
import { log, publish } from '../events.js';
import { decodeUnverified, type VerifyAccessToken } from '../workos/access-token.js';
import type { ApiResult, Tokens } from '../workos/client.js';
import { type Session, sessionIdOf, withTokens } from './sealed-session.js';

/** A session with new tokens, and the organization that was asked for; empty for none. */
export interface RefreshedSession {
  readonly kind: 'refreshed';
  readonly organization: string;
  readonly session: Session;
  readonly sealed: string;
}

/** What a refresh came to. Only `refused` says that the session is over, or that WorkOS wants one more step. */
export type RefreshResult =
  | RefreshedSession
  | { readonly kind: 'refused'; readonly error: AuthKitError }
  | { readonly kind: 'unavailable'; readonly error: AuthKitError };

/** Exchanges the refresh token of a session for new tokens, in an organization. Never rejects. */
export type RefreshTokens = (session: Session, organizationId: string | undefined) => Promise<RefreshResult>;

export interface TokenRefreshOptions {
  refresh: (refreshToken: string, organizationId: string | undefined) => Promise<ApiResult<Tokens>>;
  verify: VerifyAccessToken;
  seal: (session: Session) => Promise<string>;
  onRefreshed: (session: Session) => void;
  onFailed: (failure: Exclude<RefreshResult, RefreshedSession>, session: Session) => void;
}

/** Results are remembered at least this long, in milliseconds: browsers send the old cookie a little longer. */
export const REMEMBERED = 60_000;

/** How long a result is remembered, in milliseconds: until the new token is due. */
export function rememberedFor(result: RefreshResult, now: number): number {
  const exp = result.kind === 'refreshed' ? decodeUnverified(result.session.accessToken)['exp'] : undefined;
  return Math.max(REMEMBERED, typeof exp === 'number' ? exp * 1000 - now : 0);
}

/** Makes the exchange at WorkOS, believed only if it is about the same person. */
export function createTokenRefresh(options: TokenRefreshOptions): RefreshTokens {
  return async (session, organizationId) => {
    const result = await attempt(session, organizationId, options);
    if (result.kind === 'refreshed') options.onRefreshed(result.session);
    else options.onFailed(result, session);
    return result;
  };
}

async function attempt(
  session: Session,
  organizationId: string | undefined,
  { refresh, verify, seal }: TokenRefreshOptions,
): Promise<RefreshResult> {
  try {
    const answer = await refresh(session.refreshToken, organizationId);
    if (answer.kind === 'refused') return { kind: 'refused', error: toSessionEnded(answer.error) };
    if (answer.kind === 'unavailable') return answer;
    const next = withTokens(session, answer.value);
    const problem = await problemOf(session, next, verify);
    if (problem !== undefined) return { kind: 'unavailable', error: unavailable(`WorkOS sent ${problem}`) };
    return { kind: 'refreshed', organization: organizationId ?? '', session: next, sealed: await seal(next) };
  } catch (cause) {
    return { kind: 'unavailable', error: unavailable('the session could not be refreshed', { cause }) };
  }
}

/**
 * A new `sid` is accepted (WorkOS may open a new session), another person never. Keys that cannot be had now are no
 * reason to lose the tokens: they came from WorkOS itself, and will be judged when the keys are back.
 */
async function problemOf(
  before: Session,
  next: Session,
  verify: VerifyAccessToken,
): Promise<string | undefined> {
  if (next.user.id !== before.user.id) return 'the session of another user';
  const verification = await verify(next.accessToken, true);
  if (verification.kind === 'invalid') return `an access token that does not hold (${verification.reason})`;
  if (verification.kind === 'expired') return 'an access token that has expired by the clock of this server';
  const subject =
    verification.kind === 'valid' ? verification.claims.sub : decodeUnverified(next.accessToken)['sub'];
  return subject === before.user.id ? undefined : 'an access token of another user';
}

/** `invalid_grant` about a refresh token is the end of the session, whatever WorkOS calls the reason. */
function toSessionEnded(error: AuthKitError): AuthKitError {
  return error.code === 'code_exchange_failed' ? sessionEnded(error).error : error;
}

/** The session is over. */
export function sessionEnded(cause?: AuthKitError): { kind: 'refused'; error: AuthKitError } {
  return {
    kind: 'refused',
    error: new AuthKitError('unauthenticated', 'the session has ended', cause ? { cause } : {}),
  };
}

/** Whether the token itself was refused, and not only for what one organization demands. */
export function isSessionEnded(result: RefreshResult): boolean {
  return result.kind === 'refused' && result.error.code === 'unauthenticated';
}

/** Who learns of a refresh: the application's hooks, and whoever subscribed to its events. */
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
    onFailed({ kind: outcome, error }, session) {
      publish('refresh-failed', { ...about(session), outcome, code: error.code });
      notify(hooks.onSessionRefreshError, { error, sessionId: sessionIdOf(session) });
    },
  };
}

/** A hook that only learns of something cannot fail a request. */
function notify<T>(hook: ((context: T) => unknown) | undefined, context: T): void {
  const failed = (error: unknown) => {
    log('hook', { failed: error instanceof Error ? error.name : typeof error });
  };
  try {
    Promise.resolve(hook?.(context)).catch(failed);
  } catch (error) {
    failed(error);
  }
}
