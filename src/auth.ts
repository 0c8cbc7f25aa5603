import type { IncomingMessage } from 'node:http';
import type { Impersonator, User } from '@workos-inc/node';
import type { Claims } from './access-token.js';
import type { Request, Response } from './http.js';
import { markPersonal } from './response-head.js';
import { compileRule, type Rule, type Subject } from './rules.js';
import type { Session } from './session.js';

/** Somebody is signed in. Read-only, and shared by all requests of the same cookie. */
export interface SignedIn extends Subject {
  readonly type: 'session';
  readonly user: Readonly<User>;
  /** `sid` of the access token. */
  readonly sessionId: string;
  /** Who acts in the user's name, if WorkOS's impersonation is in use. */
  readonly impersonator: Impersonator | undefined;
  /** How the person signed in, such as `Password` or `SSO`. */
  readonly authenticationMethod: string | undefined;
  /** All claims of the access token. */
  readonly claims: Claims;
  /** For calls to your own services. Not enumerable, so that it does not leak by being printed. */
  readonly accessToken: string;
  /** What `onSuccess` returned as `data`. */
  readonly data: unknown;
  /** Whether the rule holds, as `requireAuth` would decide it. */
  has(rule: Rule): boolean;
}

/** Nobody is signed in, as far as can be told. */
export interface SignedOut {
  readonly type: null;
  readonly user: null;
  /** `unknown`: WorkOS or its keys could not be asked in time. */
  readonly reason: 'none' | 'expired' | 'ended' | 'invalid' | 'unknown';
  /** Path of the login route that comes back to this page. */
  readonly signInUrl: string;
  has(rule: Rule): false;
}

export type Auth = SignedIn | SignedOut;

/** Whether somebody signed in recently enough for a `maxAge` in seconds. */
export function isRecent({ claims }: SignedIn, session: Session, maxAge: number, now: number): boolean {
  const at = claims.auth_time ?? session.own.authenticatedAt;
  // Both in whole seconds, as the claim is: a fraction of one is no age.
  return typeof at === 'number' && Math.floor(now / 1000) - at <= maxAge;
}

const built = new WeakMap<Session, SignedIn>();

/** The `Auth` of a session, the same object each time. */
export function signedInAs(session: Session, claims: Claims): SignedIn {
  let auth = built.get(session);
  if (!auth) built.set(session, (auth = build(session, claims)));
  return auth;
}

function build(session: Session, claims: Claims): SignedIn {
  const { user, impersonator, authenticationMethod, accessToken, own } = session;
  const { org_id: organization, role } = claims;
  const subject: Subject = {
    organizationId: typeof organization === 'string' ? organization : undefined,
    role: typeof role === 'string' ? role : undefined,
    roles: texts(claims['roles']),
    permissions: texts(claims['permissions']),
    entitlements: texts(claims['entitlements']),
    featureFlags: texts(claims['feature_flags']),
  };
  const auth = {
    type: 'session',
    user,
    sessionId: claims.sid,
    ...subject,
    impersonator,
    authenticationMethod,
    claims,
    data: own.data,
  };
  Object.defineProperty(auth, 'accessToken', { value: accessToken });
  Object.defineProperty(auth, 'has', { value: (rule: Rule) => compileRule(rule)(subject) });
  return deepFreeze(auth) as unknown as SignedIn;
}

export function signedOut(reason: SignedOut['reason'], signInUrl: string): SignedOut {
  const auth = { type: null, user: null, reason, signInUrl };
  Object.defineProperty(auth, 'has', { value: () => false });
  return Object.freeze(auth) as SignedOut;
}

/** Claims are whatever was signed; a rule must not match an object that happens to have a key of that name. */
function texts(claim: unknown): readonly string[] {
  return Array.isArray(claim) ? claim.filter((value) => typeof value === 'string') : [];
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

/**
 * Gives the request `auth` and `user`. They are read as they are now, so that a refresh half-way is seen by everybody;
 * reading marks the answer as personal; and another middleware may replace them without being believed by a guard.
 */
export function expose(req: Request, res: Response, current: () => Auth): void {
  const read = () => {
    markPersonal(res);
    return current();
  };
  accessor(req, 'auth', read);
  accessor(req, 'user', () => read().user ?? undefined);
}

function accessor(req: IncomingMessage, name: 'auth' | 'user', get: () => unknown): void {
  Object.defineProperty(req, name, {
    configurable: true,
    enumerable: true,
    get,
    set(value: unknown) {
      Object.defineProperty(req, name, { value, configurable: true, enumerable: true, writable: true });
    },
  });
}
