import type { ApiKey, Impersonator, User } from '@workos-inc/node';
import { perObjectState } from '../per-object-state.js';
import type { Session } from '../session/sealed-session.js';
import { type SSOProfile, type SSOSession, toUser } from '../session/sso-session.js';
import type { VerifiedSession } from '../session/verified-session-cache.js';
import type { Claims, TokenClaims } from '../workos/access-token.js';
import { compileRule, type Rule, type Subject } from './authorization-rule.js';

/** Fields that every authenticated principal has, whether it is a user, an API key or a machine. Read-only. */
interface AuthBase extends Subject {
  /**
   * Returns whether this principal meets the rule. A guard with the same rule would decide the same way.
   *
   * @throws {TypeError} if the rule has an unknown key or an invalid value.
   */
  has: (rule: Rule) => boolean;
}

interface UserAuth extends AuthBase {
  readonly user: Readonly<User>;
  /** How the user signed in, such as `Password` or `SSO`. This is only known for session cookies. */
  readonly authenticationMethod: string | undefined;
  /**
   * The access token, which you can send to your own services. The property is not enumerable, so printing the object
   * does not reveal the token.
   */
  readonly accessToken: string;
}

/** A user with a session cookie. All requests with the same cookie share this object. */
export interface SessionAuth extends UserAuth {
  readonly type: 'session';
  /** The session ID, which is the `sid` claim of the access token. */
  readonly sessionId: string;
  /** All claims of the access token. */
  readonly claims: Claims;
  /** The `data` that `onSuccess` returned. */
  readonly data: unknown;
}

/**
 * A user with a session cookie of `sso()`. The SSO API issues no tokens, so there are no claims, no access token and no
 * session ID.
 */
export interface SSOAuth extends AuthBase {
  readonly type: 'sso';
  /** The `profile`, converted to a WorkOS user. */
  readonly user: Readonly<User>;
  /** The user's profile from the identity provider. */
  readonly profile: SSOProfile;
  readonly authenticationMethod: 'SSO';
  /** The `data` that `onSuccess` returned. */
  readonly data: unknown;
}

/** A user whose client sent an access token, such as a mobile app, a single-page app or an MCP client. */
export interface BearerAuth extends UserAuth {
  readonly type: 'bearer';
  /** The session ID, which is the `sid` claim of the access token, if it has one. */
  readonly sessionId: string | undefined;
  readonly claims: TokenClaims;
  /** The scopes that the OAuth server granted. */
  readonly scopes: readonly string[];
  readonly data: undefined;
}

/** A WorkOS API key of an organization or of one of its members. `user` is `null`. */
export interface ApiKeyAuth extends AuthBase {
  readonly type: 'apiKey';
  readonly user: null;
  /** The API key's ID, name and owner. The secret value is not included. */
  readonly apiKey: Readonly<ApiKey>;
}

/**
 * A machine with a token from the OAuth client credentials grant. Only a guard of a `protectedResource()` accepts
 * machines.
 */
export interface MachineAuth extends AuthBase {
  readonly type: 'machine';
  readonly user: null;
  /** Client id of the machine-to-machine application, `client_…`. */
  readonly clientId: string;
  readonly claims: TokenClaims;
  readonly scopes: readonly string[];
  /** The access token. The property is not enumerable, so printing the object does not reveal the token. */
  readonly accessToken: string;
}

/** `req.auth` if a user is signed in. */
export type SignedIn = SessionAuth | SSOAuth | BearerAuth;

/** An authenticated user, API key or machine. */
export type Principal = SignedIn | ApiKeyAuth | MachineAuth;

/** The kind of credential that authenticated a request: `type` of `req.auth`. */
export type AuthType = Principal['type'];

/** Whether a credential is a session cookie, of `authkit()` or of `sso()`. */
export function isSessionType(type: AuthType): type is 'session' | 'sso' {
  return type === 'session' || type === 'sso';
}

