import { accessTokenClaims } from './access-token.js';
import { createApiKeys, type ApiKeys } from './api-keys.js';
import { createAuthenticate } from './authenticate.js';
import { createAuthorize, createChoose } from './authorize.js';
import { createCalls } from './calls.js';
import type { TestClock } from './clock.js';
import { createCodes, type Codes } from './codes.js';
import type { Directory } from './directory.js';
import { createFaults, type Delivery } from './faults.js';
import { grantsOf } from './grants.js';
import { createInvitations, type Invitations } from './invitations.js';
import { createLogout } from './logout.js';
import { createOAuthServer, type OAuthServer } from './oauth.js';
import { createMemberships, createUpdateUser } from './memberships.js';
import { operationOf, type Handler, type Operation } from './operations.js';
import { createPipes, type Pipes } from './pipes.js';
import { apiError, json, type Question } from './reply.js';
import { createListSessions, createRevokeSession } from './session-list.js';
import { createSessions, type Session, type Sessions } from './sessions.js';
import type { Lifetimes, Settings } from './settings.js';
import { createSigningKeys, type SigningKeys } from './signing-keys.js';
import { createProfileExchange } from './sso.js';
import { createSteps, type Steps } from './steps.js';
import { createGetUser } from './users.js';

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

  const answer = async (question: Question): Promise<Delivery> => {
    const operation = operationOf(question);
    const call = calls.record(operation, question);
    const delivery = await faults.deliver(operation, async () => handlers[operation](question));
    if (delivery.kind === 'reply') call.status = delivery.reply.status;
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
