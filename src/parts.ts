import { createVerifier, type TokenClaims } from './access-token.js';
import { createAuthenticator } from './authenticate.js';
import { withRefreshLock } from './cluster.js';
import type { AuthKitConfig } from './config/index.js';
import { createCookies } from './cookies.js';
import { createBearerVerifiers } from './credentials.js';
import { createSessionStorage } from './keeping.js';
import { createJWKS } from './keys.js';
import { createRefresh } from './refresh.js';
import { createRefreshHooks } from './refresh-news.js';
import { createTokenRefresh } from './renewal.js';
import { createRevocation } from './revocation.js';
import { sessionIdentityIn, openSession, sealSession, type Session } from './session.js';
import { createSessions } from './sessions.js';
import { createSharedStore } from './stores/index.js';
import { softTimeoutOf } from './visit.js';
import { after } from './waiting.js';
import { createWorkOSClient } from './workos.js';

/** What lives as long as an instance. */
export function createInstance(config: AuthKitConfig) {
  const { clientId, issuers, cookiePasswords: passwords, now, timeout } = config;
  const softTimeout = softTimeoutOf(config);
  const store = sharedStoreOf(config, softTimeout);
  const workos = createWorkOSClient(config);
  const keys = createJWKS({ fetchKeys: workos.fetchKeys, now, softTimeout: softTimeout });
  const verify = createVerifier({ issuers, clientId, now, keys });
  const open = (sealed: string) => openSession(sealed, passwords, now());
  const openKept = (sealed: string) => openSession(sealed, passwords, now(), Infinity);
  const seal = (session: Session) => sealSession(session, passwords[0]);
  const alone = createTokenRefresh({ refresh: workos.refresh, verify, seal, ...createRefreshHooks(config) });
  // Less than the deadline of a request, so that who waited in vain still has time to go on alone.
  const cluster = store && { store, open: openKept, now, waitForLock: timeout * 1.5 };
  const renew = cluster ? withRefreshLock(alone, cluster) : alone;
  const refresh = createRefresh({ clientId, renew, now });
  const revocation = createRevocation({ store, now });
  const { mode } = config.storage;
  const lifetime = config.cookie.maxAge * 1000;
  const storage = createSessionStorage({ mode, store, passwords, open, openKept, seal, lifetime });
  const authenticator = createAuthenticator({
    storage,
    verify,
    refresh,
    revocation,
    memoryBytes: config.memoryBytes,
    now,
    softTimeout: softTimeout,
  });
  const sessions = createSessions({ storage, revocation });
  const isLive = (claims: TokenClaims) =>
    after(revocation.status(sessionIdentityIn(claims)), (status) => status !== 'revoked');
  const tokens = createBearerVerifiers({ verify, workos, isLive, now, softTimeout: softTimeout });
  const cookies = createCookies(config.cookie);
  return { cookies, authenticator, sessions, revocation, store, workos, verify, tokens, softTimeout };
}

function sharedStoreOf({ storage, clientId, cookiePasswords: passwords }: AuthKitConfig, deadline: number) {
  const { store } = storage;
  return store && createSharedStore({ store, clientId, passwords, deadline });
}
