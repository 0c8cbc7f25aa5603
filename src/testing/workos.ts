import { setMaxListeners } from 'node:events';
import type { User } from '@workos-inc/node';
import type { TestApiKey } from './api-keys.js';
import type { Calls, RecordedCall } from './calls.js';
import { createClock, type TestClock } from './clock.js';
import { createDirectory, type Directory } from './directory.js';
import type { TestUser } from './seed.js';
import { createEnvironment, type Environment } from './environment.js';
import type { Fault } from './faults.js';
import type { OAuthServer } from './oauth.js';
import type { TestOAuthToken } from './oauth-token.js';
import { createIdPStart, type TestIdPStart } from './identity-provider.js';
import type { Invitations } from './invitations.js';
import { listen } from './server.js';
import { complete, lifetimesOf, type Lifetimes, type Settings, type TestWorkOSOptions } from './settings.js';
import { createSignIn, intoJar, type CookieAgent, type TestSignIn } from './sign-in.js';
import type { RequiredStep } from './steps.js';
import { visit, type TestVisit } from './visitor.js';
import { createWebhookSigner } from './webhooks.js';

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
    answer: (question) => environment.answer(question),
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
