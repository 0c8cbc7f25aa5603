import type { SessionAuthenticator, SessionResult } from '../auth/request-auth.js';
import type { SSOConfig } from '../config/sso.js';
import { expiringMap } from '../expiring-map.js';
import type { EndSessions } from '../routes/logout.js';
import type { Revocation } from '../session/revocation.js';
import type { SessionIdentity } from '../session/sealed-session.js';
import { openSSOSession, type SSOSession, type VerifiedSSOSession } from '../session/sso-session.js';

/** Of cached sessions, in bytes. */
const MAX_CACHE_BYTES = 8 * 1_048_576;

const NONE: SessionResult = Object.freeze({ kind: 'anonymous', reason: 'none' });

/** Authenticates the session cookies of `sso()`, and ends their sessions. WorkOS is not called for either. */
export function createSSOSessions(
  config: SSOConfig,
  revocation: Revocation,
): { authenticator: SessionAuthenticator; endSessions: EndSessions } {
  const { now } = config;
  const openCached = createSessionCache(config);

  /** The first session that is signed in counts; if there is none, the reason of the last one. */
  const authenticate = async (values: readonly string[]): Promise<SessionResult> => {
    let result: SessionResult = values.length === 0 ? NONE : { kind: 'anonymous', reason: 'invalid' };
    for (const value of values) {
      const verified = openCached(value);
      if (!verified) continue;
      if (now() / 1000 >= verified.session.expiresAt) result = { kind: 'anonymous', reason: 'expired' };
      else if ((await revocation.status(identityOf(verified.session))) !== 'revoked') return verified;
      else result = { kind: 'anonymous', reason: 'ended' };
    }
    return result;
  };

  return {
    authenticator: {
      cached([value]) {
        if (value === undefined) return NONE;
        const verified = openCached(value);
        if (!verified || now() / 1000 >= verified.session.expiresAt) return undefined;
        const status = revocation.statusNow(identityOf(verified.session));
        return status === 'active' ? verified : undefined;
      },
      authenticate,
    },
    async endSessions(values) {
      const sessions = values.map(openCached).flatMap((verified) => (verified ? [verified.session] : []));
      await Promise.all(sessions.map(({ id }) => revocation.endSession(id)));
      const [first] = sessions;
      return first && { sessionId: first.id, user: userOf(first) };
    },
  };
}

function userOf({ profile }: SSOSession) {
  return { id: profile.id, organizationId: profile.organizationId };
}

/** An SSO session is revoked by its own ID. */
function identityOf({ id, profile, signedInAt }: SSOSession): SessionIdentity {
  return { sessionId: id, userId: profile.id, issuedAt: signedInAt };
}

/** Opens cookie values. Opened sessions are cached by value, expired ones too, so that most requests decrypt nothing. */
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
