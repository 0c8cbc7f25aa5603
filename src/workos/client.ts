import type { AuthenticationResponse, ProfileAndToken, WorkOS } from '@workos-inc/node';
import type { Config } from '../config/index.js';
import { AuthKitError, isUnfinished, unavailable } from '../errors.js';
import { createFetch, UpstreamError } from './fetch.js';

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
export type ApiResult<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'refused'; readonly error: AuthKitError }
  | { readonly kind: 'unavailable'; readonly error: AuthKitError };

/** Whom WorkOS's SSO API has authenticated. */
export type ProfileReply = ProfileAndToken<Record<string, unknown>>;

export interface WorkOSClient {
  /** Exchanges a code once; a code that may be spent is never sent again. */
  exchangeCode: (code: string, codeVerifier: string) => Promise<ApiResult<Tokens>>;
  /** The same at the SSO API; without a verifier for a sign-in that began at the identity provider. */
  exchangeProfile: (code: string, codeVerifier: string | undefined) => Promise<ApiResult<ProfileReply>>;
  /** Refreshes, trying at most twice: WorkOS repeats a lost answer for 30 s. */
  refresh: (refreshToken: string, organizationId: string | undefined) => Promise<ApiResult<Tokens>>;
  /** Any other call. What WorkOS will not do is `refused` as `invalid_request`. */
  call: <T>(call: (workos: WorkOS) => Promise<T>) => Promise<ApiResult<T>>;
  /** The JSON Web Keys of this client, unchecked. */
  fetchKeys: () => Promise<unknown>;
  /** The same as it came, with the time by WorkOS's clock. */
  fetchKeysResponse: () => Promise<Response>;
  /** Those of AuthKit's OAuth server, which has its own: `issuer` is the AuthKit domain. */
  fetchIssuerKeys: (issuer: string) => Promise<unknown>;
  authorizationUrl: (query: URLSearchParams) => string;
  ssoAuthorizationUrl: (query: URLSearchParams) => string;
  logoutUrl: (sessionId: string, returnTo: string | undefined) => string;
}

/** The only file that talks to WorkOS. */
export function createWorkOSClient(config: Config): WorkOSClient {
  const { clientId, api, now } = config;
  const ask = createFetch(config.timeout);
  const client = createClient(config, ask);
  const authenticate = createApiCall(client, now, isComplete);
  const refresh = (refreshToken: string, organizationId: string | undefined) =>
    authenticate(({ userManagement }) => {
      const organization = organizationId === undefined ? {} : { organizationId };
      return userManagement.authenticateWithRefreshToken({ clientId, refreshToken, ...organization });
    });
  const askForKeys = () => ask(`${api.origin}/sso/jwks/${encodeURIComponent(clientId)}`);

  return {
    exchangeCode: (code, codeVerifier) =>
      authenticate(({ userManagement }) =>
        userManagement.authenticateWithCode({ clientId, code, codeVerifier }),
      ),
    exchangeProfile: (code, codeVerifier) =>
      createApiCall(
        client,
        now,
        isProfile,
      )(({ sso }) => {
        const proof = codeVerifier === undefined ? {} : { codeVerifier };
        return sso.getProfileAndToken<Record<string, unknown>>({ clientId, code, ...proof });
      }),
    refresh: async (refreshToken, organizationId) => {
      const answer = await refresh(refreshToken, organizationId);
      const cause = answer.kind === 'unavailable' ? answer.error.cause : undefined;
      return cause instanceof UpstreamError && cause.isRetryable
        ? refresh(refreshToken, organizationId)
        : answer;
    },
    call: (call) => createApiCall(client, now)(call),
    fetchKeys: async () => (await askForKeys()).json(),
    fetchKeysResponse: askForKeys,
    fetchIssuerKeys: async (issuer) => (await ask(`${issuer}/oauth2/jwks`)).json(),
    ...addresses(api.origin),
  };
}

