import type { User } from '@workos-inc/node';
import { setMaxListeners } from 'node:events';
import { type ApiKeys, type TestApiKey, createApiKeys } from './endpoints/api-keys.js';
import { createAuthenticate } from './endpoints/authenticate.js';
import { createAuthorize, createChoose } from './endpoints/authorize.js';
import {
  type Handler,
  type Operation,
  type TestRequest,
  apiError,
  json,
  operationOf,
} from './endpoints/http.js';
import { type OAuthServer, type TestOAuthToken, createOAuthServer } from './endpoints/oauth.js';
import { createMemberships, createUpdateUser } from './endpoints/organizations.js';
import { type Pipes, createPipes } from './endpoints/pipes.js';
import { type RequiredStep, type Steps, createSteps } from './endpoints/required-steps.js';
import { createListSessions, createLogout, createRevokeSession } from './endpoints/sessions.js';
import { type TestIdPStart, createIdPStart, createProfileExchange } from './endpoints/sso.js';
import { createGetUser } from './endpoints/users.js';
import {
  type Calls,
  type Delivery,
  type Fault,
  type RecordedCall,
  type TestClock,
  createCalls,
  createClock,
  createFaults,
} from './faults.js';
import { listen } from './server.js';
import {
  type CookieAgent,
  type TestSignIn,
  type TestVisit,
  createSignIn,
  intoJar,
  visit,
} from './sign-in.js';
import {
  type Directory,
  type Invitations,
  type TestOrganization,
  type TestUser,
  createDirectory,
  createInvitations,
  grantsOf,
} from './state/directory.js';
import { type Session, type Sessions, accessTokenClaims, createSessions } from './state/sessions.js';
import { type Codes, type SigningKeys, createCodes, createSigningKeys } from './state/tokens.js';
import { createWebhookSigner } from './webhooks.js';

export interface TestWorkOSOptions {
  /** Default: Ada Lovelace, Grace Hopper and Alan Turing; nobody if there are `organizations`. */
  users?: readonly TestUser[];
  /** Default: Analytical Engines; none if there are `users`. */
  organizations?: readonly TestOrganization[];
  /** Default: any that is free. */
  port?: number;
  clientId?: string;
  apiKey?: string;
  cookiePassword?: string;
  /** The application's callback, for `options`; default `http://localhost:3000/callback`. */
  redirectUri?: string;
  /** Exact redirect URIs to accept; default: loopback addresses, and https. */
  redirectUris?: readonly string[];
  /** `iss` of access tokens; default `<url>/user_management/<clientId>`. */
  issuer?: string;
  /** Slugs of the providers that accounts can be linked at, default `github`. */
  pipes?: readonly string[];
  /** Where a logout without `return_to` goes; default: the origin of the latest redirect URI. */
  homepage?: string;
  /** Signs webhooks. */
  webhookSecret?: string;
  /** Start of a clock that moves by `advance` alone, in milliseconds since the epoch. Without it, the clock runs. */
  now?: number;
  /** Seconds, default 300. */
  accessTokenLifetime?: number;
  /** Seconds for which an exchanged refresh token gets its pair again, default 30; 0 for strictly single use. */
  replayWindow?: number;
  /** Whether a process whose work is done waits for the server to close, default true. */
  keepsProcess?: boolean;
}

/** Durations that a test may change while the server runs. */
export interface Lifetimes {
  /** Seconds, of access tokens from now on. */
  accessTokenLifetime: number;
  /** Seconds for which an exchanged refresh token gets its pair again; 0 for strictly single use. */
  replayWindow: number;
}

/** {@link TestWorkOSOptions}, complete. */
export interface Settings {
  readonly clientId: string;
  readonly apiKey: string;
  readonly cookiePassword: string;
  readonly redirectUri: string;
  readonly redirectUris: readonly string[] | undefined;
  readonly issuer: string | undefined;
  readonly homepage: string | undefined;
  readonly webhookSecret: string;
  readonly pipes: readonly string[];
}

