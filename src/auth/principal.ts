import type { ApiKey, Impersonator, User } from '@workos-inc/node';
import { perObjectState } from '../per-object-state.js';
import type { Session } from '../session/sealed-session.js';
import { type SSOProfile, type SSOSession, toUser } from '../session/sealed-sso-session.js';
import type { VerifiedSession } from '../session/verified-session-cache.js';
import type { Claims, TokenClaims } from '../workos/access-token.js';
import { compileRule, type Rule, type Subject } from './role-and-permission-rule.js';

/**
 * Fields that every authenticated principal has, whether it is a user, an API key or a machine. All fields are
 * read-only.
 */
interface AuthBase extends Subject {
  /**
   * Returns whether this principal meets the rule. A guard with the same rule makes the same decision.
   *
   * @throws {TypeError} if the rule has an unknown key or an invalid value.
   */
  has: (rule: Rule) => boolean;
}

interface UserAuth extends AuthBase {
  readonly user: Readonly<User>;
  /**
   * How the user signed in, such as `Password` or `SSO`. It is `undefined` for bearer tokens, which do not contain this
   * information.
   */
  readonly authenticationMethod: string | undefined;
  /**
   * The access token, which you can send to your own services. The property is not enumerable, so printing the object
   * does not reveal the token.
   */
  readonly accessToken: string;
}

/** A user who is signed in with a session cookie. All requests with the same cookie share one object. */
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
 * A user who is signed in with a session cookie that `sso()` set. The SSO API issues no tokens, so there are no claims,
 * no access token and no session ID.
 */
export interface SSOAuth extends AuthBase {
  readonly type: 'sso';
  /** The data from `profile`, in the format of a WorkOS user. */
  readonly user: Readonly<User>;
  /** The user's profile from the identity provider. */
  readonly profile: SSOProfile;
  readonly authenticationMethod: 'SSO';
  /** The `data` that `onSuccess` returned. */
  readonly data: unknown;
}

/** A user whose client, such as a mobile app, a single-page app or an MCP client, sent an access token. */
export interface BearerAuth extends UserAuth {
  readonly type: 'bearer';
  /** The session ID, which is the `sid` claim of the access token. It is `undefined` if the token has no such claim. */
  readonly sessionId: string | undefined;
  readonly claims: TokenClaims;
  /** The scopes that the OAuth server granted to the client. */
  readonly scopes: readonly string[];
  readonly data: undefined;
}

/** A WorkOS API key that belongs to an organization or to one of its members. `user` is `null` in both cases. */
export interface ApiKeyAuth extends AuthBase {
  readonly type: 'apiKey';
  readonly user: null;
  /** The API key's data, such as its ID, name and owner. The secret value is not included. */
  readonly apiKey: Readonly<ApiKey>;
}

/**
 * A machine that sent an access token from the OAuth client credentials grant. Only the guards of a protected resource
 * (`protectedResource()`) accept machines.
 */
export interface MachineAuth extends AuthBase {
  readonly type: 'machine';
  readonly user: null;
  /** The client ID of the machine-to-machine application (`client_…`). */
  readonly clientId: string;
  readonly claims: TokenClaims;
  readonly scopes: readonly string[];
  /** The access token. The property is not enumerable, so printing the object does not reveal the token. */
  readonly accessToken: string;
}

/** The type of `req.auth` if a user is signed in. */
export type SignedIn = SessionAuth | SSOAuth | BearerAuth;

/** An authenticated user, API key or machine. */
export type Principal = SignedIn | ApiKeyAuth | MachineAuth;

/** The type of the credential that authenticated a request. It is the value of `req.auth.type`. */
export type AuthType = Principal['type'];

/** Whether the credential is a session cookie, set by either `authkit()` or `sso()`. */
export function isSessionType(type: AuthType): type is 'session' | 'sso' {
  return type === 'session' || type === 'sso';
}

/** The value of `req.auth` if the request is not authenticated. */
export interface SignedOut {
  readonly type: null;
  readonly user: null;
  /**
   * Why the request is not authenticated:
   *
   * - `none`: there is no session cookie.
   * - `expired`: the session has expired, or its access token has and cannot be refreshed for this request.
   * - `ended`: the session was ended, or WorkOS refused to refresh it.
   * - `invalid`: the session cookie or its access token is not valid.
   * - `unavailable`: the session could not be verified in time, because WorkOS, its signing keys or the store is
   *   unavailable.
   */
  readonly reason: 'none' | 'expired' | 'ended' | 'invalid' | 'unavailable';
  /** The URL of the login route. Its parameters bring the user back to this page after the sign-in. */
  readonly loginUrl: string;
  has: (rule: Rule) => false;
}

/** The type of `req.auth`. Check the `type` property to find out how the request is authenticated, if at all. */
export type Auth = Principal | SignedOut;

