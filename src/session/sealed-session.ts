import type { Impersonator, User } from '@workos-inc/node';
import { isRecord } from '../config/problem-list.js';
import type { SessionProblem } from '../events.js';
import { ownProperties } from '../own-properties.js';
import { perObjectState } from '../per-object-state.js';
import { decodeUnverified } from '../workos/access-token.js';
import { isSealed, open, seal } from './iron-seal.js';

/** The key of the fields that only this package reads. Other WorkOS SDKs ignore it. */
const EXTENSION = 'authkitExpress';

/**
 * The version of the fields that only this package reads. A release that adds fields increases it. Earlier releases
 * then ignore the new fields, but keep them when they refresh the session, so both releases can run side by side.
 * Fields that must not be ignored need a different `purpose`. `test/session/formats.test.ts` has sessions of each
 * version.
 */
export const SESSION_VERSION = 1;

/** The content of a session cookie. All WorkOS SDKs share the format of the first six fields. */
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
  /** Set only if a later release wrote the session. The extension may then have more fields, which are kept. */
  readonly version?: number;
  /** When the user signed in here, in seconds since the epoch, if that sign-in required a new authentication. */
  readonly authenticatedAt?: number;
  /** What `onSuccess` returned. */
  readonly data?: unknown;
  /** Shows that the access token's signature was verified: see `workos/verified-token-mac.ts`. */
  readonly tokenMac?: string | undefined;
}

/** The fields of a WorkOS answer that a session is built from. */
export interface SessionFields {
  accessToken: string;
  refreshToken: string;
  user: User;
  impersonator?: Impersonator | undefined;
  authenticationMethod?: string | undefined;
  organizationId?: string | undefined;
}

/**
 * Builds a session from a WorkOS answer; other fields of the answer are left out. Neither the session nor its extension
 * has a prototype, so that a polluted `Object.prototype` adds nothing to them.
 */
export function toSession(fields: SessionFields, extension: SessionExtension): Session {
  const { accessToken, refreshToken, user, impersonator, authenticationMethod, organizationId } =
    ownProperties(fields);
  return ownProperties({
    accessToken,
    refreshToken,
    user,
    ...(impersonator ? { impersonator } : {}),
    ...(authenticationMethod ? { authenticationMethod } : {}),
    ...(organizationId ? { organizationId } : {}),
    extension: ownProperties(extension),
  });
}

/**
 * Returns the session with new tokens. If the answer has no impersonator or authentication method, those of the session
 * are kept.
 *
 * @param tokenMac MAC of the new access token, if its signature was verified.
 */
export function withTokens(session: Session, fields: SessionFields, tokenMac?: string): Session {
  const { impersonator = session.impersonator, authenticationMethod = session.authenticationMethod } =
    ownProperties(fields);
  return toSession({ ...fields, impersonator, authenticationMethod }, { ...session.extension, tokenMac });
}

export function sealSession({ extension, ...session }: Session, password: string): Promise<string> {
  const payload = { ...session, [EXTENSION]: { purpose: 'session', version: SESSION_VERSION, ...extension } };
  // iron can only seal plain data, and the SDK may return other objects.
  const plain = JSON.parse(JSON.stringify(payload)) as object;
  return seal(plain, password);
}

/**
 * Opens a session that this package or another WorkOS SDK sealed. Returns `undefined` for anything else, such as a
 * transaction.
 */
export function openSession(
  sealed: string,
  passwords: readonly string[],
  now: number,
  maxLength?: number,
): Session | undefined {
  const payload = open(sealed, passwords, now, maxLength);
  if (!isRecord(payload) || payload['purpose'] !== undefined) return undefined;
  const { accessToken, refreshToken, user, impersonator, authenticationMethod, organizationId } = payload;
  if (!isText(accessToken) || !isText(refreshToken) || !isRecord(user) || !isText(user['id']))
    return undefined;
  const extension = payload[EXTENSION];
  const { purpose, version, authenticatedAt, data, tokenMac, ...others } = ownProperties(
    isRecord(extension) ? extension : {},
  );
  if (purpose !== undefined && purpose !== 'session') return undefined;
  return ownProperties({
    accessToken,
    refreshToken,
    user: user as unknown as User,
    ...(isRecord(impersonator) ? { impersonator: impersonator as unknown as Impersonator } : {}),
    ...(isText(authenticationMethod) ? { authenticationMethod } : {}),
    ...(isText(organizationId) ? { organizationId } : {}),
    extension: ownProperties({
      ...(typeof version === 'number' && version > SESSION_VERSION ? { ...others, version } : {}),
      ...(typeof authenticatedAt === 'number' ? { authenticatedAt } : {}),
      ...(data === undefined ? {} : { data }),
      ...(isText(tokenMac) ? { tokenMac } : {}),
    }),
  });
}

/** Why a cookie value could not be opened as a session. */
export function problemOfSealed(sealed: string, passwords: readonly string[], now: number): SessionProblem {
  if (!isSealed(sealed)) return 'format';
  return open(sealed, passwords, now) === undefined ? 'password' : 'content';
}

/** The ID of a session at WorkOS. */
export function sessionIdOf(session: Session): string | undefined {
  return sessionIdentityOf(session).sessionId;
}

/** The part of a session that revocation checks. */
export interface SessionIdentity {
  readonly sessionId: string | undefined;
  readonly userId: string;
  /** When the session's access token was issued, in seconds since the epoch. */
  readonly issuedAt: number;
  /** The `jti` of the session's access token. */
  readonly tokenId?: string | undefined;
}

const identities = perObjectState<SessionIdentity>();

/**
 * The identity of a session. The access token need not be verified, because the session comes from a seal.
 *
 * @param claims The claims of the access token, if they are known.
 */
export function sessionIdentityOf(
  session: Session,
  claims?: Readonly<Record<string, unknown>>,
): SessionIdentity {
  let identity = identities.get(session);
  if (!identity) {
    identity = identityOf(session.user.id, claims ?? decodeUnverified(session.accessToken));
    identities.set(session, identity);
  }
  return identity;
}

/** The session identity in the claims of an access token. */
export function sessionIdentityIn(claims: Readonly<Record<string, unknown>>): SessionIdentity {
  return identityOf(claims['sub'], claims);
}

function identityOf(userId: unknown, claims: Readonly<Record<string, unknown>>): SessionIdentity {
  const { sid, iat, jti } = claims;
  return {
    sessionId: isText(sid) ? sid : undefined,
    userId: isText(userId) ? userId : '',
    issuedAt: typeof iat === 'number' ? iat : 0,
    tokenId: isText(jti) ? jti : undefined,
  };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
