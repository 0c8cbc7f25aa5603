import { setMaxListeners } from 'node:events';
import type { User } from '@workos-inc/node';
import { createClock, createClockFile, type TestClock } from './clock.js';
import type { TestApiKey } from './endpoints/api-keys.js';
import type { TestInvitation } from './endpoints/invitations.js';
import type { OAuthServer, TestOAuthToken } from './endpoints/oauth.js';
import { STEP_MESSAGES, type RequiredStep } from './endpoints/required-sign-in-steps.js';
import { createIdPStart, type TestIdPStart } from './endpoints/sso.js';
import {
  createEnvironment,
  type Environment,
  type Lifetimes,
  type Settings,
} from './fake-workos-environment.js';
import type { Calls, Fault, RecordedCall } from './faults.js';
import { checkNames, didYouMean, type Names } from './options.js';
import { listen } from './http-server.js';
import {
  addCookie,
  checkUser,
  createSignIn,
  submitSignInPage,
  type CookieAgent,
  type TestSignIn,
  type TestAuthorization,
} from './sign-in-helper.js';
import {
  createDirectory,
  type Directory,
  type TestConnection,
  type TestOrganization,
  type TestUser,
} from './state/users-and-organizations.js';
import { createTokenMacs } from '../workos/verified-token-mac.js';
import { createWebhookSigner } from './webhooks.js';

export interface TestWorkOSOptions {
  /** The users. Default: Ada Lovelace, Grace Hopper and Alan Turing, or no users if `organizations` is set. */
  users?: readonly TestUser[];
  /** The organizations. Default: one organization, Analytical Engines, or none if `users` is set. */
  organizations?: readonly TestOrganization[];
  /** The port that the server listens on. Default: any free port. */
  port?: number;
  clientId?: string;
  apiKey?: string;
  cookiePassword?: string;
  /**
   * The application's callback URL, which `workos.options` and `workos.env` contain. Default:
   * `http://localhost:3000/callback`.
   */
  redirectUri?: string;
  /**
   * The redirect URIs to accept. They must match exactly. Default: any https URL, and any http URL with a loopback
   * host, such as `localhost`.
   */
  redirectUris?: readonly string[];
  /** The `iss` claim of access tokens. Default: `<url>/user_management/<clientId>`. */
  issuer?: string;
  /** The slugs of the Pipes providers that users can link accounts with. Default: `['github']`. */
  pipes?: readonly string[];
  /**
   * The URL that a logout without `return_to` redirects to. Default: the origin of the most recently used redirect URI.
   */
  homepage?: string;
  /** The secret that `workos.webhook` signs requests with. */
  webhookSecret?: string;
  /**
   * The start time of the clock, in milliseconds since the epoch. With a start time, only `clock.advance` moves the
   * clock. Without one, the clock follows real time, and `clock.advance` adds to it.
   */
  now?: number;
  /** Lifetime of access tokens, in seconds. Default: 300. */
  accessTokenLifetime?: number;
  /**
   * A refresh token can be exchanged more than once, always for the same tokens, until this many seconds have passed
   * since the first exchange. Default: 30. With 0, a refresh token can be exchanged only once.
   */
  replayWindow?: number;
  /** Whether the open server keeps the process running. Default: true. */
  keepsProcess?: boolean;
}

/** The options that make `authkit()` use the test WorkOS. */
export interface TestAuthKitOptions {
  clientId: string;
  apiKey: string;
  apiHostname: string;
  apiHttps: boolean;
  apiPort: number;
  cookiePassword: string;
  redirectUri: string;
  now: () => number;
  issuer?: string;
}

