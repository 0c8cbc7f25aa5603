import type { SessionAuthenticator, SessionResult } from '../auth/request-auth.js';
import type { SSOConfig } from '../config/sso.js';
import { expiringMap } from '../expiring-map.js';
import type { EndSessions } from '../routes/logout.js';
import type { Revocation } from '../session/revocation.js';
import type { SessionIdentity } from '../session/sealed-session.js';
import { openSSOSession, type SSOSession, type VerifiedSSOSession } from '../session/sso-session.js';

/** Maximum size of all cached sessions, in bytes. */
const MAX_CACHE_BYTES = 8 * 1_048_576;

/**
 * Creates the functions that authenticate the session cookies of `sso()` and end its sessions. Neither of them calls
 * WorkOS.
 */
export function createSSOSessions(
  config: SSOConfig,
  revocation: Revocation,
): { authenticator: SessionAuthenticator; endSessions: EndSessions } {
  const openCached = createSessionCache(config);

  return {
    authenticator: {
      authenticate(values) {
        const { candidates, reason } = candidatesOf(values.map(openCached), config);
        for (const verified of candidates) {
          const status = revocation.statusNow(identityOf(verified.session));
          if (status === undefined) return firstActive(candidates, revocation);
          if (status !== 'revoked') return verified;
        }
        return { kind: 'anonymous', reason };
      },
    },
    async endSessions(values) {
      const sessions = values.map(openCached).flatMap((verified) => (verified ? [verified.session] : []));
      await Promise.all(sessions.map(({ id }) => revocation.endSession(id)));
      const [first] = sessions;
      return first && { sessionId: first.id, user: userOf(first) };
    },
  };
}

/** The sessions that have not expired, and the reason to report if none of them is still active. */
function candidatesOf(
  opened: readonly (VerifiedSSOSession | undefined)[],
  { now }: SSOConfig,
): { candidates: readonly VerifiedSSOSession[]; reason: 'none' | 'invalid' | 'expired' | 'ended' } {
  const sessions = opened.filter((verified) => verified !== undefined);
  const candidates = sessions.filter(({ session }) => now() / 1000 < session.expiresAt);
  if (candidates.length > 0) return { candidates, reason: 'ended' };
  if (sessions.length > 0) return { candidates, reason: 'expired' };
  return { candidates, reason: opened.length > 0 ? 'invalid' : 'none' };
}

/** Asks the store for the first session that has not been signed out. If there is none, the reason is `ended`. */
async function firstActive(
  candidates: readonly VerifiedSSOSession[],
  revocation: Revocation,
): Promise<SessionResult> {
  for (const verified of candidates) {
    if ((await revocation.status(identityOf(verified.session))) !== 'revoked') return verified;
  }
  return { kind: 'anonymous', reason: 'ended' };
}

function userOf({ profile }: SSOSession) {
  return { id: profile.id, organizationId: profile.organizationId };
}

/** The identity by which an SSO session is revoked. It contains the session's own ID, because WorkOS has no session. */
function identityOf({ id, profile, signedInAt }: SSOSession): SessionIdentity {
  return { sessionId: id, userId: profile.id, issuedAt: signedInAt };
}

/**
 * Creates a function that opens cookie values. Opened sessions, even expired ones, are cached by value, so most
 * requests need no decryption.
 */
function createSessionCache(config: SSOConfig) {
  const cache = expiringMap<VerifiedSSOSession>({
    now: config.now,
    size: { max: MAX_CACHE_BYTES, of: (_, value) => value.length * 4 + 512 },
  });
  return (value: string): VerifiedSSOSession | undefined => {
    const cached = cache.get(value);
    if (cached) return cached;
    const session = openSSOSession(value, config);
    if (!session) return undefined;
    const verified: VerifiedSSOSession = { kind: 'sso', session };
    cache.set(value, verified);
    return verified;
  };
}
