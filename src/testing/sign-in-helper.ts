import type { Impersonator, User } from '@workos-inc/node';
import { seal } from '../session/iron-seal.js';
import type { TokenMacs } from '../workos/verified-token-mac.js';
import { checkNames } from './options.js';
import type { Directory, DirectoryUser, TestMembership, TestUser } from './state/users-and-organizations.js';
import type { NewSession, Sessions, TokenPair } from './state/sessions.js';

/** The options of `signIn`, `signInAgent` and `accessToken`, which start a session without a browser. */
export interface TestSignIn {
  /**
   * Id or email address of a user, or an object that creates or changes a user as `putUser` does. Default: the first
   * user.
   */
  user?: string | TestUser;
  /**
   * Id or name of the organization to sign in to, or `null` for no organization. The user does not have to be a member.
   * Default: the user's first organization.
   */
  organizationId?: string | null;
  /**
   * The user's role, instead of the role in the membership. If `role` or `roles` is set, the permissions of the
   * membership do not apply either, so set `permissions` as well.
   */
  role?: string;
  roles?: readonly string[];
  permissions?: readonly string[];
  entitlements?: readonly string[];
  featureFlags?: readonly string[];
  /** The administrator who impersonates the user. The default of `reason` is `null`. */
  impersonator?: { email: string; reason?: string | null };
  /** How the user authenticated. Default: `Password`, or `Impersonation` if `impersonator` is set. */
  authenticationMethod?: string;
  /** Lifetime of the first access token, in seconds. A negative number creates a token that has already expired. */
  expiresIn?: number;
  /**
   * Additional claims for all access tokens of the session. They replace claims of the same name that WorkOS sets. The
   * value `undefined` removes a claim.
   */
  claims?: Readonly<Record<string, unknown>>;
  /** The `User-Agent` that WorkOS stores with the session. Default: none. */
  userAgent?: string;
  /** Name of the session cookie. Default: `wos-session`. */
  cookieName?: string;
}

const SIGN_IN_OPTIONS: Readonly<Record<keyof TestSignIn, true>> = {
  user: true,
  organizationId: true,
  role: true,
  roles: true,
  permissions: true,
  entitlements: true,
  featureFlags: true,
  impersonator: true,
  authenticationMethod: true,
  expiresIn: true,
  claims: true,
  userAgent: true,
  cookieName: true,
};

const USER_OPTIONS: Readonly<Record<keyof TestUser, true>> = {
  id: true,
  email: true,
  emailVerified: true,
  password: true,
  firstName: true,
  lastName: true,
  profilePictureUrl: true,
  locale: true,
  externalId: true,
  metadata: true,
  memberships: true,
};

const MEMBERSHIP_OPTIONS: Readonly<Record<keyof TestMembership, true>> = {
  organizationId: true,
  role: true,
  roles: true,
  permissions: true,
  status: true,
};

/** Throws if `user` or one of the user's memberships has an unknown property, or if the user has no email address. */
export function checkUser(where: string, user: TestUser): void {
  checkNames(where, user, USER_OPTIONS);
  if (typeof user.email !== 'string' || user.email === '') throw new Error(`${where} needs an \`email\`.`);
  for (const membership of user.memberships ?? [])
    checkNames(`${where}: a membership`, membership, MEMBERSHIP_OPTIONS);
}

export interface SignInDependencies {
  directory: Directory;
  sessions: Sessions;
  cookiePassword: string;
  /** Creates token MACs with the same key as the application that receives the cookie. */
  macs: TokenMacs;
  putUser: (user: TestUser) => DirectoryUser;
  now: () => number;
}

/**
 * Creates the functions that start sessions without HTTP requests. These sessions can be refreshed and ended like any
 * other session.
 */
export function createSignIn(dependencies: SignInDependencies) {
  const { directory, sessions, cookiePassword, macs, now } = dependencies;
  const start = async (where: string, options: TestSignIn) => {
    checkNames(where, options, SIGN_IN_OPTIONS);
    const { user } = userFor(options.user, dependencies);
    directory.recordSignIn(user.id);
    const signedIn = userFor(user.id, dependencies);
    const pair = await sessions.start(sessionOf(options, signedIn, directory, now()), options.expiresIn);
    return { user: signedIn.user, pair };
  };
  return {
    cookie: async (options: TestSignIn = {}): Promise<string> => {
      const { user, pair } = await start('signIn()', options);
      const sealed = await seal(sessionCookieData(user, pair, macs), cookiePassword);
      return `${options.cookieName ?? 'wos-session'}=${sealed}`;
    },
    accessToken: async (options: TestSignIn = {}): Promise<string> =>
      (await start('accessToken()', options)).pair.accessToken,
  };
}

/** A client that keeps cookies between requests to a local server, such as supertest's `request.agent(app)`. */
export interface CookieAgent {
  jar: { setCookie: (cookie: string, domain: string, path: string) => unknown };
}

export function addCookie<A extends CookieAgent>(agent: A, cookie: string): A {
  agent.jar.setCookie(`${cookie}; Path=/`, '127.0.0.1', '/');
  return agent;
}

