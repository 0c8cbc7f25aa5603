import type { ApiKey, Impersonator, User } from '@workos-inc/node';
import type { Session } from '../session/sealed-session.js';
import { type SSOProfile, type SSOSession, toUser } from '../session/sso-session.js';
import type { VerifiedSession } from '../session/verified-session-cache.js';
import type { Claims, TokenClaims } from '../workos/access-token.js';
import { compileRule, type Rule, type Subject } from './authorization-rule.js';

/** Fields that every authenticated principal has, whether it is a user, an API key or a machine. Read-only. */
interface AuthBase extends Subject {
  /**
   * Whether the rule holds, as a guard would decide it.
   *
   * @throws {TypeError} if the rule has an unknown key or could never hold.
   */
  has: (rule: Rule) => boolean;
}

interface UserAuth extends AuthBase {
  readonly user: Readonly<User>;
  /** How the user signed in, such as `Password` or `SSO`. Known for session cookies only. */
  readonly authenticationMethod: string | undefined;
  /** For requests to your own services. Not enumerable, so that printing the object does not reveal it. */
  readonly accessToken: string;
}

/** A user with a session cookie. All requests with the same cookie share this object. */
export interface SessionAuth extends UserAuth {
  readonly type: 'session';
  /** `sid` of the access token. */
  readonly sessionId: string;
  /** All claims of the access token. */
  readonly claims: Claims;
  /** The `data` that `onSuccess` returned. */
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
  /** The `data` that `onSuccess` returned. */
  readonly data: unknown;
}

/** A user whose client sent an access token: a mobile app, a single-page app, an MCP client. */
export interface BearerAuth extends UserAuth {
  readonly type: 'bearer';
  /** `sid` of the access token, if it has one. */
  readonly sessionId: string | undefined;
  readonly claims: TokenClaims;
  /** The granted scopes, for tokens of an OAuth server. */
  readonly scopes: readonly string[];
  readonly data: undefined;
}

/** A WorkOS API key of an organization or of one of its members. `user` is `null`. */
export interface ApiKeyAuth extends AuthBase {
  readonly type: 'apiKey';
  readonly user: null;
  /** Id, name and owner, without the key itself. */
  readonly apiKey: Readonly<ApiKey>;
}

/** A machine with a token of the OAuth client credentials grant, at a `protectedResource`. */
export interface MachineAuth extends AuthBase {
  readonly type: 'machine';
  readonly user: null;
  /** `client_…` of the machine-to-machine application. */
  readonly clientId: string;
  readonly claims: TokenClaims;
  readonly scopes: readonly string[];
  /** Not enumerable. */
  readonly accessToken: string;
}

/** A user is signed in. */
export type SignedIn = SessionAuth | SSOAuth | BearerAuth;

/** An authenticated user, API key or machine. */
export type Principal = SignedIn | ApiKeyAuth | MachineAuth;

/** The kind of credential that authenticated a request: `type` of `req.auth`. */
export type AuthType = Principal['type'];

/** Whether a credential is the session cookie of a browser, of `authkit()` or of `sso()`. */
export function isSessionType(type: AuthType): type is 'session' | 'sso' {
  return type === 'session' || type === 'sso';
}

/** The request is not authenticated. */
export interface SignedOut {
  readonly type: null;
  readonly user: null;
  /** `unavailable`: WorkOS or its signing keys could not be reached in time. */
  readonly reason: 'none' | 'expired' | 'ended' | 'invalid' | 'unavailable';
  /** Path of the login route, with the parameters that lead back to this page. */
  readonly loginUrl: string;
  has: (rule: Rule) => false;
}

/** How a request is authenticated. `type` tells the members apart. */
export type Auth = Principal | SignedOut;

