import type { IncomingMessage } from 'node:http';
import type { ApiKey, User } from '@workos-inc/node';
import type { Claims, TokenClaims } from './access-token.js';
import { compileRule, type Rule, type Subject } from './rules.js';
import type { SSOProfile } from './session.js';

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
  /** Who the identity provider says this is, if the session is one of `sso()`; else `undefined`. */
  readonly profile: SSOProfile | undefined;
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
export type SignedIn = SessionAuth | BearerAuth;

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

export interface RequestProperties {
  /** Gives it both, in place of what somebody else gave it before. */
  expose: (req: IncomingMessage) => void;
  /** Gives it both if it has lost them: it may have come to an application of another Express since. */
  ensure: (req: IncomingMessage) => void;
}

/**
 * Makes what gives a request `auth` and `user`. They are read as they are now, so that a refresh half-way is seen by
 * everybody; and another middleware may replace them without being believed by a guard.
 *
 * One pair of accessors for all requests, and where there is one on the prototype that Express gives all requests and
 * hands out to be extended (`express.request`): with a pair of its own, each request would get a shape of its own, and
 * everything that is done with it afterwards takes longer. Not on that of one application: a request is given the
 * prototype of another one as soon as that is called.
 */
export function defineRequestProperties(read: (req: object) => Auth | undefined): RequestProperties {
  const auth = accessor('auth', read, (found) => found);
  const user = accessor('user', read, (found) => found.user ?? undefined);
  const prepared = new WeakSet<object>();
  const expose = (req: IncomingMessage) => {
    const prototype = Object.getPrototypeOf(req) as object;
    // What somebody set before is replaced, as a value is on the request itself.
    const isSet = Object.hasOwn(req, 'auth') || Object.hasOwn(req, 'user');
    if (!isSet && prepared.has(prototype)) return;
    const shared = isSet ? undefined : ofExpress(prototype);
    const target = shared && Object.isExtensible(shared) ? shared : req;
    if (target === req || !prepared.has(target))
      for (const define of [auth, user]) define(target, target === req);
    if (target === req) return;
    prepared.add(target);
    prepared.add(prototype);
  };
  return {
    expose,
    ensure(req) {
      if (!prepared.has(Object.getPrototypeOf(req) as object) && !('auth' in req)) expose(req);
    },
  };
}

/**
 * What the requests of all applications inherit from, by way of their application: Express alone names that on a
 * prototype. Node's own prototypes have a constructor, and are everybody's.
 */
function ofExpress(prototype: object): object | undefined {
  let found: object | undefined;
  for (let object = prototype; Object.hasOwn(object, 'app'); object = Object.getPrototypeOf(object) as object)
    found = object;
  const parent = found && (Object.getPrototypeOf(found) as object | null);
  return parent && !Object.hasOwn(parent, 'constructor') ? parent : found;
}

function accessor(
  name: 'auth' | 'user',
  read: (req: object) => Auth | undefined,
  pick: (auth: Auth) => unknown,
): (target: object, enumerable: boolean) => void {
  return (target, enumerable) => {
    const other = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, {
      configurable: true,
      enumerable,
      get(this: object): unknown {
        // Requests that are not ours are left to who was here before, such as another copy of this package.
        const found = read(this);
        return found ? pick(found) : other?.get?.call(this);
      },
      set(this: object, value: unknown) {
        Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true });
      },
    });
  };
}
