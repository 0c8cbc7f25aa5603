import type { AuthenticationResponse, ProfileAndToken, WorkOS } from '@workos-inc/node';
import { type Config, softTimeoutOf } from '../config/index.js';
import { createWarning } from '../diagnostics.js';
import { ownProperties } from '../plain-objects.js';
import { AuthKitError, unavailable } from '../errors.js';
import { createAnonymousBudget, createRefusedCodeBudget } from './limit-anonymous-calls.js';
import { classifyErrorAnswer, isRefusal, isRequestRefused } from './error-answers.js';
import { createFetch, type Fetch, UpstreamError } from './fetch.js';
import { type CircuitState, createLimiter } from './rate-limit-and-circuit-breaker.js';
import { createAppClient, installedSDK, loadClient, type SDK, warnAboutSDK } from './load-sdk.js';

/** What WorkOS returns in exchange for a code or a refresh token. */
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

/**
 * The result of a call to WorkOS. `refused` means that WorkOS has decided against the user or the request.
 * `unavailable` says nothing about the user, and the same call may succeed later.
 */
export type ApiResult<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'refused'; readonly error: AuthKitError }
  | { readonly kind: 'unavailable'; readonly error: AuthKitError };

/** What the WorkOS SSO API returns in exchange for a code. */
export type ProfileReply = ProfileAndToken<Record<string, unknown>>;

export interface WorkOSClient {
  /**
   * Exchanges an authorization code for tokens. If the response is lost, the code is not sent again, because WorkOS
   * accepts each code only once. Codes that WorkOS refuses count against a budget, because anyone can begin a sign-in
   * and make up a code. If the call would have to wait too long for this budget, the result is `unavailable`.
   */
  exchangeCode: (code: string, codeVerifier: string) => Promise<ApiResult<Tokens>>;
  /**
   * Exchanges an authorization code of the SSO API for a profile. If there is no verifier, the sign-in was started at
   * the identity provider. In this case, anyone may have sent the code, so an exchange that fails counts against the
   * budget for anonymous requests.
   */
  exchangeProfile: (code: string, codeVerifier: string | undefined) => Promise<ApiResult<ProfileReply>>;
  /**
   * Refreshes a session. If the response is lost, the call is repeated once. This is safe, because WorkOS returns the
   * same tokens again for 30 seconds.
   */
  refresh: (refreshToken: string, organizationId: string | undefined) => Promise<ApiResult<Tokens>>;
  /** Makes any other call. If WorkOS refuses it, the result is `refused` with `invalid_request`. */
  call: <T>(call: (workos: WorkOS) => Promise<T>) => Promise<ApiResult<T>>;
  /**
   * Makes a call on behalf of a request whose credential may be invalid. Unless the credential turns out to be valid,
   * the call counts against the instance's budget for anonymous requests. These calls have a separate limiter. If
   * made-up credentials exhaust WorkOS's rate limit, so that it responds with 429, only these calls are paused, and
   * users can still sign in.
   *
   * @param isValid Decides from the result whether the credential is valid.
   * @param isKnown Whether WorkOS has recently confirmed the credential. If so, the budget does not limit the call.
   */
  callForAnonymous: <T>(
    call: (workos: WorkOS) => Promise<T>,
    isValid: (value: T) => boolean,
    isKnown: boolean,
  ) => Promise<ApiResult<T>>;
  /**
   * Fetches the JSON Web Key Set of this client ID, and resolves with the response. Its body is not validated. Its
   * `Date` header contains the time according to WorkOS's clock.
   */
  fetchKeysResponse: () => Promise<Response>;
  /**
   * Fetches the JSON Web Key Set of AuthKit's OAuth server, and resolves with the parsed JSON, which is not validated.
   * `issuer` is the URL of the AuthKit domain.
   */
  fetchIssuerKeys: (issuer: string) => Promise<unknown>;
  /**
   * Returns the client for the application's own calls.
   *
   * @throws {AuthKitError} `sdk_missing` if `@workos-inc/node` cannot be loaded.
   */
  appClient: () => WorkOS;
  /** Returns the state of the circuit breaker for all calls except anonymous ones and those that fetch keys. */
  circuit: () => CircuitState;
  authorizationUrl: (query: URLSearchParams) => string;
  ssoAuthorizationUrl: (query: URLSearchParams) => string;
  logoutUrl: (sessionId: string, returnTo: string | undefined) => string;
}

