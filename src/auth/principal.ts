import type { ApiKey, Impersonator, User } from '@workos-inc/node';
import type { Session } from '../session/sealed-session.js';
import { type SSOProfile, type SSOSession, toUser } from '../session/sso-session.js';
import type { VerifiedSession } from '../session/verified-cache.js';
import type { Claims, TokenClaims } from '../workos/access-token.js';
import { compileRule, type Rule, type Subject } from './rule.js';

/** What everybody has who is known: a person, an API key, a machine. Read-only. */
interface AuthBase extends Subject {
  /** Whether the rule holds, as `requireAuth` would decide it. */
  has(rule: Rule): boolean;
}

interface UserAuth extends AuthBase {
  readonly user: Readonly<User>;
  /** How the person signed in, such as `Password` or `SSO`; known of cookies only. */
  readonly authenticationMethod: string | undefined;
  /** For calls to your own services. Not enumerable, so that it does not leak by being printed. */
  readonly accessToken: string;
}

/** A person in a browser, by the session cookie. Shared by all requests of the same cookie. */
export interface SessionAuth extends UserAuth {
  readonly type: 'session';
  /** `sid` of the access token. */
  readonly sessionId: string;
  /** All claims of the access token. */
  readonly claims: Claims;
  /** What `onSuccess` returned as `data`. */
  readonly data: unknown;
}

/**
 * A user in a browser, by the session cookie of `sso()`. The SSO API issues no tokens, so there are no claims, no
 * access token and no session ID.
 */
export interface SSOAuth extends AuthBase {
  readonly type: 'sso';
  /** The profile in the form of a WorkOS user. */
  readonly user: Readonly<User>;
  /** What the identity provider says about the user. */
  readonly profile: SSOProfile;
  readonly authenticationMethod: 'SSO';
  /** What `onSuccess` returned as `data`. */
  readonly data: unknown;
}

/** A person by way of a client that sent an access token: a mobile app, a single-page app, an MCP client. */
export interface BearerAuth extends UserAuth {
  readonly type: 'bearer';
  /** `sid` of the access token, if it has one. */
  readonly sessionId: string | undefined;
  readonly claims: TokenClaims;
  /** Scopes that the token was granted, for tokens of an OAuth server. */
  readonly scopes: readonly string[];
  readonly data: undefined;
}

/** An API key of WorkOS's, of an organization or of one of its members. No person: `user` is `null`. */
export interface ApiKeyAuth extends AuthBase {
  readonly type: 'apiKey';
  readonly user: null;
  /** Id, name and owner. The key itself is not kept. */
  readonly apiKey: Readonly<ApiKey>;
}

/** A machine by way of the OAuth client credentials grant, at a `protectedResource`. */
export interface MachineAuth extends AuthBase {
  readonly type: 'machine';
  readonly user: null;
  /** `client_…` of the M2M application. */
  readonly clientId: string;
  readonly claims: TokenClaims;
  readonly scopes: readonly string[];
  /** Not enumerable. */
  readonly accessToken: string;
}

/** A person is signed in. */
export type SignedIn = SessionAuth | SSOAuth | BearerAuth;

/** Whoever can pass a guard. */
export type Principal = SignedIn | ApiKeyAuth | MachineAuth;

/** How a caller can prove who they are: `type` of `req.auth`. */
export type AuthType = Principal['type'];

/** Nobody is signed in, as far as can be told. */
export interface SignedOut {
  readonly type: null;
  readonly user: null;
  /** `unknown`: WorkOS or its keys could not be asked in time. */
  readonly reason: 'none' | 'expired' | 'ended' | 'invalid' | 'unavailable';
  /** Path of the login route that comes back to this page. */
  readonly loginUrl: string;
  has(rule: Rule): false;
}

/** Who a request is from, told apart by `type`. */
export type Auth = Principal | SignedOut;

export function signedOut(reason: SignedOut['reason'], loginUrl: string): SignedOut {
  const auth = { type: null, user: null, reason, loginUrl };
  const has = (rule: Rule) => {
    // A misspelt rule is found by whoever is signed out, too.
    compileRule(rule);
    return false;
  };
  return Object.freeze(Object.defineProperty(auth, 'has', { value: has })) as unknown as SignedOut;
}

const sessionAuths = new WeakMap<VerifiedSession, SessionAuth>();

/** The `req.auth` of a verified session: the same object for every request that brings the same session. */
export function toSessionAuth(verified: VerifiedSession): SessionAuth {
  let auth = sessionAuths.get(verified);
  if (!auth) sessionAuths.set(verified, (auth = build(verified.session, verified.claims)));
  return auth;
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
  };
  return finish<SessionAuth>(fields, subject, accessToken);
}

const ssoAuths = new WeakMap<SSOSession, SSOAuth>();

/** The `req.auth` of an SSO session: the same object for every request with the same session. */
export function toSSOAuth(session: SSOSession): SSOAuth {
  let auth = ssoAuths.get(session);
  if (!auth) ssoAuths.set(session, (auth = buildSSOAuth(session)));
  return auth;
}

function buildSSOAuth({ profile, signedInAt, data }: SSOSession): SSOAuth {
  const { organizationId, role, roles } = profile;
  const subject: Subject = {
    organizationId: text(organizationId),
    role: text(role?.slug),
    roles: texts(roles?.map(({ slug }) => slug)),
    permissions: [],
    entitlements: [],
    featureFlags: [],
    impersonator: undefined,
  };
  const user = toUser(profile, signedInAt);
  const identity = { type: 'sso', user, profile, authenticationMethod: 'SSO', data } as const;
  return finish<SSOAuth>({ ...identity, ...subject }, subject);
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

const NONE: readonly string[] = Object.freeze([]);

/** Claims are whatever was signed; a rule must not match an object that happens to have a key of that name. */
function texts(claim: unknown): readonly string[] {
  if (!Array.isArray(claim)) return NONE;
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