export function signedOut(reason: SignedOut['reason'], loginUrl: string): SignedOut {
  const auth = { type: null, user: null, reason, loginUrl };
  const has = (rule: Rule) => {
    // A misspelled rule must cause an error even if the request is not authenticated.
    compileRule(rule);
    return false;
  };
  return Object.freeze(Object.defineProperty(auth, 'has', { value: has })) as unknown as SignedOut;
}

const sessionAuths = perObjectState<SessionAuth>();

/** Returns the `req.auth` of a verified session. Every request with the same session gets the same object. */
export function toSessionAuth(verified: VerifiedSession): SessionAuth {
  let auth = sessionAuths.get(verified);
  if (!auth) sessionAuths.set(verified, (auth = build(verified.session, verified.claims)));
  return auth;
}

/**
 * Builds the `req.auth` of a session. All fields are in one object literal, because on Node 20, objects that are built
 * with a spread and then extended do not share a hidden class.
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

/** Returns the `req.auth` of an SSO session. Every request with the same session gets the same object. */
export function toSSOAuth(session: SSOSession): SSOAuth {
  let auth = ssoAuths.get(session);
  if (!auth) ssoAuths.set(session, (auth = buildSSOAuth(session)));
  return auth;
}

function buildSSOAuth({ profile, signedInAt, data }: SSOSession): SSOAuth {
  // Only own properties are read, as in `subjectOf`.
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

/**
 * Returns the `req.auth` of a user's access token: the same object for as long as the claims and the user are cached.
 */
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

/** Builds the `req.auth` of a machine's access token. */
export function toMachineAuth(claims: TokenClaims, accessToken: string): MachineAuth {
  const subject = subjectOf(claims);
  const fields = { type: 'machine', user: null, clientId: claims.sub, ...subject, claims } as const;
  return finish<MachineAuth>({ ...fields, scopes: scopesOf(claims) }, subject, accessToken);
}

const apiKeyAuths = perObjectState<ApiKeyAuth>();

/** Returns the `req.auth` of an API key: the same object for as long as the response from WorkOS is cached. */
export function toApiKeyAuth(key: ApiKey): ApiKeyAuth {
  let auth = apiKeyAuths.get(key);
  if (!auth) apiKeyAuths.set(key, (auth = buildApiKeyAuth(key)));
  return auth;
}

/**
 * Builds the `req.auth` of an API key. The key's organization is the one that owns the key or, if a user owns the key,
 * that user's organization. An API key has permissions but no roles.
 */
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

/** Completes a principal: adds `has` and the access token as non-enumerable properties, and freezes the object. */
function finish<T extends Principal>(
  fields: Omit<T, 'has' | 'accessToken'>,
  subject: Subject,
  accessToken?: string,
): T {
  // `enumerable` is set explicitly, because a polluted `Object.prototype.enumerable` would otherwise make the access
  // token enumerable.
  const has = { value: (rule: Rule) => compileRule(rule)(subject), enumerable: false };
  const token = { value: accessToken, enumerable: false };
  const hidden = accessToken === undefined ? { has } : { has, accessToken: token };
  return deepFreeze(Object.defineProperties(fields, hidden)) as T;
}

/**
 * Returns the data that rules are tested against, from the claims of an access token. Only own properties of the claims
 * are read, so a polluted `Object.prototype` cannot add a role or a permission.
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
 * Reads the impersonator from the `act` claim, which names the party that acts for the subject (RFC 8693 section 4.1).
 * WorkOS sets the claim's `sub` to the email address of the member of your team who is impersonating the user.
 */
function actorOf(claims: TokenClaims): Impersonator | undefined {
  const act = claim(claims, 'act') as { sub?: unknown } | null | undefined;
  if (act === undefined) return undefined;
  // A session with an `act` claim counts as impersonated, even if the claim contains no email address.
  return { email: text(act?.sub) ?? '', reason: null };
}

/** Returns the scopes in the `scope` claim (RFC 6749 section 3.3). */
function scopesOf(claims: TokenClaims): readonly string[] {
  return (text(claim(claims, 'scope')) ?? '').split(' ').filter((scope) => scope !== '');
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

const NONE: readonly string[] = Object.freeze([]);

/** Returns the strings in a claim that should be a list of strings. Items of any other type are left out. */
function texts(values: unknown): readonly string[] {
  if (!Array.isArray(values)) return NONE;
  const isText = (value: unknown) => typeof value === 'string';
  return values.every(isText) ? values : values.filter(isText);
}

/**
 * Freezes an object and all objects nested in it. Use this only for values that were parsed from JSON, which have no
 * cycles and are not shared with other code.
 */
function deepFreeze<T extends object>(value: T): T {
  Object.freeze(value);
  for (const key of Object.keys(value)) {
    const inner: unknown = value[key as keyof T];
    if (typeof inner === 'object' && inner !== null && !Object.isFrozen(inner)) deepFreeze(inner);
  }
  return value;
}