/** Creates the WorkOS client of an instance. Every call that it makes passes through a limiter. */
export function createWorkOSClient(config: Config, sdk: SDK = installedSDK): WorkOSClient {
  const { clientId, api, now, timeout } = config;
  const { signIn, refresh, background, anonymous, fetchKeysOf, appClient, circuit } = createClients(
    config,
    sdk,
  );
  const budget = createAnonymousBudget({ now, softTimeout: softTimeoutOf(config) });
  const codeBudget = createRefusedCodeBudget({ now, timeout });
  const inCodeBudget = async <T>(exchange: () => Promise<ApiResult<T>>): Promise<ApiResult<T>> => {
    const result = await codeBudget.run(exchange, (answer) => !isRefusedCode(answer));
    return result.kind === 'made' ? result.value : tooManyRefusedCodes();
  };
  const inBudget = async <T>(call: () => Promise<ApiResult<T>>, isValid: (value: T) => boolean) => {
    const result = await budget.run(call, (answer) => answer.kind === 'ok' && isValid(answer.value));
    return result.kind === 'made' ? result.value : budgetExhausted();
  };
  const exchangeCode = createAuthenticateCall(signIn, isComplete);
  const exchangeProfile = createAuthenticateCall(signIn, isProfile);
  const exchangeUnsolicited = createAuthenticateCall(anonymous, isProfile);
  const refreshTokens = createAuthenticateCall(refresh, isComplete);
  const call = createApiCall(background);
  const callAnonymous = createApiCall(anonymous);

  // The SDK also reads inherited options. `ownProperties` therefore gives the arguments below no prototype. Otherwise,
  // a polluted `Object.prototype` could add options to a call.
  return {
    exchangeCode: (code, codeVerifier) =>
      inCodeBudget(() =>
        exchangeCode(({ userManagement }) =>
          userManagement.authenticateWithCode(ownProperties({ clientId, code, codeVerifier })),
        ),
      ),
    exchangeProfile: (code, codeVerifier) => {
      const proof = codeVerifier === undefined ? {} : { codeVerifier };
      const exchange = ({ sso }: WorkOS) =>
        sso.getProfileAndToken<Record<string, unknown>>(ownProperties({ clientId, code, ...proof }));
      if (codeVerifier !== undefined) return inCodeBudget(() => exchangeProfile(exchange));
      return inBudget(
        () => exchangeUnsolicited(exchange),
        () => true,
      );
    },
    refresh: (refreshToken, organizationId) =>
      refreshTokens(({ userManagement }) => {
        const organization = organizationId === undefined ? {} : { organizationId };
        return userManagement.authenticateWithRefreshToken(
          ownProperties({ clientId, refreshToken, ...organization }),
        );
      }),
    call,
    callForAnonymous: (request, isValid, isKnown) =>
      isKnown ? callAnonymous(request) : inBudget(() => callAnonymous(request), isValid),
    fetchKeysResponse: () => fetchKeysOf(api.origin, `/sso/jwks/${encodeURIComponent(clientId)}`),
    fetchIssuerKeys: async (issuer) => (await fetchKeysOf(issuer, '/oauth2/jwks')).json(),
    appClient,
    circuit,
    ...createUrls(api.origin),
  };
}

type GetClient = () => Promise<WorkOS>;

/**
 * Creates one SDK client for each kind of call, because the kinds differ in priority and in whether a lost call is
 * repeated. The clients for sign-ins, refreshes and background calls share one limiter.
 */
function createClients(config: Config, sdk: SDK) {
  const { clientId, now, timeout, fetch } = config;
  const limiter = createLimiter({ clientId, now });
  const anonymousLimiter = createLimiter({ clientId, scope: 'anonymous', now });
  const base = { timeout, limiter, fetch };
  const clientOf = (fetchFn: Fetch): GetClient => {
    let client: Promise<WorkOS> | undefined;
    return () => (client ??= loadClient(config, fetchFn, sdk.load));
  };
  warnAboutSDK(sdk);
  return {
    signIn: clientOf(createFetch({ ...base, priority: 'sign-in' })),
    refresh: clientOf(createFetch({ ...base, priority: 'background', repeatsLostCalls: true })),
    background: clientOf(createFetch({ ...base, priority: 'background' })),
    anonymous: clientOf(createFetch({ ...base, limiter: anonymousLimiter, priority: 'background' })),
    fetchKeysOf: createKeysFetch(config),
    appClient: createAppClient(config, sdk),
    circuit: limiter.circuit,
  };
}

/**
 * Creates the function that fetches signing keys. Each server that publishes keys has a separate limiter, because
 * anyone can cause these fetches with a made-up token. If the keys of a server cannot be fetched, users can still sign
 * in and refresh their sessions.
 */