export function signedOut(reason: SignedOut['reason'], loginUrl: string): SignedOut {
  const auth = { type: null, user: null, reason, loginUrl };
  const has = (rule: Rule) => {
    // So that a misspelt rule is also found while signed out.
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

/** Written as one literal: on Node 20, objects that are spread and then added to do not share a hidden class. */
function build(
  { user, impersonator, authenticationMethod, accessToken, extension }: Session,
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
    data: extension.data,
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
  // Only own properties count, as in `subjectOf`.
  const { organizationId, role, roles } = Object.assign(Object.create(null), profile) as SSOProfile;
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

const bearerAuths = new WeakMap<TokenClaims, BearerAuth>();

/** The user that an access token names: the same object as long as the claims and the user are remembered. */
export function toBearerAuth(user: User, claims: TokenClaims, accessToken: string): BearerAuth {
  const known = bearerAuths.get(claims);
  if (known?.user === user && known.accessToken === accessToken) return known;
  const auth = buildBearerAuth(user, claims, accessToken);
  bearerAuths.set(claims, auth);
  return auth;
}

function buildBearerAuth(user: User, claims: TokenClaims, accessToken: string): BearerAuth {
  const subject = subjectOf(claims);
  const fields = { type: 'bearer', user, sessionId: text(claim(claims, 'sid')), ...subject, claims } as const;
  const unknown = { authenticationMethod: undefined, data: undefined };
  return finish<BearerAuth>({ ...fields, ...unknown, scopes: scopesOf(claims) }, subject, accessToken);
}

/** The machine that an access token was issued to. */
export function toMachineAuth(claims: TokenClaims, accessToken: string): MachineAuth {
  const subject = subjectOf(claims);
  const fields = { type: 'machine', user: null, clientId: claims.sub, ...subject, claims } as const;
  return finish<MachineAuth>({ ...fields, scopes: scopesOf(claims) }, subject, accessToken);
}

const apiKeyAuths = new WeakMap<ApiKey, ApiKeyAuth>();

/** The `req.auth` of an API key: the same object as long as the answer of WorkOS is remembered. */
export function toApiKeyAuth(key: ApiKey): ApiKeyAuth {
  let auth = apiKeyAuths.get(key);
  if (!auth) apiKeyAuths.set(key, (auth = buildApiKeyAuth(key)));
  return auth;
}

/** An API key acts in the organization of its owner, with permissions of its own. Only users have roles. */
function buildApiKeyAuth(key: ApiKey): ApiKeyAuth {
  const { owner, permissions } = key;
  const subject: Subject = {
    organizationId: text(owner.type === 'user' ? owner.organizationId : owner.id),
    role: undefined,
    roles: [],
    permissions: Object.hasOwn(key, 'permissions') ? texts(permissions) : NONE,
    entitlements: [],
    featureFlags: [],
    impersonator: undefined,
  };
  return finish<ApiKeyAuth>({ type: 'apiKey', user: null, ...subject, apiKey: key }, subject);
}

/** Adds `has` and the access token, which are not enumerable. */
function finish<T extends Principal>(
  fields: Omit<T, 'has' | 'accessToken'>,
  subject: Subject,
  accessToken?: string,
): T {
  const has = { value: (rule: Rule) => compileRule(rule)(subject) };
  const hidden = accessToken === undefined ? { has } : { has, accessToken: { value: accessToken } };
  return deepFreeze(Object.defineProperties(fields, hidden)) as T;
}

/** Only own properties count, so that a polluted `Object.prototype` adds no role or permission. */
function subjectOf(claims: TokenClaims, impersonator = actorOf(claims)): Subject {
  return {
    organizationId: text(claim(claims, 'org_id')),
    role: text(claim(claims, 'role')),
    roles: texts(claim(claims, 'roles')),
    permissions: texts(claim(claims, 'permissions')),
    entitlements: texts(claim(claims, 'entitlements')),
    featureFlags: texts(claim(claims, 'feature_flags')),
    impersonator,
  };
}

function claim(claims: TokenClaims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/** RFC 8693 section 4.1: the party that acts for the subject. WorkOS sets it to the e-mail address of its team member. */
function actorOf(claims: TokenClaims): Impersonator | undefined {
  const act = claim(claims, 'act') as { sub?: unknown } | null | undefined;
  if (act === undefined) return undefined;
  // An actor without a name is still an actor: such a session counts as impersonated.
  return { email: text(act?.sub) ?? '', reason: null };
}

/** RFC 6749 section 3.3. */
function scopesOf(claims: TokenClaims): readonly string[] {
  return (text(claim(claims, 'scope')) ?? '').split(' ').filter((scope) => scope !== '');
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

const NONE: readonly string[] = Object.freeze([]);

/** The strings of a claim that should be a list of strings. */
function texts(values: unknown): readonly string[] {
  if (!Array.isArray(values)) return NONE;
  const isText = (value: unknown) => typeof value === 'string';
  return values.every(isText) ? values : values.filter(isText);
}

/** For values that were parsed from JSON, which are trees and shared with no other code. */
function deepFreeze<T extends object>(value: T): T {
  Object.freeze(value);
  for (const key of Object.keys(value)) {
    const inner: unknown = value[key as keyof T];
    if (typeof inner === 'object' && inner !== null && !Object.isFrozen(inner)) deepFreeze(inner);
  }
  return value;
}
