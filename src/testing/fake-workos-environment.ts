import type { TestClock } from './clock.js';
import { createApiKeys } from './endpoints/api-keys.js';
import { authenticateRoutes } from './endpoints/authenticate.js';
import { authorizeRoutes } from './endpoints/authorize.js';
import { credentialRoutes } from './endpoints/passwords-codes-and-factors.js';
import {
  apiError,
  json,
  matchPath,
  notImplemented,
  type Operation,
  type PathParameters,
  type Route,
  type TestRequest,
  type TestResponse,
} from './endpoints/request-and-response.js';
import { createInvitations } from './endpoints/invitations.js';
import { createOAuthServer } from './endpoints/oauth.js';
import { membershipRoutes, organizationRoutes } from './endpoints/organizations.js';
import { createPipes } from './endpoints/linked-accounts.js';
import { createRequiredSteps } from './endpoints/required-sign-in-steps.js';
import { sessionRoutes } from './endpoints/sessions.js';
import { ssoRoutes } from './endpoints/sso.js';
import { userRoutes } from './endpoints/users.js';
import { createCalls, createFaults, type Delivery } from './faults.js';
import {
  createAuthFactors,
  createOneTimeCodes,
  createPasswords,
} from './state/passwords-codes-and-factors.js';
import { grantsOf, type Directory } from './state/users-and-organizations.js';
import { accessTokenClaims, createSessions, type Session } from './state/sessions.js';
import { createSigningKeys, type SigningKeys } from './state/signing-keys.js';
import { createAuthorizationCodes } from './state/tokens.js';

/** The settings of a WorkOS environment, from {@link TestWorkOSOptions} with the defaults filled in. */
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

/** Durations that a test may change while the server runs. */
export interface Lifetimes {
  /** Lifetime of access tokens issued from now on, in seconds. */
  accessTokenLifetime: number;
  /**
   * A refresh token can be exchanged more than once, always for the same tokens, until this many seconds have passed
   * since the first exchange. With 0, a refresh token can be exchanged only once.
   */
  replayWindow: number;
}

export interface EnvironmentDependencies {
  settings: Settings;
  /**
   * The environment reads these lifetimes each time a token is issued or exchanged, so changes take effect immediately.
   */
  lifetimes: Lifetimes;
  directory: Directory;
  clock: TestClock;
  /** The URL of the server. */
  url: string;
  /** A signal that cancels pending delays when it is aborted. */
  signal: AbortSignal;
}

export type Environment = ReturnType<typeof createEnvironment>;

/**
 * Creates a WorkOS environment. The returned object contains the environment's state and the function `answer`, which
 * handles every request to the API.
 */
export function createEnvironment(dependencies: EnvironmentDependencies) {
  const { settings, lifetimes, directory, clock, url, signal } = dependencies;
  const { now } = clock;
  const { clientId, apiKey, redirectUris } = settings;
  const keys = createSigningKeys('sessions');
  const issueAccessToken = createIssuer(dependencies, keys);
  const sessions = createSessions({ now, replayWindow: () => lifetimes.replayWindow, issueAccessToken });
  const steps = createRequiredSteps(directory);
  const [calls, faults] = [createCalls(now), createFaults(signal)];
  const [codes, ssoCodes] = [createAuthorizationCodes(now), createAuthorizationCodes(now)];
  const apiKeys = createApiKeys(directory, now);
  const invitations = createInvitations(directory, now, url);
  const oauth = createOAuthServer({ clientId, url, directory, keys: createSigningKeys('oauth'), now });
  const [passwords, oneTimeCodes] = [createPasswords(now), createOneTimeCodes(now)];
  const factors = createAuthFactors(now);

  let latestRedirectUri = settings.redirectUri;
  const homepage = () => settings.homepage ?? new URL(latestRedirectUri).origin;
  const onRedirectUri = (redirectUri: string) => {
    latestRedirectUri = redirectUri;
  };
  const codesByEndpoint = { '/user_management/authorize': codes, '/sso/authorize': ssoCodes };
  const pipes = createPipes({ providers: settings.pipes, directory, url, homepage });
  const client = { clientId, apiKey, directory, invitations, now };
  const credentials = { passwords, oneTimeCodes, factors };
  const deleteUser = (id: string) => {
    sessions.endAllOf(id);
    apiKeys.revokeOf(id);
    passwords.remove(id);
    for (const factor of factors.of(id)) factors.remove(factor.id);
    directory.removeUser(id);
  };
  const route = createRouter(apiKey, [
    ...authorizeRoutes({ ...client, redirectUris, codes: codesByEndpoint, onRedirectUri }),
    ...authenticateRoutes({ ...client, ...credentials, codes, sessions, steps }),
    ...credentialRoutes({ ...client, ...credentials, url }),
    ...userRoutes({ directory, passwords, deleteUser }),
    ...organizationRoutes(directory),
    ...membershipRoutes(directory),
    ...invitations.routes(),
    ...sessionRoutes({ directory, sessions, homepage }),
    ...apiKeys.routes(),
    ...ssoRoutes({ ...client, codes: ssoCodes }),
    ...oauth.routes(),
    ...pipes.routes(),
    jwksRoute(clientId, keys),
  ]);

  return {
    keys,
    sessions,
    steps,
    calls,
    faults,
    apiKeys,
    oauth,
    invitations,
    ssoCodes,
    ...credentials,
    linkedBy: pipes.linkedBy,
    deleteUser,
    answer: async (request: TestRequest): Promise<Delivery> => {
      const { operation, handle } = route(request);
      const call = calls.record(operation, request);
      const delivery = await faults.deliver(operation, request, async () => handle());
      if (delivery.kind === 'response') call.status = delivery.response.status;
      return delivery;
    },
  };
}

