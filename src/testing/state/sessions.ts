import type { Impersonator } from '@workos-inc/node';
import type { JWTPayload } from 'jose';
import type { Grants } from './users-and-organizations.js';
import { newId, newSecret } from './tokens.js';

/** A session at WorkOS. Its id stays the same for all its tokens. */
export interface Session {
  readonly id: string;
  readonly userId: string;
  organizationId: string | undefined;
  /**
   * Whether the user was a member of the organization when the session started in it or switched to it. If so, the
   * session ends with the membership. `signIn` can name an organization to which the user does not belong.
   */
  isMember: boolean;
  /**
   * What `signIn` granted. It applies only in the organization that `signIn` named. In any other organization, the
   * membership decides.
   */
  readonly named: Grants & { organizationId: string | undefined };
  readonly impersonator: Impersonator | undefined;
  readonly authenticationMethod: string;
  /** When the user authenticated, in seconds since the epoch. */
  readonly authTime: number;
  readonly userAgent: string | undefined;
  readonly ipAddress: string | undefined;
  /** Claims in addition to WorkOS's own. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** When the session started, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** When the session ended, in milliseconds since the epoch; `undefined` while it is active. */
  endedAt: number | undefined;
}

export type NewSession = Omit<
  Session,
  'id' | 'endedAt' | 'named' | 'createdAt' | 'userAgent' | 'ipAddress'
> & {
  readonly named?: Grants;
  readonly userAgent?: string | undefined;
  readonly ipAddress?: string | undefined;
};

/** An access token and the refresh token issued with it. */
export interface TokenPair {
  readonly session: Session;
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** Why a refresh token is refused. */
export type Refusal = 'unknown' | 'ended' | 'exchanged';

interface RefreshToken {
  readonly session: Session;
  /** When the token was first exchanged, in milliseconds since the epoch. */
  exchangedAt?: number;
  successor?: Promise<TokenPair>;
}

export interface Sessions {
  /**
   * Starts a session.
   *
   * @param lifetime Lifetime of the first access token, in seconds, if it is not the usual one.
   */
  start: (session: NewSession, lifetime?: number) => Promise<TokenPair>;
  /** The session that a refresh token can refresh now, or why the token is refused. */
  check: (refreshToken: string) => Session | Refusal;
  /**
   * Exchanges a refresh token that `check` has accepted. Repeating the exchange within the replay window returns the
   * same pair.
   */
  rotate: (refreshToken: string, organizationId: string | undefined, isMember: boolean) => Promise<TokenPair>;
  find: (sessionId: string) => Session | undefined;
  /** The sessions that have not ended, oldest first. */
  activeOf: (userId: string) => readonly Session[];
  end: (sessionId: string) => void;
  endAllOf: (userId: string) => void;
}

export interface SessionRules {
  now: () => number;
  /** How long an exchanged refresh token still returns the pair it was exchanged for, in seconds. */
  replayWindow: () => number;
  issueAccessToken: (session: Session, lifetime?: number) => Promise<string>;
}

/** Creates the sessions of a test WorkOS, with rotating refresh tokens (RFC 9700 section 4.14.2). */
export function createSessions({ now, replayWindow, issueAccessToken }: SessionRules): Sessions {
  const sessions = new Map<string, Session>();
  const refreshTokens = new Map<string, RefreshToken>();

  const pairFor = async (session: Session, lifetime?: number): Promise<TokenPair> => {
    const accessToken = await issueAccessToken(session, lifetime);
    const refreshToken = newSecret();
    refreshTokens.set(refreshToken, { session });
    return { session, accessToken, refreshToken };
  };

  return {
    start: (fields, lifetime) => {
      const session: Session = {
        userAgent: undefined,
        ipAddress: undefined,
        ...fields,
        named: { ...fields.named, organizationId: fields.organizationId },
        id: newId('session'),
        createdAt: now(),
        endedAt: undefined,
      };
      sessions.set(session.id, session);
      return pairFor(session, lifetime);
    },
    check: (value) => {
      const token = refreshTokens.get(value);
      if (!token) return 'unknown';
      if (token.session.endedAt !== undefined) return 'ended';
      return isReplayable(token, now(), replayWindow()) ? token.session : 'exchanged';
    },
    rotate: (value, organizationId, isMember) => {
      const token = refreshTokens.get(value);
      if (!token) throw new Error('only a refresh token that was checked can be rotated');
      if (token.successor) return token.successor;
      // Set before the first await, so that the second of two concurrent exchanges counts as a repetition.
      token.exchangedAt = now();
      token.session.organizationId = organizationId;
      token.session.isMember = isMember;
      return (token.successor = pairFor(token.session));
    },
    find: (sessionId) => sessions.get(sessionId),
    activeOf: (userId) =>
      [...sessions.values()].filter((one) => one.userId === userId && one.endedAt === undefined),
    end: (sessionId) => {
      const session = sessions.get(sessionId);
      if (session) session.endedAt ??= now();
    },
    endAllOf: (userId) => {
      for (const session of sessions.values()) if (session.userId === userId) session.endedAt ??= now();
    },
  };
}

function isReplayable({ exchangedAt }: RefreshToken, now: number, replayWindow: number): boolean {
  return exchangedAt === undefined || now - exchangedAt < replayWindow * 1000;
}

export interface AccessTokenContext {
  issuer: string;
  clientId: string;
  /** When the token is issued, in seconds since the epoch. */
  issuedAt: number;
  /** Lifetime of the token, in seconds; negative for a token that has already expired. */
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
