import { createVerifier, type TokenClaims } from './access-token.js';
import { createAuthenticator } from './authenticate.js';
import { acrossProcesses } from './cluster.js';
import type { AuthKitConfig } from './config/index.js';
import { createCookies } from './cookies.js';
import { createTokenJudges } from './credentials.js';
import { createKeeping } from './keeping.js';
import { createKeys } from './keys.js';
import { createRefresh } from './refresh.js';
import { createRefreshNews } from './refresh-news.js';
import { createRenewal } from './renewal.js';
import { createRevocation } from './revocation.js';
import { identityIn, openSession, sealSession, type Session } from './session.js';
import { createSessions } from './sessions.js';
import { createSharedStore } from './stores/index.js';
import { patienceOf } from './visit.js';
import { after } from './waiting.js';
import { createWorkOSDoor } from './workos.js';

/** What lives as long as an instance. */
export function createParts(config: AuthKitConfig) {
  const { clientId, issuers, cookiePasswords: passwords, now, timeout } = config;
  const patience = patienceOf(config);
  const store = sharedStoreOf(config, patience);
  const door = createWorkOSDoor(config);
  const keys = createKeys({ fetchKeys: door.fetchKeys, now, patience });
  const verify = createVerifier({ issuers, clientId, now, keys });
  const open = (sealed: string) => openSession(sealed, passwords, now());
  const openKept = (sealed: string) => openSession(sealed, passwords, now(), Infinity);
  const seal = (session: Session) => sealSession(session, passwords[0]);
  const alone = createRenewal({ refresh: door.refresh, verify, seal, ...createRefreshNews(config) });
  // Less than the deadline of a request, so that who waited in vain still has time to go on alone.
  const cluster = store && { store, open: openKept, now, patience: timeout * 1.5 };
  const renew = cluster ? acrossProcesses(alone, cluster) : alone;
  const refresh = createRefresh({ clientId, renew, now });
  const revocation = createRevocation({ store, now });
  const { mode } = config.storage;
  const lifetime = config.cookie.maxAge * 1000;
  const keeping = createKeeping({ mode, store, passwords, open, openKept, seal, lifetime });
  const authenticator = createAuthenticator({
    keeping,
    verify,
    refresh,
    revocation,
    memoryBytes: config.memoryBytes,
    now,
    patience,
  });
  const sessions = createSessions({ keeping, revocation });
  const isLive = (claims: TokenClaims) =>
    after(revocation.standing(identityIn(claims)), (standing) => standing !== 'ended');
  const tokens = createTokenJudges({ verify, door, isLive, now, patience });
  const cookies = createCookies(config.cookie);
  return { cookies, authenticator, sessions, revocation, store, door, verify, tokens, patience };
}

function sharedStoreOf({ storage, clientId, cookiePasswords: passwords }: AuthKitConfig, deadline: number) {
  const { store } = storage;
  return store && createSharedStore({ store, clientId, passwords, deadline });
}