/** Where browsers are sent. */
function addresses(
  origin: string,
): Pick<WorkOSClient, 'authorizationUrl' | 'ssoAuthorizationUrl' | 'logoutUrl'> {
  const address = (path: string, query: URLSearchParams) => `${origin}/${path}?${query.toString()}`;
  return {
    authorizationUrl: (query) => address('user_management/authorize', query),
    ssoAuthorizationUrl: (query) => address('sso/authorize', query),
    logoutUrl: (sessionId, returnTo) => {
      const back = returnTo === undefined ? {} : { return_to: returnTo };
      return address(
        'user_management/sessions/logout',
        new URLSearchParams({ session_id: sessionId, ...back }),
      );
    },
  };
}

/** WorkOS's SDK is 4 MB, and loaded when it is first needed. */
function createClient(
  { apiKey, clientId, api, timeout }: Config,
  fetchFn: ReturnType<typeof createFetch>,
): () => Promise<WorkOS> {
  let client: Promise<WorkOS> | undefined;
  const load = async () => {
    const sdk = await import('@workos-inc/node');
    const { hostname: apiHostname, https, port } = api;
    const base = { apiHostname, https, ...(port === undefined ? {} : { port }) };
    // Our own deadline comes first: where the SDK's timer fires, what happened is lost.
    return new sdk.WorkOS({ apiKey, clientId, ...base, timeout: timeout + 1000, maxRetries: 0, fetchFn });
  };
  return () => (client ??= load());
}

/**
 * Calls the SDK and says what came of it.
 *
 * @param isWhole Whether a 200 holds what it must. Without it the call is about no person, and what WorkOS will not
 * do is an answer too.
 */
function createApiCall<T>(client: () => Promise<WorkOS>, now: () => number, isWhole?: (value: T) => boolean) {
  return async <U extends T>(call: (workos: WorkOS) => Promise<U>): Promise<ApiResult<U>> => {
    try {
      const value = await call(await client());
      if (!isWhole || isWhole(value)) return { kind: 'ok', value };
      return { kind: 'unavailable', error: unavailable('WorkOS sent an answer without what was asked for') };
    } catch (error) {
      const status = isWhole ? undefined : UpstreamError.from(error)?.status;
      if (status === undefined || ![400, 403, 404, 422].includes(status)) return classify(error, now());
      return { kind: 'refused', error: new AuthKitError('invalid_request', `WorkOS answered ${status}`) };
    }
  };
}

/** A 200 is believed only if it holds what a session is made of. */
function isComplete(tokens: Tokens): boolean {
  const { user, accessToken, refreshToken } = tokens as Partial<Record<keyof Tokens, unknown>>;
  return isText(accessToken) && isText(refreshToken) && isText((user as { id?: unknown } | undefined)?.id);
}

function isProfile({ profile }: ProfileReply): boolean {
  const { id, email, connectionId } = profile as unknown as Record<string, unknown>;
  return isText(id) && isText(email) && isText(connectionId);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

/** Told apart by what WorkOS answered, never by the SDK's class or message: those lose status and code. */
function classify(error: unknown, now: number): ApiResult<never> {
  const reply = UpstreamError.from(error);
  if (!reply)
    return { kind: 'unavailable', error: unavailable('WorkOS could not be asked', { cause: error }) };
  const { status, retryAfter } = reply;
  if (isNo(status)) {
    const refusal = refusalOf(reply);
    if (refusal) return { kind: 'refused', error: refusal };
    warn(status, now);
  }
  const wait = retryAfter === undefined ? {} : { retryAfter };
  return { kind: 'unavailable', error: unavailable(reply.message, { cause: reply, ...wait }) };
}

/** Whether WorkOS says no. Of a failure of its own nothing is believed, whatever its body says. */
function isNo(status: number | undefined): status is number {
  return status !== undefined && status >= 400 && status < 500 && status !== 429 && status !== 408;
}

/** Refused is `invalid_grant`, or an authentication that WorkOS wants one more step for. */
function refusalOf({ body }: UpstreamError): AuthKitError | undefined {
  const word = typeof body['code'] === 'string' ? body['code'] : body['error'];
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
