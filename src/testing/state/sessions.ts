import type { Impersonator } from '@workos-inc/node';
import type { JWTPayload } from 'jose';
import type { Grants } from './users-and-organizations.js';
import { newId, newSecret } from './tokens.js';

/** A session at WorkOS. Its id stays the same when its tokens are refreshed. */
export interface Session {
  readonly id: string;
  readonly userId: string;
  organizationId: string | undefined;
  /**
   * Whether the user was a member of the organization when the session started in it or switched to it. If so, the
   * session can be refreshed in that organization only while the user is a member. The value is false if `signIn` was
   * called with an organization that the user does not belong to. Such a session can be refreshed there regardless.
   */
  isMember: boolean;
  /**
   * The role, permissions and other rights that were passed to `signIn`. They apply only in the organization in which
   * `signIn` started the session. In any other organization, the rights come from the membership.
   */
  readonly named: Grants & { organizationId: string | undefined };
  readonly impersonator: Impersonator | undefined;
  readonly authenticationMethod: string;
  /** When the user authenticated, in seconds since the epoch. */
  readonly authTime: number;
  readonly userAgent: string | undefined;
  readonly ipAddress: string | undefined;
  /** Additional claims. They replace claims of the same name that WorkOS sets. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** When the session started, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** When the session ended, in milliseconds since the epoch, or `undefined` while the session is active. */
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

/** An access token and the refresh token that was issued with it. */
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
   * @param lifetime Lifetime of the first access token, in seconds. Default: the usual lifetime of access tokens.
   */
  start: (session: NewSession, lifetime?: number) => Promise<TokenPair>;
  /**
   * Checks whether a refresh token can be exchanged now. Returns the token's session, or the reason why the token is
   * refused.
   */
  check: (refreshToken: string) => Session | Refusal;
  /**
   * Exchanges a refresh token that `check` has accepted. If the exchange is repeated within the replay window, it
   * returns the same token pair.
   */
  rotate: (refreshToken: string, organizationId: string | undefined, isMember: boolean) => Promise<TokenPair>;
  find: (sessionId: string) => Session | undefined;
  /** Returns a user's sessions that have not ended, oldest first. */
  activeOf: (userId: string) => readonly Session[];
  end: (sessionId: string) => void;
  endAllOf: (userId: string) => void;
}

export interface SessionRules {
  now: () => number;
  /**
   * Returns the number of seconds during which a refresh token can be exchanged again for the same token pair. They
   * start with the first exchange.
   */
  replayWindow: () => number;
  issueAccessToken: (session: Session, lifetime?: number) => Promise<string>;
}

/** Creates the session store of a test WorkOS. Each refresh rotates the refresh token (RFC 9700 section 4.14.2). */
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
      // The token is marked as exchanged before anything is awaited, so that the second of two concurrent exchanges
      // counts as a repetition.
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
  /** Lifetime of the token, in seconds. A negative number creates a token that has already expired. */
  lifetime: number;
}

/**
 * Returns the claims of a WorkOS access token. Claims whose value is `undefined` are left out.
 *
 * @see https://workos.com/docs/reference/authkit/session-tokens/access-token
 */
export function accessTokenClaims(session: Session, grants: Grants, context: AccessTokenContext): JWTPayload {
  const { issuer, clientId, issuedAt, lifetime } = context;
  const claims: Record<string, unknown> = {
    iss: issuer,
    sub: session.userId,
    // The party that acts for the subject (RFC 8693 section 4.1).
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