/** A fake WorkOS that runs in this process. */
export interface TestWorkOS extends Lifetimes {
  readonly url: string;
  /** The options that make `authkit()` use the test WorkOS, as in `authkit({ ...workos.options })`. */
  readonly options: Readonly<TestAuthKitOptions>;
  /**
   * The settings in `options` as environment variables, plus the webhook secret. Use them for a child process, or for
   * an application that reads its configuration from environment variables.
   *
   * In a Node child process, `Date.now()` and `new Date()` follow `clock`. To achieve this, `NODE_OPTIONS` contains the
   * options of this process and an additional option that loads a replacement for `Date`. Timers, `performance.now()`
   * and `Temporal` are not affected. In this process, `Date` is not replaced. An application in this process that
   * reads the variables therefore also needs the option `now: workos.clock.now`.
   *
   * @example
   * spawn('node', ['server.js'], { env: { ...process.env, ...workos.env } });
   */
  readonly env: Readonly<Record<string, string>>;
  readonly clock: TestClock;
  /** Every request that the test WorkOS has received so far, oldest first. */
  readonly calls: readonly RecordedCall[];
  /** Returns the requests for one operation. The operation `authenticate` matches requests with any grant type. */
  callsTo: Calls['to'];
  /** Returns all users. */
  users: () => readonly User[];
  /**
   * Signs a user in without HTTP requests. Returns the value of the `Cookie` header for requests to the application.
   */
  signIn: (options?: TestSignIn) => Promise<string>;
  /**
   * Signs a user in and adds the session cookie to an agent's cookie jar. Returns the agent, which also keeps the
   * cookies that the application sets later.
   *
   * @example
   * const ada = await workos.signInAgent(request.agent(app), { user: 'ada@example.com' });
   * await ada.get('/account').expect(200);
   */
  signInAgent: <A extends CookieAgent>(agent: A, options?: TestSignIn) => Promise<A>;
  /**
   * Signs a user in and returns the access token, which the application accepts in an `Authorization: Bearer` header.
   */
  accessToken: (options?: Omit<TestSignIn, 'cookieName'>) => Promise<string>;
  /**
   * Creates an API key and returns its value, `sk_…`, which the application accepts in an `Authorization: Bearer`
   * header.
   */
  createApiKey: (key?: TestApiKey) => string;
  /** Revokes an API key by its value, `sk_…`. */
  revokeApiKey: (value: string) => void;
  /**
   * Issues an access token for a user or an M2M application, as AuthKit's OAuth server does. The token's issuer is
   * `url`.
   */
  oauthToken: (token?: TestOAuthToken) => Promise<string>;
  /**
   * Creates an M2M application, which can use the client credentials grant at `${url}/oauth2/token`. By default, the
   * M2M application belongs to the first organization. Returns its credentials.
   */
  createMachine: OAuthServer['createMachine'];
  /**
   * Opens an authorization URL over HTTP and submits the sign-in page. Returns the callback URL that the test WorkOS
   * redirects to.
   */
  authorize: (url: string | URL, authorization?: TestAuthorization) => Promise<string>;
  /** Creates an invitation and returns its token. */
  invite: (invitation: TestInvitation) => string;
  /** Starts a sign-in at the identity provider. Returns the callback URL, which contains a code but no state. */
  startAtIdentityProvider: (start: TestIdPStart) => string;
  /** Returns the slugs of the Pipes providers that a user has linked accounts with. */
  linkedBy: (idOrEmail: string) => readonly string[];
  /**
   * Returns the last six-digit code that was sent to a user, for magic auth, email verification or a Radar challenge.
   *
   * @throws {Error} If no code was sent.
   */
  emailCode: (idOrEmail: string) => string;
  /**
   * Returns the six-digit code that the user's authenticator app currently shows.
   *
   * @throws {Error} If the user has no authentication factor.
   */
  totpCode: (idOrEmail: string) => string;
  /**
   * Makes requests fail, or changes the responses to them. The fault ends when `restore` or `recover` is called, or
   * after `times` requests.
   */
  fail: (fault: Fault) => { restore: () => void };
  /** Removes all faults. */
  recover: () => void;
  /** Makes authentications require an additional step until `restore` is called. */
  requireStep: (step: RequiredStep) => { restore: () => void };
  /** Replaces the key that signs tokens. The old keys stay published unless `keepOld` is false. */
  rotateKeys: (options?: { keepOld?: boolean }) => Promise<void>;
  /** Creates a JWT that contains the given claims, signed with the current key. */
  signToken: (claims: Readonly<Record<string, unknown>>) => Promise<string>;
  /** Ends a session. From then on, the test WorkOS refuses the session's refresh tokens with `invalid_grant`. */
  endSession: (sessionId: string) => void;
  /** The secret that `webhook` signs requests with. Pass it to `auth.webhooks({ secret })`. */
  readonly webhookSecret: string;
  /**
   * Creates a signed webhook request. The arguments are the name of an event, such as `session.revoked`, and the
   * event's data. Does not send the request.
   */
  webhook: ReturnType<typeof createWebhookSigner>;
  /**
   * Creates a user, or changes the given fields of an existing user. Sessions get the new values on their next refresh.
   */
  putUser: (user: TestUser) => User;
  /** Deletes a user by id or email address, and ends the user's sessions. */
  deleteUser: (idOrEmail: string) => void;
  /** Closes the server and all its connections. */
  close: () => Promise<void>;
}

