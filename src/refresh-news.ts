import type { AuthKitConfig } from './config/index.js';
import { publish } from './events.js';
import { log } from './log.js';
import type { TokenRefreshOptions } from './renewal.js';
import { sessionIdOf, type Session } from './session.js';

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