function createIssuer(
  { settings, lifetimes, directory, clock, url }: EnvironmentDependencies,
  keys: SigningKeys,
) {
  return async (session: Session, lifetime = lifetimes.accessTokenLifetime): Promise<string> => {
    const { userId, organizationId, named } = session;
    const user = directory.getUser(userId);
    if (!user) throw new Error(`no token can be issued for ${userId}: the user does not exist`);
    const isWhereNamed = organizationId === named.organizationId;
    const grants = grantsOf(directory, user, organizationId, isWhereNamed ? named : {});
    const { clientId, issuer = `${url}/user_management/${clientId}` } = settings;
    const issuedAt = Math.floor(clock.now() / 1000);
    return keys.sign(accessTokenClaims(session, grants, { issuer, clientId, issuedAt, lifetime }));
  };
}

interface Answer {
  readonly operation: Operation;
  readonly handle: () => TestResponse | Promise<TestResponse>;
}

/**
 * Creates a function that finds the handler for a request. If several routes match, it uses the first one. If that
 * route needs the API key and the request does not contain it, the handler responds with 401. If no route matches, the
 * handler responds with 501, or with 404 below `/.well-known/`.
 */
function createRouter(apiKey: string, routes: readonly Route[]): (request: TestRequest) => Answer {
  return (request) => {
    for (const route of routes) {
      const parameters = parametersOf(route, request);
      if (!parameters) continue;
      const operation = typeof route.operation === 'string' ? route.operation : route.operation(request);
      const { needsApiKey = true } = route;
      const isAllowed = !needsApiKey || request.authorization === `Bearer ${apiKey}`;
      return { operation, handle: () => (isAllowed ? route.handle(request, parameters) : apiError(401)) };
    }
    // Clients request paths under `/.well-known/` to find out which metadata a server provides. A 404 tells them that
    // the metadata does not exist.
    const isProbe = request.path.startsWith('/.well-known/');
    return { operation: 'other', handle: () => (isProbe ? apiError(404) : notImplemented(request)) };
  };
}

function parametersOf({ on }: Route, { method, path }: TestRequest): PathParameters | undefined {
  const [expected = '', pattern = ''] = on.split(' ');
  return method === expected ? matchPath(pattern, path) : undefined;
}

/** Creates the route for the JWKS, which contains the public keys that verify access tokens (RFC 7517 section 5). */
function jwksRoute(clientId: string, keys: SigningKeys): Route {
  return {
    on: 'GET /sso/jwks/:clientId',
    operation: 'jwks',
    needsApiKey: false,
    handle: async (_, { clientId: asked }) =>
      asked === clientId
        ? json(200, await keys.published(), { 'cache-control': 'public, max-age=300' })
        : apiError(404),
  };
}
