import type { ApiKey, Impersonator, User } from '@workos-inc/node';
import type { Claims, TokenClaims } from './access-token.js';
import type { ApiKeyAuth, BearerAuth, Principal, MachineAuth, SessionAuth } from './auth.js';
import { compileRule, type Rule, type Subject } from './rules.js';
import type { VerifiedSession } from './memory.js';
import type { Session } from './session.js';

/** The person of a session, the same object each time. */
export function toSessionAuth(verified: VerifiedSession): SessionAuth {
  return (verified.auth ??= build(verified.session, verified.claims));
}

/** One literal: what is spread into an object and added to gets a shape of its own each time on Node 20. */
function build(
  { user, impersonator, authenticationMethod, accessToken, extension: own }: Session,
  claims: Claims,
) {
  const subject = subjectOf(claims, impersonator);
  const fields: Omit<SessionAuth, 'has' | 'accessToken'> = {
    type: 'session',
    user,
    sessionId: claims.sid,
    organizationId: subject.organizationId,
    role: subject.role,
    roles: subject.roles,
    permissions: subject.permissions,
    entitlements: subject.entitlements,
    featureFlags: subject.featureFlags,
    impersonator: subject.impersonator,
    authenticationMethod,
    claims,
    data: own.data,
    profile: own.profile,
  };
  return finish<SessionAuth>(fields, subject, accessToken);
}

/** The person whom an access token names. */
export function toBearerAuth(user: User, claims: TokenClaims, accessToken: string): BearerAuth {
  const subject = subjectOf(claims);
  const fields = { type: 'bearer', user, sessionId: text(claims.sid), ...subject, claims } as const;
  const unknown = { authenticationMethod: undefined, data: undefined };
  return finish<BearerAuth>({ ...fields, ...unknown, scopes: scopesOf(claims) }, subject, accessToken);
}

/** The machine that an access token was issued to. */
export function toMachineAuth(claims: TokenClaims, accessToken: string): MachineAuth {
  const subject = subjectOf(claims);
  const fields = { type: 'machine', user: null, clientId: claims.sub, ...subject, claims } as const;
  return finish<MachineAuth>({ ...fields, scopes: scopesOf(claims) }, subject, accessToken);
}

/** An API key acts in its owner's organization with its own permissions; roles and the like are for people. */
export function toApiKeyAuth(key: ApiKey): ApiKeyAuth {
  const { owner, permissions } = key;
  const subject: Subject = {
    organizationId: text(owner.type === 'user' ? owner.organizationId : owner.id),
    role: undefined,
    roles: [],
    permissions: texts(permissions),
    entitlements: [],
    featureFlags: [],
    impersonator: undefined,
  };
  return finish<ApiKeyAuth>({ type: 'apiKey', user: null, ...subject, apiKey: key }, subject);
}

/** What is secret, or no data, is not enumerable. */
function finish<T extends Principal>(
  fields: Omit<T, 'has' | 'accessToken'>,
  subject: Subject,
  accessToken?: string,
): T {
  const has = { value: (rule: Rule) => compileRule(rule)(subject) };
  const hidden = accessToken === undefined ? { has } : { has, accessToken: { value: accessToken } };
  return deepFreeze(Object.defineProperties(fields, hidden)) as T;
}

function subjectOf(claims: TokenClaims, impersonator = actorOf(claims)): Subject {
  return {
    organizationId: text(claims.org_id),
    role: text(claims['role']),
    roles: texts(claims['roles']),
    permissions: texts(claims['permissions']),
    entitlements: texts(claims['entitlements']),
    featureFlags: texts(claims['feature_flags']),
    impersonator,
  };
}

/** RFC 8693 section 4.1: the party that acts for the subject. WorkOS puts the e-mail address of its team member there. */
function actorOf(claims: TokenClaims): Impersonator | undefined {
  const { act } = claims as { act?: { sub?: unknown } | null };
  if (act === undefined) return undefined;
  // Somebody acts, whoever it is: never silently nobody.
  return { email: text(act?.sub) ?? '', reason: null };
}

/** RFC 6749 section 3.3. */
function scopesOf(claims: TokenClaims): readonly string[] {
  return (text(claims['scope']) ?? '').split(' ').filter((scope) => scope !== '');
}

function text(claim: unknown): string | undefined {
  return typeof claim === 'string' ? claim : undefined;
}

const NOTHING: readonly string[] = Object.freeze([]);

/** Claims are whatever was signed; a rule must not match an object that happens to have a key of that name. */
function texts(claim: unknown): readonly string[] {
  if (!Array.isArray(claim)) return NOTHING;
  const isText = (value: unknown) => typeof value === 'string';
  return claim.every(isText) ? claim : claim.filter(isText);
}

/** Of what came out of JSON, or was made of it here: a tree, and nothing in it is anybody else's. */
function deepFreeze<T extends object>(value: T): T {
  Object.freeze(value);
  for (const key of Object.keys(value)) {
    const inner: unknown = value[key as keyof T];
    if (typeof inner === 'object' && inner !== null && !Object.isFrozen(inner)) deepFreeze(inner);
  }
  return value;
}
