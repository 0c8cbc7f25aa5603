import type { Impersonator, User } from '@workos-inc/node';
import { decodeUnverified } from '../workos/access-token.js';
import { open, seal } from './seal.js';

/** What our seals carry beyond the fields that every WorkOS SDK reads. Others ignore the key. */
const OWN = 'authkitExpress';

/** A signed-in person, as the cookie holds it. The first six fields are the format of every WorkOS SDK. */
export interface Session {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly user: User;
  readonly impersonator?: Impersonator;
  readonly authenticationMethod?: string;
  readonly organizationId?: string;
  readonly extension: SessionExtension;
}

export interface SessionExtension {
  /** When this person signed in here, in seconds, if that sign-in made them authenticate afresh. */
  readonly authenticatedAt?: number;
  /** What `onSuccess` returned. */
  readonly data?: unknown;
}

/** What WorkOS hands out and a session keeps. */
export interface SessionFields {
  accessToken: string;
  refreshToken: string;
  user: User;
  impersonator?: Impersonator | undefined;
  authenticationMethod?: string | undefined;
  organizationId?: string | undefined;
}

/** Only what a session is made of is kept: an answer of WorkOS's may hold more. */
export function toSession(fields: SessionFields, own: SessionExtension): Session {
  const { accessToken, refreshToken, user, impersonator, authenticationMethod, organizationId } = fields;
  return {
    accessToken,
    refreshToken,
    user,
    ...(impersonator ? { impersonator } : {}),
    ...(authenticationMethod ? { authenticationMethod } : {}),
    ...(organizationId ? { organizationId } : {}),
    extension: own,
  };
}

/** A refresh brings new tokens; who acts for the person, and how they signed in, stays as it was. */
export function withTokens(session: Session, fields: SessionFields): Session {
  const { impersonator = session.impersonator, authenticationMethod = session.authenticationMethod } = fields;
  return toSession({ ...fields, impersonator, authenticationMethod }, session.extension);
}

export function sealSession({ extension: own, ...session }: Session, password: string): Promise<string> {
  // By way of JSON: iron takes plain data only, and the SDK hands out what it was given.
  const plain = JSON.parse(JSON.stringify({ ...session, [OWN]: { purpose: 'session', ...own } })) as object;
  return seal(plain, password);
}

/** Opens a session of ours or of another WorkOS SDK; anything else, a transaction included, is `undefined`. */
export function openSession(
  sealed: string,
  passwords: readonly string[],
  now: number,
  longest?: number,
): Session | undefined {
  const payload = open(sealed, passwords, now, longest);
  if (!isRecord(payload) || payload['purpose'] !== undefined) return undefined;
  const { accessToken, refreshToken, user, impersonator, authenticationMethod, organizationId } = payload;
  if (!isText(accessToken) || !isText(refreshToken) || !isRecord(user) || !isText(user['id']))
    return undefined;
  const { purpose, authenticatedAt, data } = isRecord(payload[OWN]) ? payload[OWN] : {};
  if (purpose !== undefined && purpose !== 'session') return undefined;
  return {
    accessToken,
    refreshToken,
    user: user as unknown as User,
    ...(isRecord(impersonator) ? { impersonator: impersonator as unknown as Impersonator } : {}),
    ...(isText(authenticationMethod) ? { authenticationMethod } : {}),
    ...(isText(organizationId) ? { organizationId } : {}),
    extension: {
      ...(typeof authenticatedAt === 'number' ? { authenticatedAt } : {}),
      ...(data === undefined ? {} : { data }),
    },
  };
}

/** The id under which WorkOS knows the session. */
export function sessionIdOf(session: Session): string | undefined {
  return sessionIdentityOf(session).sessionId;
}

/** What a session is known by: what revocations name. */
export interface SessionIdentity {
  readonly sessionId: string | undefined;
  readonly userId: string;
  /** When its access token was issued, in seconds. */
  readonly issuedAt: number;
}

const identities = new WeakMap<Session, SessionIdentity>();

/** Read off the token once; unchecked, for it comes out of our seal. */
export function sessionIdentityOf(session: Session): SessionIdentity {
  let identity = identities.get(session);
  if (!identity) {
    identity = sessionIdentityIn({ ...decodeUnverified(session.accessToken), sub: session.user.id });
    identities.set(session, identity);
  }
  return identity;
}

/** The same of the claims of a token. */
export function sessionIdentityIn(claims: Readonly<Record<string, unknown>>): SessionIdentity {
  const { sid, sub, iat } = claims;
  return {
    sessionId: isText(sid) ? sid : undefined,
    userId: isText(sub) ? sub : '',
    issuedAt: typeof iat === 'number' ? iat : 0,
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