function userFor(user: TestSignIn['user'], { directory, putUser }: SignInDependencies): DirectoryUser {
  if (typeof user === 'object') return putUser(user);
  const users = directory.users();
  const found = user === undefined ? users[0] : directory.findUser(user);
  if (found) return found;
  if (user === undefined) throw new Error('The test WorkOS has no users. Pass an object to create one.');
  const known = users.map((one) => one.user.email).join(', ') || 'none';
  throw new Error(
    `The test WorkOS has no user "${user}". Pass an object to create one. Its users are: ${known}`,
  );
}

function sessionOf(options: TestSignIn, user: DirectoryUser, directory: Directory, now: number): NewSession {
  const { role, roles, permissions, entitlements, featureFlags, impersonator, claims = {} } = options;
  const organizationId = organizationFor(options.organizationId, user, directory);
  return {
    userId: user.user.id,
    organizationId,
    isMember: user.memberships.some((membership) => membership.organizationId === organizationId),
    named: { role, roles, permissions, entitlements, featureFlags },
    impersonator: impersonator && { reason: null, ...impersonator },
    authenticationMethod: options.authenticationMethod ?? (impersonator ? 'Impersonation' : 'Password'),
    authTime: Math.floor(now / 1000),
    userAgent: options.userAgent,
    claims,
  };
}

function organizationFor(
  asked: TestSignIn['organizationId'],
  user: DirectoryUser,
  directory: Directory,
): string | undefined {
  if (asked === null) return undefined;
  if (asked === undefined) return user.memberships[0]?.organizationId;
  return directory.findOrganization(asked)?.id ?? asked;
}

interface SessionCookieData {
  accessToken: string;
  refreshToken: string;
  user: User;
  impersonator?: Impersonator;
  authenticationMethod: string;
  organizationId?: string;
  authkitExpress: { purpose: 'session'; tokenMac?: string | undefined };
}

/**
 * Returns the content of the session cookie: the data that every WorkOS SDK seals in it, and a property that
 * authkit-express adds.
 */
function sessionCookieData(
  user: User,
  { session, accessToken, refreshToken }: TokenPair,
  macs: TokenMacs,
): SessionCookieData {
  const { impersonator, authenticationMethod, organizationId } = session;
  return {
    accessToken,
    refreshToken,
    user,
    ...(impersonator ? { impersonator } : {}),
    authenticationMethod,
    ...(organizationId === undefined ? {} : { organizationId }),
    authkitExpress: { purpose: 'session', tokenMac: macs.create(accessToken, keyIdOf(accessToken)) },
  };
}

function keyIdOf(token: string): string {
  const [header = ''] = token.split('.');
  return (JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string }).kid;
}

/** What the user does on the sign-in page. */
export interface TestAuthorization {
  /**
   * Id or email address of the user. Default: the first user, or no user if the URL contains `prompt=none`. Without a
   * user, such a silent sign-in fails as if the browser had no session at WorkOS.
   */
  user?: string;
  /**
   * Id of the organization to sign in to, or `null` for no organization. Default: the organization that the application
   * requests, or else the user's first organization.
   */
  organizationId?: string | null;
  /** Whether the user denies the sign-in. */
  deny?: boolean;
  /** The browser's `User-Agent` header. */
  userAgent?: string;
}

const AUTHORIZATION_OPTIONS: Readonly<Record<keyof TestAuthorization, true>> = {
  user: true,
  organizationId: true,
  deny: true,
  userAgent: true,
};

/**
 * Opens an authorization URL over HTTP, as a browser does, and submits the sign-in page.
 *
 * @returns The callback URL that the test WorkOS redirects to.
 * @throws {Error} If the test WorkOS responds with an error instead of the sign-in page or a redirect.
 */
export async function submitSignInPage(url: URL, authorization: TestAuthorization): Promise<string> {
  checkNames('authorize()', authorization, AUTHORIZATION_OPTIONS);
  const { organizationId, user, deny = false, userAgent } = authorization;
  const headers: Record<string, string> = userAgent === undefined ? {} : { 'user-agent': userAgent };
  // With `prompt=none`, WorkOS shows no page. If `user` is given, that user is treated as already signed in to WorkOS.
  const isSilent = url.searchParams.get('prompt') === 'none';
  const page = await fetch(url, { headers, redirect: isSilent ? 'manual' : 'follow' });
  const answer = page.headers.get('location');
  if (answer === null && !page.ok) throw await refusal(page);
  await page.arrayBuffer();
  if (answer !== null && user === undefined) return answer;
  const fields = new URLSearchParams({ request: url.searchParams.toString() });
  if (user !== undefined) fields.set('user', user);
  if (organizationId !== undefined) fields.set('organization_id', organizationId ?? '');
  if (deny) fields.set('decision', 'deny');
  const response = await fetch(new URL(`${url.pathname}/choose`, url), {
    method: 'POST',
    headers,
    body: fields,
    redirect: 'manual',
  });
  const callback = response.headers.get('location');
  if (callback === null) throw await refusal(response);
  await response.arrayBuffer();
  return callback;
}

async function refusal(response: Response): Promise<Error> {
  return new Error(`WorkOS refuses this sign-in with ${response.status}: ${await response.text()}`);
}
