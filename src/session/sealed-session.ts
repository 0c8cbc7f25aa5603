import type { Impersonator, User } from '@workos-inc/node';
import type { SessionProblem } from '../diagnostics.js';
import { isRecord, ownProperties } from '../plain-objects.js';
import { perObjectState } from '../per-object-state.js';
import { decodeUnverified } from '../workos/access-token.js';
import { isSealed, open, seal } from './iron-seal.js';

/** The key of the object with the fields that only this package reads. Other WorkOS SDKs ignore this object. */
const EXTENSION = 'authkitExpress';

/**
 * The version of the fields that only this package reads. A release that adds fields must increase the version. Earlier
 * releases then ignore the new fields, but keep them when they refresh a session, so old and new releases can run side
 * by side. If a field must not be ignored, the session needs a different `purpose`. `test/session/formats.test.ts`
 * contains sessions of each version.
 */
export const SESSION_VERSION = 1;

/** The content of a session. The first six fields have the same format in all WorkOS SDKs. */
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
  /**
   * Set only if a later release wrote the session. The extension may then contain additional fields, which are kept.
   */
  readonly version?: number;
  /**
   * The earliest time at which the user may have authenticated, in seconds since the epoch: the time of the sign-in
   * minus its `maxAge`. Set only if the sign-in had a `maxAge`.
   */
  readonly authenticatedAt?: number;
  /** The time of the sign-in, in seconds since the epoch. Set only if the sign-in had a `maxAge`. */
  readonly signedInAt?: number;
  /** The `data` that `onSuccess` returned. */
  readonly data?: unknown;
  /** A MAC that shows that the signature of the access token was verified. See `workos/verified-token-mac.ts`. */
  readonly tokenMac?: string | undefined;
}

/** The fields of a WorkOS response that a session is built from. */
export interface SessionFields {
  accessToken: string;
  refreshToken: string;
  user: User;
  impersonator?: Impersonator | undefined;
  authenticationMethod?: string | undefined;
  organizationId?: string | undefined;
}

/**
 * Builds a session from a WorkOS response. Other fields of the response are left out. Neither the session nor its
 * extension has a prototype, so a polluted `Object.prototype` cannot add fields to them.
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
 * Returns a copy of a session with new tokens. The copy keeps the session's impersonator and authentication method if
 * the WorkOS response does not contain them.
 *
 * @param tokenMac The MAC of the new access token, if its signature was verified.
 */
export function withTokens(session: Session, fields: SessionFields, tokenMac?: string): Session {
  const { impersonator = session.impersonator, authenticationMethod = session.authenticationMethod } =
    ownProperties(fields);
  return toSession({ ...fields, impersonator, authenticationMethod }, { ...session.extension, tokenMac });
}

export function sealSession({ extension, ...session }: Session, password: string): Promise<string> {
  const payload = { ...session, [EXTENSION]: { purpose: 'session', version: SESSION_VERSION, ...extension } };
  // iron can only seal plain data, but the SDK may return other kinds of objects.
  const plain = JSON.parse(JSON.stringify(payload)) as object;
  return seal(plain, password);
}

/**
 * Opens a session that this package or another WorkOS SDK sealed. Returns `undefined` for any other value, such as a
 * sealed transaction.
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
  const { purpose, version, authenticatedAt, signedInAt, data, tokenMac, ...others } = ownProperties(
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
      ...(typeof signedInAt === 'number' ? { signedInAt } : {}),
      ...(data === undefined ? {} : { data }),
      ...(isText(tokenMac) ? { tokenMac } : {}),
    }),
  });
}

/** Returns why a cookie value could not be opened as a session. */
export function problemOfSealed(sealed: string, passwords: readonly string[], now: number): SessionProblem {
  if (!isSealed(sealed)) return 'format';
  return open(sealed, passwords, now) === undefined ? 'password' : 'content';
}

/** Returns a session's WorkOS session ID, or `undefined` if its access token contains none. */
export function sessionIdOf(session: Session): string | undefined {
  return sessionIdentityOf(session).sessionId;
}

/** The values that determine whether a session is revoked. */
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
 * Returns the identity of a session. The access token is decoded without verification, which is safe because the
 * session comes from an authentic seal.
 *
 * @param claims The claims of the access token, if they have already been decoded.
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

/** Returns the identity of a session, from the claims of its access token. */
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