/**
 * Starts a fake WorkOS in this process. It is a real HTTP server that listens on 127.0.0.1.
 *
 * @throws {Error} If an option is unknown.
 * @example
 * const workos = await createTestWorkOS();
 * app.use(authkit({ ...workos.options }));
 * await request(app).get('/account').set('Cookie', await workos.signIn({ user: 'ada@example.com' }));
 * await workos.close();
 */
export async function createTestWorkOS(options: TestWorkOSOptions = {}): Promise<TestWorkOS> {
  checkOptions(options);
  const settings = settingsOf(options);
  const lifetimes = lifetimesOf(options);
  const clockFile = createClockFile(options.now);
  const clock = createClock(options.now, clockFile.update);
  const directory = createDirectory(options, clock.now);
  const closing = new AbortController();
  const { signal } = closing;
  // Every delayed response adds a listener to the signal, so a large number of listeners is normal and Node must not
  // warn about it.
  setMaxListeners(0, signal);
  const { port = 0, keepsProcess = true } = options;
  const server = await listen({
    port,
    keepsProcess,
    signal,
    now: clock.now,
    answer: (request) => environment.answer(request),
  });
  const { url } = server;
  const environment = createEnvironment({ settings, lifetimes, directory, clock, url, signal });
  for (const { email, password } of options.users ?? [])
    setPassword(directory.findUser(email)?.user.id, password, environment);
  const close = () => {
    closing.abort();
    clockFile.close();
    return server.close();
  };
  // The other properties are added to the `lifetimes` object itself, because the environment reads that object. A test
  // can therefore change a lifetime by setting a property, such as `workos.replayWindow`.
  const workos = Object.assign(lifetimes, {
    url,
    options: authkitOptions(settings, server.port, clock),
    clock,
    close,
    ...controls(environment, directory, settings, url, clock),
  });
  // `env` is a getter because reading it creates the clock file, which most tests do not need.
  return Object.defineProperty(workos as TestWorkOS, 'env', {
    get: () => environmentVariables(settings, server.port, clockFile.variables()),
    enumerable: true,
  });
}

/**
 * Fills in the default settings. The default keys and passwords need not be secret, because they only give access to a
 * test WorkOS.
 */
function settingsOf(options: TestWorkOSOptions): Settings {
  return {
    clientId: options.clientId ?? 'client_01TESTWORKOS',
    apiKey: options.apiKey ?? 'sk_test_workos_in_this_process',
    cookiePassword: options.cookiePassword ?? 'a-password-for-tests-and-for-nothing-else',
    redirectUri: options.redirectUri ?? 'http://localhost:3000/callback',
    redirectUris: options.redirectUris,
    issuer: options.issuer,
    homepage: options.homepage,
    webhookSecret: options.webhookSecret ?? 'a-secret-for-test-webhooks',
    pipes: options.pipes ?? ['github'],
  };
}

/** Fills in the default lifetimes, which are those of the real WorkOS. */
function lifetimesOf({ accessTokenLifetime = 300, replayWindow = 30 }: TestWorkOSOptions): Lifetimes {
  return { accessTokenLifetime, replayWindow };
}

