import type { Profile, User } from '@workos-inc/node';
import { randomUUID } from 'node:crypto';
import { isRecord } from '../config/problems.js';
import type { SSOConfig } from '../config/sso.js';
import { expiringMap } from '../expiring-map.js';
import type { Authentication, Authenticator } from '../session/authenticate.js';
import type { Sessions } from '../session/lifecycle.js';
import {
  openPayload,
  type PayloadBinding,
  type PayloadPurpose,
  sealPayload,
} from '../session/sealed-payload.js';
import type { Session, SSOProfile } from '../session/sealed-session.js';
import { isNotStored } from '../session/stored-sessions.js';
import type { Claims } from '../workos/access-token.js';

/** A session of `authkit()` is not accepted as one of `sso()`, nor the reverse. */
const SSO_SESSION: PayloadPurpose = { name: 'sso-session', isBoundToRedirectUri: false };

/** What the cookie holds. WorkOS keeps no session for it, so there are no tokens. */
export interface SSOSession {
  readonly id: string;
  readonly profile: SSOProfile;
  /** Seconds since the epoch, as all times here. */
  readonly signedInAt: number;
  readonly expiresAt: number;
  readonly data?: unknown;
}

export function newSession(
  { rawAttributes: _, ...profile }: Profile<Record<string, unknown>>,
  data: unknown,
  { now, sessionLifetime }: SSOConfig,
): SSOSession {
  const signedInAt = Math.floor(now() / 1000);
  const times = { signedInAt, expiresAt: signedInAt + sessionLifetime };
  return { id: `sso_${randomUUID()}`, profile, ...times, ...(data === undefined ? {} : { data }) };
}

export function sealSSOSession(session: SSOSession, binding: PayloadBinding): Promise<string> {
  return sealPayload(SSO_SESSION, binding, session);
}

/** Opens a session of this client, whether or not it has expired; anything else is `undefined`. */
export function openSSOSession(sealed: string, binding: PayloadBinding): SSOSession | undefined {
  const payload = openPayload(SSO_SESSION, binding, sealed);
  if (!payload) return undefined;
  const { id, profile, signedInAt, expiresAt } = payload;
  if (typeof id !== 'string' || !isRecord(profile) || typeof profile['id'] !== 'string') return undefined;
  if (typeof signedInAt !== 'number' || typeof expiresAt !== 'number') return undefined;
  return payload as unknown as SSOSession;
}

/** What guards and `req.auth` are made of, whichever workos was used. */
export function toSession({ profile, signedInAt, data }: SSOSession): Session {
  return {
    accessToken: '',
    refreshToken: '',
    user: userOf(profile, signedInAt),
    authenticationMethod: 'SSO',
    ...(profile.organizationId ? { organizationId: profile.organizationId } : {}),
    extension: { profile, signedInAt, ...(data === undefined ? {} : { data }) },
  };
}

/** What a token of WorkOS's would say. */
export function claimsOf({ id, profile, signedInAt, expiresAt }: SSOSession, issuer: string): Claims {
  const { organizationId, role, roles } = profile;
  return {
    iss: issuer,
    sub: profile.id,
    sid: id,
    iat: signedInAt,
    exp: expiresAt,
    ...(organizationId ? { org_id: organizationId } : {}),
    ...(role ? { role: role.slug } : {}),
    ...(roles ? { roles: roles.map(({ slug }) => slug) } : {}),
  };
}

/**
 * A profile in the form of a WorkOS user. Its id is the profile's: standalone SSO knows no users. WorkOS does not say
 * whether the address was verified.
 */
export function userOf(profile: SSOProfile, signedInAt: number): User {
  const at = new Date(signedInAt * 1000).toISOString();
  const { id, email, idpId, firstName = null, lastName = null, name = null } = profile;
  return {
    object: 'user',
    id,
    email,
    emailVerified: false,
    name,
    firstName,
    lastName,
    profilePictureUrl: null,
    lastSignInAt: at,
    locale: null,
    createdAt: at,
    updatedAt: at,
    externalId: idpId,
    metadata: {},
  };
}

const MAX_BYTES = 8 * 1_048_576;

const MAX_ENDED = 10_000;

const NONE: Authentication = Object.freeze({ kind: 'anonymous', reason: 'none' });

type Active = Extract<Authentication, { kind: 'authenticated' }>;

/** Judges session cookies of `sso()`: nothing is asked of WorkOS, which keeps no session for them. */
export function createSSOAuthenticator(config: SSOConfig): {
  authenticator: Authenticator;
  sessions: Pick<Sessions, 'peek' | 'end'>;
} {
  const { now } = config;
  const { first, idOf } = createMemory(config);
  const ttl = config.sessionLifetime * 1000;
  const ended = expiringMap<true>({ max: MAX_ENDED, ttl, now });
  const isLive = (session: Session) => !ended.has(idOf(session));
  return {
    authenticator: {
      authenticate(values) {
        if (values.length === 0) return NONE;
        const active = first(values);
        if (!active) return { kind: 'anonymous', reason: 'invalid' };
        if (!isLive(active.session)) return { kind: 'anonymous', reason: 'ended' };
        return now() / 1000 < active.claims.exp ? active : { kind: 'anonymous', reason: 'expired' };
      },
      // There are no tokens to renew.
      refresh: () => Promise.resolve({ kind: 'anonymous', reason: 'expired' }),
      isLive,
    },
    sessions: {
      peek: (values) => Promise.resolve(first(values)?.session),
      end(session) {
        // Nothing of it lies in a store, so that it is always at hand.
        if (!isNotStored(session)) ended.set(idOf(session), true);
        return Promise.resolve();
      },
    },
  };
}

/** Sessions by the value of their cookie, so that a warm request needs no cryptography. Expired ones are found, too. */
function createMemory(config: SSOConfig) {
  const ids = new WeakMap<Session, string>();
  const known = expiringMap<Active>({
    now: config.now,
    size: { max: MAX_BYTES, of: (_, value) => value.length * 4 + 512 },
  });
  const find = (value: string): Active | undefined => {
    const active = known.get(value);
    if (active) return active;
    const opened = openSSOSession(value, config);
    if (!opened) return undefined;
    const session = toSession(opened);
    ids.set(session, opened.id);
    const found: Active = {
      kind: 'authenticated',
      session,
      claims: claimsOf(opened, config.api.origin),
    };
    known.set(value, found);
    return found;
  };
  return {
    /** Of several values, the first that is a session of ours. */
    first: (values: readonly string[]) => values.map(find).find((found) => found !== undefined),
    idOf: (session: Session) => ids.get(session) ?? '',
  };
}