function createKeysFetch({ clientId, now, timeout, fetch }: Config) {
  const fetches = new Map<string, Fetch>();
  return (server: string, path: string): Promise<Response> => {
    let fetchFrom = fetches.get(server);
    if (!fetchFrom) {
      const limiter = createLimiter({ clientId, scope: 'keys', now });
      fetchFrom = createFetch({ timeout, limiter, fetch, priority: 'background' });
      fetches.set(server, fetchFrom);
    }
    return fetchFrom(server + path);
  };
}

/** Creates the functions that build the WorkOS URLs to which browsers are redirected. */
function createUrls(
  origin: string,
): Pick<WorkOSClient, 'authorizationUrl' | 'ssoAuthorizationUrl' | 'logoutUrl'> {
  const url = (path: string, query: URLSearchParams) => `${origin}/${path}?${query.toString()}`;
  return {
    authorizationUrl: (query) => url('user_management/authorize', query),
    ssoAuthorizationUrl: (query) => url('sso/authorize', query),
    logoutUrl: (sessionId, returnTo) => {
      const query = { session_id: sessionId, ...(returnTo === undefined ? {} : { return_to: returnTo }) };
      return url('user_management/sessions/logout', new URLSearchParams(query));
    },
  };
}

/**
 * Creates a function that makes an authentication call and returns an {@link ApiResult}.
 *
 * @param isWhole Whether a successful response contains everything that a session needs. If it does not, the result is
 * `unavailable`.
 */
function createAuthenticateCall<T>(client: GetClient, isWhole: (value: T) => boolean) {
  return async (call: (workos: WorkOS) => Promise<T>): Promise<ApiResult<T>> => {
    try {
      const value = await call(await client());
      if (isWhole(value)) return { kind: 'ok', value };
      return { kind: 'unavailable', error: unavailable('the answer of WorkOS is incomplete') };
    } catch (error) {
      return toFailure(error);
    }
  };
}

function createApiCall(client: GetClient): WorkOSClient['call'] {
  return async (call) => {
    try {
      return { kind: 'ok', value: await call(await client()) };
    } catch (error) {
      const status = UpstreamError.from(error)?.status;
      if (!isRequestRefused(status)) return toFailure(error);
      return { kind: 'refused', error: new AuthKitError('invalid_request', `WorkOS answered ${status}`) };
    }
  };
}

/**
 * Whether WorkOS refused the code itself. A response about the user, such as one that requires a second factor, means
 * that the code is genuine. The response to a malformed code may look like the response to a mistake in the
 * configuration, so such a response also counts as a refusal.
 */
function isRefusedCode(result: ApiResult<unknown>): boolean {
  if (result.kind === 'ok') return false;
  const { code, cause } = result.error;
  if (result.kind === 'refused') return code === 'code_exchange_failed';
  return cause instanceof UpstreamError && isRefusal(cause.status);
}

function tooManyRefusedCodes(): ApiResult<never> {
  const error = unavailable('too many sign-ins with invalid codes', { retryAfter: 1 });
  return { kind: 'unavailable', error };
}

function budgetExhausted(): ApiResult<never> {
  const error = unavailable('too many requests with unknown credentials', { retryAfter: 1 });
  return { kind: 'unavailable', error };
}

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

/**
 * Converts an SDK error to a result. WorkOS's original response is used, because the classes and messages of SDK
 * exceptions do not always preserve its status and error code.
 */
function toFailure(error: unknown): Exclude<ApiResult<never>, { kind: 'ok' }> {
  // The SDK is missing or too old.
  if (error instanceof AuthKitError) return { kind: 'unavailable', error };
  const answer = UpstreamError.from(error);
  if (!answer) return { kind: 'unavailable', error: unavailable('WorkOS is unavailable', { cause: error }) };
  const classified = classifyErrorAnswer(answer);
  if (classified.kind === 'refused') return classified;
  if (classified.kind === 'misconfigured') warnAboutMisconfiguration(answer);
  const { message, retryAfter } = answer;
  const wait = retryAfter === undefined ? {} : { retryAfter };
  return { kind: 'unavailable', error: unavailable(message, { cause: answer, ...wait }) };
}

const warn = createWarning('AUTHKIT_UPSTREAM');

/**
 * Warns the operator that the app is misconfigured. Without the warning, the mistake could go unnoticed, because users
 * stay signed in.
 */
function warnAboutMisconfiguration({ status, body }: UpstreamError): void {
  const word = [body['code'], body['error']].find(
    (text) => typeof text === 'string' && /^\w{1,64}$/.test(text),
  );
  const named = word === undefined ? '' : ` (${word as string})`;
  warn(`WorkOS answers ${status}${named}: check WORKOS_API_KEY and WORKOS_CLIENT_ID`);
}