/** The credentials are no secrets: they open nothing but a test. */
export function complete(options: TestWorkOSOptions): Settings {
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

/** The defaults are WorkOS's. */
export function lifetimesOf({ accessTokenLifetime = 300, replayWindow = 30 }: TestWorkOSOptions): Lifetimes {
  return { accessTokenLifetime, replayWindow };
}

export interface EnvironmentParts {
  settings: Settings;
  /** Read anew for every token. */
  lifetimes: Lifetimes;
  directory: Directory;
  clock: TestClock;
  /** Where the server is. */
  url: string;
  /** Ends all waiting. */
  signal: AbortSignal;
}

export type Environment = ReturnType<typeof createEnvironment>;

/** What a WorkOS environment consists of, behind one function that answers requests. */
export function createEnvironment({ settings, lifetimes, directory, clock, url, signal }: EnvironmentParts) {
  const { now } = clock;
  const keys = createSigningKeys('sessions');
  const sessions = createSessions({
    now,
    replayWindow: () => lifetimes.replayWindow,
    issue: createIssuer({ settings, lifetimes, directory, keys, now, url }),
  });
  const steps = createSteps(directory);
  const calls = createCalls(now);
  const faults = createFaults(signal);
  const apiKeys = createApiKeys(directory, settings.apiKey, now);
  const { clientId } = settings;
  const oauth = createOAuthServer({ clientId, url, directory, keys: createSigningKeys('oauth'), now });
  const invitations = createInvitations(directory);
  const ssoCodes = createCodes(now);
  const own = { apiKeys, oauth, invitations, ssoCodes };
  const parts = { settings, directory, keys, sessions, steps, ...own, now, url };
  const { handlers, linkedBy } = createHandlers(parts);

  const answer = async (request: TestRequest): Promise<Delivery> => {
    const operation = operationOf(request);
    const call = calls.record(operation, request);
    const delivery = await faults.deliver(operation, async () => handlers[operation](request));
    if (delivery.kind === 'response') call.status = delivery.reply.status;
    return delivery;
  };
  return { keys, sessions, steps, calls, faults, ...own, linkedBy, answer };
}

interface IssuerParts {
  settings: Settings;
  lifetimes: Lifetimes;
  directory: Directory;
  keys: SigningKeys;
  now: () => number;
  url: string;
}

function createIssuer({ settings, lifetimes, directory, keys, now, url }: IssuerParts) {
  return async (session: Session, lifetime = lifetimes.accessTokenLifetime): Promise<string> => {
    const { userId, organizationId, named } = session;
    const person = directory.find(userId);
    if (!person) throw new Error(`a token for ${userId}, who is not there`);
    const isWhereNamed = organizationId === named.organizationId;
    const grants = grantsOf(directory, person, organizationId, isWhereNamed ? named : {});
    const { clientId, issuer = `${url}/user_management/${clientId}` } = settings;
    const issuedAt = Math.floor(now() / 1000);
    return keys.sign(accessTokenClaims(session, grants, { issuer, clientId, issuedAt, lifetime }));
  };
}

interface HandlerParts {
  settings: Settings;
  directory: Directory;
  keys: SigningKeys;
  sessions: Sessions;
  steps: Steps;
  apiKeys: ApiKeys;
  oauth: OAuthServer;
  invitations: Invitations;
  ssoCodes: Codes;
  now: () => number;
  url: string;
}

function createHandlers(parts: HandlerParts): {
  handlers: Readonly<Record<Operation, Handler>>;
  linkedBy: Pipes['linkedBy'];
} {
  const { settings, directory, keys, sessions, steps, apiKeys, oauth, invitations, ssoCodes, now, url } =
    parts;
  const { clientId, apiKey, redirectUris } = settings;
  const codes = createCodes(now);
  let latestRedirectUri = settings.redirectUri;
  const onRedirectUri = (redirectUri: string) => {
    latestRedirectUri = redirectUri;
  };
  const byEndpoint = { '/user_management/authorize': codes, '/sso/authorize': ssoCodes };
  const client = { clientId, redirectUris, directory, invitations, now, onRedirectUri };
  const authorization = { ...client, codes: byEndpoint };
  const authenticate = createAuthenticate({ clientId, apiKey, directory, codes, sessions, steps });
  const homepage = () => settings.homepage ?? new URL(latestRedirectUri).origin;
  const pipes = createPipes({ apiKey, providers: settings.pipes, directory, url, homepage });
  const handlers = {
    authorize: createAuthorize(authorization),
    choose: createChoose(authorization),
    code: authenticate,
    refresh: authenticate,
    authenticate,
    jwks: createJwks(clientId, keys),
    logout: createLogout({ sessions, homepage }),
    user: createGetUser(directory, apiKey),
    sessions: createListSessions(sessions),
    revokeSession: createRevokeSession(sessions),
    apiKey: apiKeys.validate,
    oauth: oauth.handle,
    oauthKeys: oauth.jwks,
    profile: createProfileExchange({ clientId, apiKey, directory, codes: ssoCodes }),
    updateUser: createUpdateUser(directory, apiKey),
    memberships: createMemberships(directory, apiKey),
    pipes: pipes.authorize,
    link: pipes.link,
    other: () => apiError(404, 'Not Found'),
  };
  return { handlers, linkedBy: pipes.linkedBy };
}

/** `GET /sso/jwks/:clientId` (RFC 7517 section 5). */
function createJwks(clientId: string, keys: SigningKeys): Handler {
  return async ({ path }) => {
    if (path !== `/sso/jwks/${encodeURIComponent(clientId)}`) return apiError(404, 'Not Found');
    return json(200, await keys.published(), { 'cache-control': 'public, max-age=300' });
  };
}

/** What `authkit()` needs to use this WorkOS. */
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

/** A WorkOS in this process. */
export interface TestWorkOS extends Lifetimes {
  readonly url: string;
  /** For `authkit({ ...workos.options })`. */
  readonly options: Readonly<TestAuthKitOptions>;
  readonly clock: TestClock;
  /** Every request so far, the oldest first. */
  readonly calls: readonly RecordedCall[];
  /** Those of one operation; `authenticate` means every grant. */
  callsTo: Calls['to'];
  /** Everybody who is there. */
  users: () => readonly User[];
  /** A `Cookie` header of somebody who is signed in, without HTTP. */
  signIn: (options?: TestSignIn) => Promise<string>;
  /**
   * Puts the same into the cookies of an agent, which then keeps what the application sets.
   *
   * @example
   * const ada = await workos.signInAgent(request.agent(app), { user: 'ada@example.com' });
   * await ada.get('/account').expect(200);
   */
  signInAgent: <A extends CookieAgent>(agent: A, options?: TestSignIn) => Promise<A>;
  /** An access token of somebody who is signed in elsewhere, for `Authorization: Bearer`. */
  accessToken: (options?: Omit<TestSignIn, 'cookieName'>) => Promise<string>;
  /** A new API key, `sk_…`, for `Authorization: Bearer`. */
  createApiKey: (key?: TestApiKey) => string;
  revokeApiKey: (value: string) => void;
  /** An access token of AuthKit's OAuth server, whose address is `url`: of a person, or of a machine. */
  oauthToken: (token?: TestOAuthToken) => Promise<string>;
  /** An M2M application, for the client credentials grant at `${url}/oauth2/token`. */
  createMachine: OAuthServer['createMachine'];
  /** Signs in on the sign-in page, over HTTP. Returns the callback URL that WorkOS redirects to. */
  authorize: (url: string | URL, visit?: TestVisit) => Promise<string>;
  /** A new invitation; returns its token. */
  invite: Invitations['issue'];
  /** What an identity provider sends a browser to if somebody begins there: the callback, with a code and no state. */
  startAtIdentityProvider: (start: TestIdPStart) => string;
  /** Slugs of the accounts that somebody has linked by Pipes. */
  linkedBy: (idOrEmail: string) => readonly string[];
  /** Makes an operation fail until `restore`, `recover` or its `times` are over. */
  fail: (fault: Fault) => { restore: () => void };
  /** Ends all faults. */
  recover: () => void;
  /** Leaves authentications unfinished until `restore`. */
  requireStep: (step: RequiredStep) => { restore: () => void };
  /** Signs with a new key from now on; former keys stay published unless `keepOld` is false. */
  rotateKeys: (options?: { keepOld?: boolean }) => Promise<void>;
  /** A JWT of any claims, signed with the current key. */
  signToken: (claims: Readonly<Record<string, unknown>>) => Promise<string>;
  /** Its refresh tokens are `invalid_grant` from now on. */
  endSession: (sessionId: string) => void;
  /** For `auth.webhooks({ secret })`. */
  readonly webhookSecret: string;
  /** A signed request, as WorkOS makes it to an endpoint for webhooks: an event such as `session.revoked`, and its data. */
  webhook: ReturnType<typeof createWebhookSigner>;
  /** Adds a person, or changes what is given of one who is there; the next refresh shows it. */
  putUser: (user: TestUser) => User;
  /** By id or e-mail address; ends the person's sessions. */
  deleteUser: (idOrEmail: string) => void;
  /** Leaves no handle open. */
  close: () => Promise<void>;
}

/**
 * Starts a WorkOS in this process, over real HTTP on 127.0.0.1.
 *
 * @example
 * const workos = await createTestWorkOS();
 * app.use(authkit({ ...workos.options }));
 * await request(app).get('/account').set('Cookie', await workos.signIn({ user: 'ada@example.com' }));
 * await workos.close();
 */
export async function createTestWorkOS(options: TestWorkOSOptions = {}): Promise<TestWorkOS> {
  const settings = complete(options);
  const lifetimes = lifetimesOf(options);
  const clock = createClock(options.now);
  const directory = createDirectory(options, clock.now);
  const closing = new AbortController();
  const { signal } = closing;
  // Each delayed answer waits for it: any number is as it should be.
  setMaxListeners(0, signal);
  const { port = 0, keepsProcess = true } = options;
  const server = await listen({
    port,
    keepsProcess,
    signal,
    answer: (request) => environment.answer(request),
  });
  const { url } = server;
  const environment = createEnvironment({ settings, lifetimes, directory, clock, url, signal });
  const close = () => {
    closing.abort();
    return server.close();
  };
  // The very object that the environment reads, so what a test sets here takes effect.
  return Object.assign(lifetimes, {
    url,
    options: authkitOptions(settings, server.port, clock),
    clock,
    close,
    ...controls(environment, directory, settings, url, clock),
  });
}

type Controls = Omit<TestWorkOS, keyof Lifetimes | 'url' | 'options' | 'clock' | 'close'>;

function controls(
  environment: Environment,
  directory: Directory,
  { cookiePassword, redirectUri: callback, webhookSecret }: Settings,
  url: string,
  { now }: TestClock,
): Controls {
  const { sessions, calls, faults, keys, steps, apiKeys, oauth, invitations, ssoCodes, linkedBy } =
    environment;
  const signIn = createSignIn({ directory, sessions, cookiePassword });
  return {
    calls: calls.all,
    callsTo: calls.to,
    users: () => directory.people().map((person) => person.user),
    signIn: signIn.cookie,
    signInAgent: async (agent, options) => intoJar(agent, await signIn.cookie(options)),
    accessToken: signIn.accessToken,
    createApiKey: apiKeys.issue,
    revokeApiKey: apiKeys.revoke,
    oauthToken: oauth.token,
    createMachine: oauth.createMachine,
    authorize: (address, choice = {}) => {
      const first = directory.people()[0]?.user.id;
      return visit(new URL(address, url), { ...(first === undefined ? {} : { user: first }), ...choice });
    },
    invite: invitations.issue,
    startAtIdentityProvider: createIdPStart(directory, ssoCodes, callback),
    linkedBy: (idOrEmail) => linkedBy(directory.find(idOrEmail)?.user.id ?? ''),
    fail: faults.add,
    recover: faults.clear,
    requireStep: steps.require,
    rotateKeys: keys.rotate,
    signToken: keys.sign,
    endSession: sessions.end,
    webhookSecret,
    webhook: createWebhookSigner(webhookSecret, now),
    putUser: (user) => directory.put(user).user,
    deleteUser: (idOrEmail) => {
      const id = directory.find(idOrEmail)?.user.id;
      if (id === undefined) return;
      sessions.endAllOf(id);
      directory.remove(id);
    },
  };
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