type Controls = Omit<TestWorkOS, keyof Lifetimes | 'url' | 'options' | 'env' | 'clock' | 'close'>;

function controls(
  environment: Environment,
  directory: Directory,
  settings: Settings,
  url: string,
  { now }: TestClock,
): Controls {
  const { sessions, calls, faults, keys, steps, apiKeys, oauth, invitations, ssoCodes } = environment;
  const { cookiePassword, redirectUri: callback, webhookSecret } = settings;
  const putUser = (user: TestUser) => {
    checkUser('putUser()', user);
    const put = directory.putUser(user);
    setPassword(put.user.id, user.password, environment);
    return put;
  };
  const idOf = (idOrEmail: string) => directory.findUser(idOrEmail)?.user.id;
  const macs = createTokenMacs(settings);
  const signIn = createSignIn({ directory, sessions, cookiePassword, macs, putUser, now });
  const startAtIdentityProvider = createIdPStart({ directory, codes: ssoCodes, callback, now });
  return {
    calls: calls.all,
    callsTo: calls.to,
    users: () => directory.users().map(({ user }) => user),
    signIn: signIn.cookie,
    signInAgent: async (agent, options) => addCookie(agent, await signIn.cookie(options)),
    accessToken: signIn.accessToken,
    createApiKey: checked('createApiKey()', API_KEY_OPTIONS, apiKeys.create),
    revokeApiKey: apiKeys.revoke,
    oauthToken: checked('oauthToken()', OAUTH_TOKEN_OPTIONS, oauth.token),
    createMachine: oauth.createMachine,
    authorize: (address, authorization = {}) => {
      const target = new URL(address, url);
      const isSilent = target.searchParams.get('prompt') === 'none';
      const first = isSilent ? undefined : directory.users()[0]?.user.id;
      return submitSignInPage(target, {
        ...(first === undefined ? {} : { user: first }),
        ...authorization,
      });
    },
    invite: checked('invite()', INVITATION_OPTIONS, invitations.create),
    startAtIdentityProvider: checked('startAtIdentityProvider()', IDP_START_OPTIONS, startAtIdentityProvider),
    linkedBy: (idOrEmail) => environment.linkedBy(idOf(idOrEmail) ?? ''),
    emailCode: (idOrEmail) => emailCode(idOrEmail, idOf(idOrEmail) ?? '', environment),
    totpCode: (idOrEmail) => totpCode(idOrEmail, idOf(idOrEmail) ?? '', environment),
    fail: faults.add,
    recover: faults.clear,
    requireStep: (step) => {
      checkStep(step);
      return steps.require(step);
    },
    rotateKeys: keys.rotate,
    signToken: keys.sign,
    endSession: sessions.end,
    webhookSecret,
    webhook: createWebhookSigner(webhookSecret, now),
    putUser: (user) => putUser(user).user,
    deleteUser: (idOrEmail) => {
      const id = idOf(idOrEmail);
      if (id !== undefined) environment.deleteUser(id);
    },
  };
}

function setPassword(
  userId: string | undefined,
  password: string | undefined,
  { passwords }: Environment,
): void {
  if (userId !== undefined && password !== undefined) passwords.set(userId, password);
}

function emailCode(idOrEmail: string, userId: string, { oneTimeCodes }: Environment): string {
  const sent = oneTimeCodes.latest(userId);
  if (sent) return sent.code;
  throw new Error(
    `No code was sent to "${idOrEmail}". Codes are sent by magic auth, and when an email address is verified.`,
  );
}

function totpCode(idOrEmail: string, userId: string, { factors }: Environment): string {
  const factor = factors.of(userId).at(-1);
  if (factor) return factors.currentCode(factor);
  throw new Error(
    `The user "${idOrEmail}" has no authentication factor. Enroll one, or require the step mfa_challenge.`,
  );
}

