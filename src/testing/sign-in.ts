import type { Impersonator, User } from '@workos-inc/node';
import { seal } from '../session/seal.js';
import type { Directory, Person } from './directory.js';
import type { TestUser } from './seed.js';
import type { Sessions, TokenPair } from './sessions.js';

/** Who is signed in, and how. */
export interface TestSignIn {
  /** Id or e-mail address of somebody who is there, or a person to add; default the first one. */
  user?: string | TestUser;
  /** Id or name; membership is not needed. Default: the person's first organization; `null` for none. */
  organizationId?: string | null;
  /** In place of the membership's; permissions come with the role, so name those as well. */
  role?: string;
  roles?: readonly string[];
  permissions?: readonly string[];
  entitlements?: readonly string[];
  featureFlags?: readonly string[];
  /** Who acts for the person; `reason` is `null` by default. */
  impersonator?: { email: string; reason?: string | null };
  /** Default `Password`, or `Impersonation`. */
  authenticationMethod?: string;
  /** Life of the first access token in seconds; negative for one that has expired. */
  expiresIn?: number;
  /** Further claims, also of later tokens. May replace WorkOS's own, or take one away with `undefined`. */
  claims?: Readonly<Record<string, unknown>>;
  /** Default `wos-session`. */
  cookieName?: string;
}

export interface SignInParts {
  directory: Directory;
  sessions: Sessions;
  cookiePassword: string;
}

/** Makes sessions without HTTP. They are real ones: they refresh, and they end. */
export function createSignIn({ directory, sessions, cookiePassword }: SignInParts) {
  const start = async (options: TestSignIn) => {
    const { user } = personFor(options.user, directory);
    directory.recordSignIn(user.id);
    const person = personFor(user.id, directory);
    const pair = await sessions.start(sessionOf(options, person, directory), options.expiresIn);
    return { person, pair };
  };
  return {
    cookie: async (options: TestSignIn = {}): Promise<string> => {
      const { person, pair } = await start(options);
      const sealed = await seal(payloadOf(person.user, pair), cookiePassword);
      return `${options.cookieName ?? 'wos-session'}=${sealed}`;
    },
    accessToken: async (options: TestSignIn = {}): Promise<string> => (await start(options)).pair.accessToken,
  };
}

/** What keeps cookies between requests to a server on this machine, such as supertest's `request.agent(app)`. */
export interface CookieAgent {
  jar: { setCookie: (cookie: string, domain: string, path: string) => unknown };
}

export function intoJar<A extends CookieAgent>(agent: A, cookie: string): A {
  agent.jar.setCookie(`${cookie}; Path=/`, '127.0.0.1', '/');
  return agent;
}

function personFor(user: TestSignIn['user'], directory: Directory): Person {
  if (typeof user === 'object') return directory.put(user);
  const people = directory.people();
  const person = user === undefined ? people[0] : directory.find(user);
  if (person) return person;
  const known = people.map((one) => one.user.email).join(', ') || 'nobody';
  throw new Error(`Nobody here is "${user ?? ''}": pass an object to add a person. There are: ${known}`);
}

function sessionOf(options: TestSignIn, person: Person, directory: Directory) {
  const { role, roles, permissions, entitlements, featureFlags, impersonator, claims = {} } = options;
  return {
    userId: person.user.id,
    organizationId: organizationFor(options.organizationId, person, directory),
    named: { role, roles, permissions, entitlements, featureFlags },
    impersonator: impersonator && { reason: null, ...impersonator },
    authenticationMethod: options.authenticationMethod ?? (impersonator ? 'Impersonation' : 'Password'),
    authTime: undefined,
    claims,
  };
}

function organizationFor(asked: TestSignIn['organizationId'], person: Person, directory: Directory) {
  if (asked === null) return undefined;
  if (asked === undefined) return person.memberships[0]?.organizationId;
  return directory.findOrganization(asked)?.id ?? asked;
}

interface SealedSession {
  accessToken: string;
  refreshToken: string;
  user: User;
  impersonator?: Impersonator;
  authenticationMethod: string;
  organizationId?: string;
}

/** What every WorkOS SDK keeps in its cookie. */
function payloadOf(user: User, { session, accessToken, refreshToken }: TokenPair): SealedSession {
  const { impersonator, authenticationMethod, organizationId } = session;
  return {
    accessToken,
    refreshToken,
    user,
    ...(impersonator ? { impersonator } : {}),
    authenticationMethod,
    ...(organizationId === undefined ? {} : { organizationId }),
  };
}