/** The request is not authenticated. */
export interface SignedOut {
  readonly type: null;
  readonly user: null;
  /**
   * Why the request is not authenticated. `unavailable`: the session could not be verified in time, because WorkOS, its
   * keys or the store is unavailable.
   */
  readonly reason: 'none' | 'expired' | 'ended' | 'invalid' | 'unavailable';
  /** URL of the login route, with parameters that bring the user back to this page after the sign-in. */
  readonly loginUrl: string;
  has: (rule: Rule) => false;
}

/** How a request is authenticated. Check `type` to find out which of these it is. */
export type Auth = Principal | SignedOut;

export function signedOut(reason: SignedOut['reason'], loginUrl: string): SignedOut {
  const auth = { type: null, user: null, reason, loginUrl };
  const has = (rule: Rule) => {
    // A misspelt rule must also throw if the request is signed out.
    compileRule(rule);
    return false;
  };
  return Object.freeze(Object.defineProperty(auth, 'has', { value: has })) as unknown as SignedOut;
}

const sessionAuths = perObjectState<SessionAuth>();

/** The `req.auth` of a verified session: the same object for every request with the same session. */
export function toSessionAuth(verified: VerifiedSession): SessionAuth {
  let auth = sessionAuths.get(verified);
  if (!auth) sessionAuths.set(verified, (auth = build(verified.session, verified.claims)));
  return auth;
}

/**
 * Builds the object as one literal, because on Node 20, objects that are built with a spread and then extended do not
 * share a hidden class.
 */
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

const ssoAuths = perObjectState<SSOAuth>();

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

const bearerAuths = perObjectState<BearerAuth>();

/** The `req.auth` of a user's access token: the same object for as long as the claims and the user are cached. */
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

/** The `req.auth` of a machine's access token. */
export function toMachineAuth(claims: TokenClaims, accessToken: string): MachineAuth {
  const subject = subjectOf(claims);
  const fields = { type: 'machine', user: null, clientId: claims.sub, ...subject, claims } as const;
  return finish<MachineAuth>({ ...fields, scopes: scopesOf(claims) }, subject, accessToken);
}

const apiKeyAuths = perObjectState<ApiKeyAuth>();

/** The `req.auth` of an API key: the same object for as long as WorkOS's response is cached. */
export function toApiKeyAuth(key: ApiKey): ApiKeyAuth {
  let auth = apiKeyAuths.get(key);
  if (!auth) apiKeyAuths.set(key, (auth = buildApiKeyAuth(key)));
  return auth;
}

/** An API key acts in its owner's organization and has its own permissions. It has no roles. */
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

/** Adds `has` and the access token as non-enumerable properties. */
function finish<T extends Principal>(
  fields: Omit<T, 'has' | 'accessToken'>,
  subject: Subject,
  accessToken?: string,
): T {
  const has = { value: (rule: Rule) => compileRule(rule)(subject) };
  const hidden = accessToken === undefined ? { has } : { has, accessToken: { value: accessToken } };
  return deepFreeze(Object.defineProperties(fields, hidden)) as T;
}

/**
 * Reads the properties that rules test from the claims of an access token. Only own properties count, so a polluted
 * `Object.prototype` cannot add a role or a permission.
 */
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

/**
 * The `act` claim: the party that acts for the subject (RFC 8693 section 4.1). WorkOS sets it to the e-mail address of
 * your team member.
 */
function actorOf(claims: TokenClaims): Impersonator | undefined {
  const act = claim(claims, 'act') as { sub?: unknown } | null | undefined;
  if (act === undefined) return undefined;
  // A session that has an actor counts as impersonated, even if the actor has no name.
  return { email: text(act?.sub) ?? '', reason: null };
}

/** The scopes in the `scope` claim (RFC 6749 section 3.3). */
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

/**
 * Freezes an object and all objects in it. Use this only for values that were parsed from JSON: they have no cycles,
 * and no other code shares them.
 */
function deepFreeze<T extends object>(value: T): T {
  Object.freeze(value);
  for (const key of Object.keys(value)) {
    const inner: unknown = value[key as keyof T];
    if (typeof inner === 'object' && inner !== null && !Object.isFrozen(inner)) deepFreeze(inner);
  }
  return value;
}
