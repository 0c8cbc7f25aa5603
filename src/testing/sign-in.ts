import type { Impersonator, User } from '@workos-inc/node';
import { seal } from '../seal.js';
import type { Directory, Person, TestUser } from './state/directory.js';
import type { Sessions, TokenPair } from './state/sessions.js';

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

/** What a person does on the sign-in page. */
export interface TestVisit {
  /** Id or e-mail address; default the first person. */
  user?: string;
  /** Default: what the application asks for, else the person's first organization; `null` for none. */
  organizationId?: string | null;
  /** Refuses to sign in. */
  deny?: boolean;
}

/**
 * Visits an authorization URL as a browser does and makes the choice, over HTTP.
 *
 * @returns Where WorkOS redirects to: the application's callback.
 * @throws {Error} If WorkOS shows an error in place of the sign-in page.
 */
export async function visit(url: URL, { organizationId, user, deny = false }: TestVisit): Promise<string> {
  const page = await fetch(url);
  if (!page.ok) throw await refusal(page);
  await page.arrayBuffer();
  const choice = new URLSearchParams({ request: url.searchParams.toString() });
  if (user !== undefined) choice.set('user', user);
  if (organizationId !== undefined) choice.set('organization_id', organizationId ?? '');
  if (deny) choice.set('decision', 'deny');
  const answer = await fetch(new URL(`${url.pathname}/choose`, url), {
    method: 'POST',
    body: choice,
    redirect: 'manual',
  });
  const callback = answer.headers.get('location');
  if (callback === null) throw await refusal(answer);
  await answer.arrayBuffer();
  return callback;
}

async function refusal(answer: Response): Promise<Error> {
  return new Error(`WorkOS refuses this sign-in with ${answer.status}: ${await answer.text()}`);
}
