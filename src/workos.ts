import type { AuthenticationResponse, WorkOS } from '@workos-inc/node';
import { authorizationQuery } from './authorization.js';
import type { Config } from './config/index.js';
import { AuthKitError, isUnfinished, unavailable } from './errors.js';
import type { SignInOptions } from './options.js';
import { BadReply, createFetch } from './upstream.js';

/** What WorkOS hands out when it has authenticated somebody. */
export type Tokens = Pick<
  AuthenticationResponse,
  | 'user'
  | 'accessToken'
  | 'refreshToken'
  | 'organizationId'
  | 'impersonator'
  | 'authenticationMethod'
  | 'oauthTokens'
>;

/** WorkOS said yes, said no, or could not be asked. Only the second is about the person. */
export type Answer<T> =
  | { readonly kind: 'granted'; readonly value: T }
  | { readonly kind: 'refused'; readonly error: AuthKitError }
  | { readonly kind: 'unreachable'; readonly error: AuthKitError };

export interface WorkOSDoor {
  /** Exchanges a code once; a code that may be spent is never sent again. */
  exchangeCode: (code: string, codeVerifier: string) => Promise<Answer<Tokens>>;
  /** Refreshes, trying at most twice: WorkOS repeats a lost answer for 30 s. */
  refresh: (refreshToken: string, organizationId: string | undefined) => Promise<Answer<Tokens>>;
  /** The JSON Web Keys of this client, unchecked. */
  fetchKeys: () => Promise<unknown>;
  /** The same as it came, with the time by WorkOS's clock. */
  askForKeys: () => Promise<Response>;
  authorizationUrl: (options: SignInOptions, protocol: Readonly<Record<string, string>>) => string;
  logoutUrl: (sessionId: string, returnTo: string | undefined) => string;
}

/** The only file that talks to WorkOS. */
export function createWorkOSDoor(config: Config): WorkOSDoor {
  const { clientId, api } = config;
  const ask = createFetch(config.timeout);
  const authenticate = createAuthenticate(config, ask);
  const refresh = (refreshToken: string, organizationId: string | undefined) =>
    authenticate((users) => {
      const organization = organizationId === undefined ? {} : { organizationId };
      return users.authenticateWithRefreshToken({ clientId, refreshToken, ...organization });
    });
  const askForKeys = () => ask(`${api.origin}/sso/jwks/${encodeURIComponent(clientId)}`);
  const address = (path: string, query: URLSearchParams) =>
    `${api.origin}/user_management/${path}?${query.toString()}`;

  return {
    exchangeCode: (code, codeVerifier) =>
      authenticate((users) => users.authenticateWithCode({ clientId, code, codeVerifier })),
    refresh: async (refreshToken, organizationId) => {
      const answer = await refresh(refreshToken, organizationId);
      const cause = answer.kind === 'unreachable' ? answer.error.cause : undefined;
      return cause instanceof BadReply && cause.isPassing ? refresh(refreshToken, organizationId) : answer;
    },
    fetchKeys: async () => (await askForKeys()).json(),
    askForKeys,
    authorizationUrl: (options, protocol) =>
      address('authorize', authorizationQuery(options, { client_id: clientId, ...protocol })),
    logoutUrl: (sessionId, returnTo) => {
      const back = returnTo === undefined ? {} : { return_to: returnTo };
      return address('sessions/logout', new URLSearchParams({ session_id: sessionId, ...back }));
    },
  };
}

/** Calls WorkOS's SDK and says what came of it. The SDK is 4 MB, and loaded when it is first needed. */
function createAuthenticate(
  { apiKey, clientId, api, timeout, now }: Config,
  fetchFn: ReturnType<typeof createFetch>,
) {
  let client: Promise<WorkOS> | undefined;
  const load = async () => {
    const sdk = await import('@workos-inc/node');
    const { hostname: apiHostname, https, port } = api;
    const base = { apiHostname, https, ...(port === undefined ? {} : { port }) };
    // Our own deadline comes first: where the SDK's timer fires, what happened is lost.
    return new sdk.WorkOS({ apiKey, clientId, ...base, timeout: timeout + 1000, maxRetries: 0, fetchFn });
  };
  return async (call: (users: WorkOS['userManagement']) => Promise<Tokens>): Promise<Answer<Tokens>> => {
    try {
      client ??= load();
      const response = await call((await client).userManagement);
      return isComplete(response) ? { kind: 'granted', value: response } : malformed();
    } catch (error) {
      return classify(error, now());
    }
  };
}

/** A 200 is believed only if it holds what a session is made of. */
function isComplete(tokens: Tokens): boolean {
  const { user, accessToken, refreshToken } = tokens as Partial<Record<keyof Tokens, unknown>>;
  const isText = (value: unknown) => typeof value === 'string' && value !== '';
  return isText(accessToken) && isText(refreshToken) && isText((user as { id?: unknown } | undefined)?.id);
}

function malformed(): Answer<never> {
  return { kind: 'unreachable', error: unavailable('WorkOS sent an answer without a user or tokens') };
}

/** Told apart by what WorkOS answered, never by the SDK's class or message: those lose status and code. */
function classify(error: unknown, now: number): Answer<never> {
  const reply = BadReply.in(error);
  if (!reply)
    return { kind: 'unreachable', error: unavailable('WorkOS could not be asked', { cause: error }) };
  const refusal = refusalOf(reply);
  if (refusal) return { kind: 'refused', error: refusal };
  const { status, retryAfter } = reply;
  if (status !== undefined && status >= 400 && status < 500 && status !== 429 && status !== 408)
    warn(status, now);
  const wait = retryAfter === undefined ? {} : { retryAfter };
  return { kind: 'unreachable', error: unavailable(reply.message, { cause: reply, ...wait }) };
}

/** Refused is `invalid_grant`, or an authentication that WorkOS wants one more step for. */
function refusalOf({ body }: BadReply): AuthKitError | undefined {
  const word = body['code'] ?? body['error'];
  // What an organization's policy demands is answered by signing in through its connection.
  const code = word === 'organization_authentication_methods_required' ? 'sso_required' : word;
  if (isUnfinished(code))
    return new AuthKitError(code, 'WorkOS wants one more step for this sign-in', { details: body });
  if (word !== 'invalid_grant') return undefined;
  const description = body['error_description'];
  return new AuthKitError('code_exchange_failed', 'WorkOS refused the grant', {
    details: body,
    ...(typeof description === 'string' ? { description } : {}),
  });
}

let warnedAt = -Infinity;

/** An operator's mistake must not sign everybody out, so it has to be seen: a line a minute for the whole process. */
function warn(status: number, now: number): void {
  if (now - warnedAt < 60_000) return;
  warnedAt = now;
  process.emitWarning(`WorkOS answers ${status}: check WORKOS_API_KEY and WORKOS_CLIENT_ID`, {
    code: 'AUTHKIT_UPSTREAM',
  });
}