function authkitOptions(
  settings: Settings,
  apiPort: number,
  { now }: TestClock,
): Readonly<TestAuthKitOptions> {
  const { clientId, apiKey, cookiePassword, redirectUri, issuer } = settings;
  const api = { apiHostname: '127.0.0.1', apiHttps: false, apiPort };
  const named = issuer === undefined ? {} : { issuer };
  return Object.freeze({ clientId, apiKey, ...api, cookiePassword, redirectUri, now, ...named });
}

function environmentVariables(
  settings: Settings,
  apiPort: number,
  clockVariables: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const { clientId, apiKey, cookiePassword, redirectUri, webhookSecret, issuer } = settings;
  return Object.freeze({
    WORKOS_CLIENT_ID: clientId,
    WORKOS_API_KEY: apiKey,
    WORKOS_COOKIE_PASSWORD: cookiePassword,
    WORKOS_REDIRECT_URI: redirectUri,
    WORKOS_API_HOSTNAME: '127.0.0.1',
    WORKOS_API_HTTPS: 'false',
    WORKOS_API_PORT: String(apiPort),
    WORKOS_WEBHOOK_SECRET: webhookSecret,
    ...(issuer === undefined ? {} : { WORKOS_ISSUER: issuer }),
    ...clockVariables,
  });
}

const OPTIONS: Readonly<Record<keyof TestWorkOSOptions, true>> = {
  users: true,
  organizations: true,
  port: true,
  clientId: true,
  apiKey: true,
  cookiePassword: true,
  redirectUri: true,
  redirectUris: true,
  issuer: true,
  pipes: true,
  homepage: true,
  webhookSecret: true,
  now: true,
  accessTokenLifetime: true,
  replayWindow: true,
  keepsProcess: true,
};

const ORGANIZATION_OPTIONS: Readonly<Record<keyof TestOrganization, true>> = {
  id: true,
  name: true,
  externalId: true,
  metadata: true,
  domains: true,
  entitlements: true,
  featureFlags: true,
  connections: true,
};

const CONNECTION_OPTIONS: Readonly<Record<keyof TestConnection, true>> = { id: true, type: true };

const API_KEY_OPTIONS: Readonly<Record<keyof TestApiKey, true>> = {
  organizationId: true,
  user: true,
  permissions: true,
  name: true,
};

const OAUTH_TOKEN_OPTIONS: Readonly<Record<keyof TestOAuthToken, true>> = {
  user: true,
  machine: true,
  audience: true,
  organizationId: true,
  scope: true,
  expiresIn: true,
  claims: true,
};

const INVITATION_OPTIONS: Readonly<Record<keyof TestInvitation, true>> = {
  email: true,
  organizationId: true,
  role: true,
};

const IDP_START_OPTIONS: Readonly<Record<keyof TestIdPStart, true>> = {
  user: true,
  connection: true,
  redirectUri: true,
};

const STEP_OPTIONS: Readonly<Record<keyof RequiredStep, true>> = {
  code: true,
  user: true,
  organizationId: true,
  on: true,
};

function checkOptions(options: TestWorkOSOptions): void {
  checkNames('createTestWorkOS()', options, OPTIONS);
  for (const user of options.users ?? []) checkUser('createTestWorkOS(): a user', user);
  for (const organization of options.organizations ?? []) {
    checkNames('createTestWorkOS(): an organization', organization, ORGANIZATION_OPTIONS);
    for (const connection of organization.connections ?? [])
      checkNames('createTestWorkOS(): a connection', connection, CONNECTION_OPTIONS);
  }
}

function checkStep(step: RequiredStep): void {
  checkNames('requireStep()', step, STEP_OPTIONS);
  if (Object.hasOwn(STEP_MESSAGES, step.code)) return;
  const known = Object.keys(STEP_MESSAGES);
  throw new Error(`requireStep(): there is no step "${step.code}".${didYouMean(step.code, known)}`);
}

/** Wraps `act` in a function that throws if its options contain a property that is not in `known`. */
function checked<Arguments extends [object?], Result>(
  where: string,
  known: Names,
  act: (...given: Arguments) => Result,
): (...given: Arguments) => Result {
  return (...given) => {
    checkNames(where, given[0] ?? {}, known);
    return act(...given);
  };
}
