import type { Impersonator } from '@workos-inc/node';
import type { JWTPayload } from 'jose';
import type { Grants } from './directory.js';
import { newId, newSecret } from './tokens.js';

/** A session at WorkOS. Its id stays the same for all its tokens. */
export interface Session {
  readonly id: string;
  readonly userId: string;
  organizationId: string | undefined;
  /** What `signIn` granted in the organization that it signed in to; elsewhere the membership counts. */
  readonly named: Grants & { organizationId: string | undefined };
  readonly impersonator: Impersonator | undefined;
  readonly authenticationMethod: string;
  /** Seconds since the epoch, if the sign-in asked for `max_age`. */
  readonly authTime: number | undefined;
  /** Claims beyond WorkOS's own. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  isEnded: boolean;
}

export type NewSession = Omit<Session, 'id' | 'isEnded' | 'named' | 'createdAt'> & {
  readonly named?: Grants;
};

/** An access token and the refresh token that replaces it. */
export interface TokenPair {
  readonly session: Session;
  readonly accessToken: string;
  readonly refreshToken: string;
}

export type Refusal = 'unknown' | 'ended' | 'exchanged';

interface RefreshToken {
  readonly session: Session;
  /** Milliseconds since the epoch. */
  exchangedAt?: number;
  successor?: Promise<TokenPair>;
}

export interface Sessions {
  /** @param lifetime Of the first access token, in seconds, if it is not the usual one. */
  start: (session: NewSession, lifetime?: number) => Promise<TokenPair>;
  /** The session that a refresh token could refresh now, or why it cannot. */
  check: (refreshToken: string) => Session | Refusal;
  /** Exchanges a refresh token that `check` let pass. A repetition in time gets the very same pair. */
  rotate: (refreshToken: string, organizationId: string | undefined) => Promise<TokenPair>;
  find: (sessionId: string) => Session | undefined;
  /** Those that have not ended, the newest first. */
  activeOf: (userId: string) => readonly Session[];
  end: (sessionId: string) => void;
  endAllOf: (userId: string) => void;
}

export interface SessionRules {
  now: () => number;
  /** Seconds for which an exchanged refresh token still gets the pair it was exchanged for. */
  replayWindow: () => number;
  issue: (session: Session, lifetime?: number) => Promise<string>;
}

/** Sessions and their refresh tokens, which rotate (RFC 9700 section 4.14.2). */
export function createSessions({ now, replayWindow, issue }: SessionRules): Sessions {
  const sessions = new Map<string, Session>();
  const refreshTokens = new Map<string, RefreshToken>();

  const pairFor = async (session: Session, lifetime?: number): Promise<TokenPair> => {
    const accessToken = await issue(session, lifetime);
    const refreshToken = newSecret();
    refreshTokens.set(refreshToken, { session });
    return { session, accessToken, refreshToken };
  };

  return {
    start: (fields, lifetime) => {
      const named = { ...fields.named, organizationId: fields.organizationId };
      const session: Session = { ...fields, named, id: newId('session'), createdAt: now(), isEnded: false };
      sessions.set(session.id, session);
      return pairFor(session, lifetime);
    },
    check: (value) => {
      const token = refreshTokens.get(value);
      if (!token) return 'unknown';
      if (token.session.isEnded) return 'ended';
      return isReplayable(token, now(), replayWindow()) ? token.session : 'exchanged';
    },
    rotate: (value, organizationId) => {
      const token = refreshTokens.get(value);
      if (!token) throw new Error('only a refresh token that was checked is rotated');
      if (token.successor) return token.successor;
      // Marked before anything is awaited: of two exchanges at once, the second is the repetition.
      token.exchangedAt = now();
      token.session.organizationId = organizationId;
      return (token.successor = pairFor(token.session));
    },
    find: (sessionId) => sessions.get(sessionId),
    activeOf: (userId) =>
      [...sessions.values()].filter((one) => one.userId === userId && !one.isEnded).reverse(),
    end: (sessionId) => {
      const session = sessions.get(sessionId);
      if (session) session.isEnded = true;
    },
    endAllOf: (userId) => {
      for (const session of sessions.values()) session.isEnded ||= session.userId === userId;
    },
  };
}

function isReplayable({ exchangedAt }: RefreshToken, now: number, replayWindow: number): boolean {
  return exchangedAt === undefined || now - exchangedAt < replayWindow * 1000;
}

export interface AccessTokenContext {
  issuer: string;
  clientId: string;
  /** Seconds since the epoch. */
  issuedAt: number;
  /** Seconds; negative for a token that has expired already. */
  lifetime: number;
}

/**
 * The claims of a WorkOS access token. A claim without a value is left out.
 *
 * @see https://workos.com/docs/reference/authkit/session-tokens/access-token
 */
export function accessTokenClaims(session: Session, grants: Grants, context: AccessTokenContext): JWTPayload {
  const { issuer, clientId, issuedAt, lifetime } = context;
  const claims: Record<string, unknown> = {
    iss: issuer,
    sub: session.userId,
    // RFC 8693 section 4.1: the party that acts for the subject.
    act: session.impersonator ? { sub: session.impersonator.email } : undefined,
    sid: session.id,
    jti: newId('jti').slice('jti_'.length),
    org_id: session.organizationId,
    role: grants.role,
    roles: grants.roles,
    permissions: grants.permissions,
    entitlements: grants.entitlements,
    feature_flags: grants.featureFlags,
    client_id: clientId,
    auth_time: session.authTime,
    exp: issuedAt + lifetime,
    iat: issuedAt,
    ...session.claims,
  };
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}
