import { canParse } from '../url-can-parse.js';
import { nextSignInOptions } from '../auth/login-url.js';
import type { ParameterSet } from '../config/authorization-parameters.js';
import type { Config } from '../config/index.js';
import { isLoopback } from '../config/insecure-http.js';
import type { SignInFor } from '../config/login-and-sign-up.js';
import type { SignInOptions, SignInUrlOptions } from '../config/authkit-options.js';
import { AuthKitError } from '../errors.js';
import { log } from '../diagnostics.js';
import { type Cookies, headerRoom } from '../http/cookies.js';
import type { Request, Response } from '../http/handler-to-middleware.js';
import { header, isPageLoad } from '../http/request.js';
import { safeReturnTo } from '../http/return-to.js';
import { ownProperties, withoutUndefined } from '../plain-objects.js';
import type { SessionStorage } from '../session/cookie-or-store.js';
import type { ClaimNonce } from '../workos/claim-token.js';
import { codeChallenge, codeVerifierOf } from './pkce.js';
import { silence } from './silent-sign-in.js';
import {
  isJson,
  newTransaction,
  returnRules,
  sealTransaction,
  type Transaction,
} from './sign-in-transaction.js';

/** The maximum size, in bytes, of the `state` that a sign-in passes on to `onSuccess`. */
const MAX_STATE = 2048;

/**
 * The maximum size of a sealed transaction, in bytes. The transaction becomes part of two URLs: the authorization URL
 * and the callback URL.
 */
const MAX_TRANSACTION = 7168;

/**
 * The maximum number of earlier sessions in a transaction. Further sessions are left out: a browser has more only if an
 * attacker planted them.
 */
const MAX_EARLIER_SESSIONS = 3;

/** Matches a PKCE challenge for the method S256, which is a SHA-256 hash in base64url (RFC 7636 section 4.2). */
const CHALLENGE = /^[\w-]{43}$/;

/** The values that are stored in the transaction of a sign-in. `attributes` have already been validated. */
export type SignInFlow = Pick<
  SignInUrlOptions,
  'returnTo' | 'state' | 'redirectUri' | 'codeChallenge' | 'attributes'
> &
  Pick<Transaction, 'restartOf' | 'identityProvider' | 'earlierSessions'> &
  Required<Pick<Transaction, 'from'>> & {
    /**
     * Whether the sign-in began on this site. This field is set only for a retry. A retry starts in the callback, whose
     * headers do not show where the sign-in began: WorkOS redirected the browser here, and AuthKit may have a custom
     * domain on this site. For any other sign-in, `from` and the request's headers decide.
     */
    readonly beganHere?: boolean;
  };

/**
 * Starts a sign-in: sets a transaction cookie and returns the authorization URL, whose `state` is the sealed
 * transaction.
 *
 * @throws {AuthKitError} `invalid_request` or `invalid_provider` if an option is invalid, or if the transaction would
 * be too long.
 */
export type StartSignIn<Options extends object> = (
  req: Request,
  res: Response,
  options: Options,
  flow: SignInFlow,
) => Promise<string>;

export interface AuthorizationRequestDependencies<Options extends object> {
  config: Config & { readonly signIn: SignInFor<Options> };
  cookies: Cookies;
  /**
   * Returns what is needed to end the session in a cookie value, or `undefined` if the value is not valid. Calls
   * neither WorkOS nor the store.
   */
  earlierSessionOf: SessionStorage['earlierSessionOf'];
  redirectLoop: { readonly isLooping: (req: Request, res: Response) => Promise<boolean> };
  parameters: ParameterSet<Options>;
  /** Builds the authorization URL from its query parameters. */
  authorizationUrl: (query: URLSearchParams) => string;
  /**
   * Returns the claim nonce for a sign-in. Only `authkit()` sets this function. Without this function, no claim nonce
   * is added to authorization URLs.
   */
  claimNonce?: ClaimNonce;
}

export function createAuthorizationRequest<Options extends object>({
  config,
  cookies,
  earlierSessionOf,
  redirectLoop,
  parameters,
  authorizationUrl,
  claimNonce = () => Promise.resolve(undefined),
}: AuthorizationRequestDependencies<Options>): StartSignIn<Options> {
  /**
   * Returns the `earlierSessions` field of the transaction: the browser's sessions, which the callback ends. The result
   * is empty if there are none, or if the callback does not need them.
   */
  const earlierSessions = (req: Request, flow: SignInFlow): Pick<Transaction, 'earlierSessions'> => {
    // Browsers send the session cookie to the callback unless the cookie is strict. The callback of a native or
    // single-page client creates no session, so it ends none either.
    if (config.cookie.sameSite !== 'strict' || flow.codeChallenge !== undefined) return {};
    const found = cookies.sessionValues(req).flatMap((value) => earlierSessionOf(value) ?? []);
    // A retry starts in the callback, to which browsers do not send strict cookies. Therefore, the sessions of the
    // first attempt are kept.
    const all = [...(flow.earlierSessions ?? []), ...found].slice(0, MAX_EARLIER_SESSIONS);
    return all.length > 0 ? { earlierSessions: all } : {};
  };
  return async (req, res, options, given) => {
    const flow = ownProperties(given);
    const pinned = await config.signIn(req);
    const signIn = parameters.withPinned(options, pinned);
    const fields = {
      ...flowFields(flow, config),
      ...requestFields(req, flow, config),
      ...earlierSessions(req, flow),
      ...freshness(signIn),
      ...silence(signIn, pinned),
      ...((await redirectLoop.isLooping(req, res)) ? { isRepeat: true as const } : {}),
    };
    const { transaction, secret } = newTransaction(fields, config.now());
    const { state, callback, clientChallenge } = await sealToFit(transaction, headerRoom(req), config);
    const hasNonce = (signIn as SignInOptions).claimNonce !== undefined;
    const redirectUri = callback ?? config.redirectUri;
    const nonce = hasNonce ? undefined : await claimNonce(redirectUri);
    cookies.setTransaction(req, res, state, secret);
    const query = parameters.query(signIn, {
      client_id: config.clientId,
      redirect_uri: redirectUri,
      state,
      // If a native or single-page client began the sign-in, this is the challenge that the client sent. The client
      // keeps the verifier until it redeems its code.
      code_challenge: clientChallenge ?? codeChallenge(codeVerifierOf(secret)),
      code_challenge_method: 'S256',
      ...(nonce === undefined ? {} : { claim_nonce: nonce }),
    });
    return authorizationUrl(query);
  };
}

/**
 * Returns the `maxAge` field of the transaction: the maximum age, in seconds, of an authentication that WorkOS accepts
 * for this sign-in. With `prompt=login`, WorkOS requires a new authentication, so the maximum age is 0. The result is
 * empty if the age is not limited.
 */
function freshness({ maxAge, prompt }: { maxAge?: number; prompt?: string }): Pick<Transaction, 'maxAge'> {
  if (prompt === 'login') return { maxAge: 0 };
  return maxAge === undefined ? {} : { maxAge };
}

type Fields = Omit<Transaction, 'secretHash' | 'issuedAt'>;

function flowFields(flow: SignInFlow, config: Config): Fields {
  const { from, state, attributes, redirectUri, codeChallenge: clientChallenge, restartOf } = flow;
  const { identityProvider } = flow;
  const callback = redirectUri === undefined ? undefined : checkedCallback(redirectUri, config);
  return {
    from,
    returnTo:
      clientChallenge === undefined
        ? ownReturnTo(flow.returnTo, config, callback)
        : clientReturnTo(flow, config),
    ...(state === undefined ? {} : { state: checkedState(state) }),
    ...withoutUndefined({ attributes, callback, clientChallenge, restartOf, identityProvider }),
  };
}

/**
 * The values of `Sec-Fetch-Site` that show that a sign-in did not begin on another site. Browsers send `none` for a
 * typed address or a bookmark.
 */
const HERE: readonly (string | undefined)[] = ['same-origin', 'same-site', 'none'];

const HOST = /^[\w.:[\]-]{1,255}$/;

/** Returns the fields of the transaction that depend on the request: `beganHere` and `host`. Either may be missing. */
function requestFields(
  req: Request,
  flow: SignInFlow,
  config: Config,
): Pick<Transaction, 'beganHere' | 'host'> {
  const { host } = req.headers;
  const isOther = host !== undefined && HOST.test(host) && host !== callbackHost(flow.redirectUri, config);
  const beganHere = flow.beganHere ?? (flow.from === 'app' || HERE.includes(header(req, 'sec-fetch-site')));
  return {
    // Needed only for the landing page, which is shown after a sign-in if the session cookie is `SameSite=Strict`.
    ...(config.cookie.sameSite === 'strict' && beganHere ? { beganHere: true as const } : {}),
    ...(isOther ? { host } : {}),
  };
}

/** Returns the host of the callback URL, in the form that browsers send in the `Host` header. */
function callbackHost(callback: string | undefined, { redirectUri }: Config): string {
  return new URL(callback ?? redirectUri).host;
}

function ownReturnTo(asked: unknown, config: Config, callback: string | undefined): string {
  if (asked === undefined) return config.returnTo;
  const safe = safeReturnTo(asked, returnRules(config, callback));
  if (safe === undefined) log('login', { refused: 'returnTo' });
  return safe ?? config.returnTo;
}

/**
 * Returns the redirect URI to which the code for a native or single-page client is sent. The URI must match an entry of
 * `clientRedirectUris` exactly (RFC 9700 section 4.1.3). Otherwise, an attacker could begin a sign-in with their own
 * challenge, have the code sent to a page that leaks it, and redeem it.
 */
function clientReturnTo({ returnTo, codeChallenge }: SignInFlow, { routes, login }: Config): string {
  if (!routes.token)
    throw new AuthKitError('invalid_request', 'codeChallenge needs a token route: name it in routes.token');
  if (typeof codeChallenge !== 'string' || !CHALLENGE.test(codeChallenge))
    throw new AuthKitError('invalid_request', 'codeChallenge must be an S256 challenge of 43 characters');
  if (returnTo === undefined || !login.clientRedirectUris.includes(returnTo))
    throw new AuthKitError('invalid_request', 'redirectTo is not one of clientRedirectUris');
  return returnTo;
}

function checkedState(state: unknown): unknown {
  if (
    isJson(state) &&
    Buffer.byteLength(typeof state === 'string' ? state : JSON.stringify(state)) <= MAX_STATE
  )
    return state;
  throw new AuthKitError('invalid_request', `state must be JSON of at most ${MAX_STATE} bytes`);
}

/**
 * Validates a redirect URI and returns it unchanged, because WorkOS compares the exact text with the redirect URIs in
 * the WorkOS dashboard.
 */
function checkedCallback(value: unknown, { allowInsecureHttp }: Config): string {
  const isUrl = typeof value === 'string' && /^https?:\/\/[^/\\]/i.test(value) && canParse(value);
  const url = isUrl ? new URL(value) : undefined;
  if (url?.protocol === 'http:' && !allowInsecureHttp && !isLoopback(url.hostname))
    throw new AuthKitError('invalid_request', 'redirectUri must be https at a host other than this machine');
  if (isUrl && url && !/[#\u0000-\u0020\u007f]/.test(value) && url.username === '' && url.password === '')
    return value;
  throw new AuthKitError('invalid_request', 'redirectUri must be an absolute http(s) URL without fragment');
}

/**
 * Seals a transaction. The result must not be too long for a URL. In addition, the callback URL and the browser's
 * cookies must together fit into Node's limit for request headers. If the result is too long, the requested `returnTo`
 * is replaced with the default page. The application's `state` is never dropped.
 *
 * @param room The number of bytes that the browser's cookies leave within Node's limit.
 * @returns The transaction, whose `state` is now the sealed transaction instead of the application's `state`.
 * @throws {AuthKitError} `invalid_request` if the sealed transaction is too long for a URL even without `returnTo`.
 */
async function sealToFit(
  transaction: Transaction,
  room: number,
  config: Config,
): Promise<Transaction & { state: string }> {
  const sealed = await sealTransaction(transaction, config);
  if (sealed.length <= Math.min(MAX_TRANSACTION, room))
    return ownProperties({ ...transaction, state: sealed });
  // For a native or single-page client, `returnTo` is the client's redirect URI, which cannot be dropped.
  const isOwn = transaction.clientChallenge === undefined;
  const shorter = isOwn
    ? await sealTransaction({ ...transaction, returnTo: config.returnTo }, config)
    : sealed;
  if (shorter.length < sealed.length)
    log('login', { dropped: 'returnTo', bytes: transaction.returnTo.length });
  if (shorter.length > MAX_TRANSACTION)
    throw new AuthKitError('invalid_request', 'state and attributes of this sign-in are too long for a URL');
  return ownProperties({ ...transaction, state: shorter });
}

/**
 * Creates the function that retries a sign-in that WorkOS did not finish, so that the user can complete the step that
 * WorkOS requires. A sign-in is retried only once, because further retries could cause a redirect loop.
 *
 * @returns A function that resolves to the authorization URL, or to `undefined` if the sign-in is not retried.
 */
export function createSignInRetry(signIn: StartSignIn<SignInOptions>) {
  return async (
    error: AuthKitError,
    transaction: Transaction,
    req: Request,
    res: Response,
  ): Promise<string | undefined> => {
    const options =
      transaction.restartOf === undefined && isPageLoad(req) ? nextSignInOptions(error) : undefined;
    if (!options) return undefined;
    log('login', { restart: error.code });
    // The retry must require an authentication as recent as the first attempt did. Otherwise, WorkOS could complete the
    // retry with the session that it already has, and a step-up would be lost.
    const { maxAge } = ownProperties(transaction);
    const sameAge = maxAge === undefined ? {} : { maxAge };
    try {
      return await signIn(req, res, ownProperties({ ...options, ...sameAge }), sameFlow(transaction));
    } catch (problem) {
      // The options that the application sets for every sign-in may conflict with the options of the retry.
      if (problem instanceof AuthKitError) return undefined;
      throw problem;
    }
  };
}

function sameFlow(transaction: Transaction): SignInFlow {
  const {
    returnTo,
    from = 'link',
    state,
    attributes,
    callback,
    issuedAt,
    beganHere,
    earlierSessions,
  } = ownProperties(transaction);
  return {
    ...{ returnTo, from, restartOf: issuedAt, beganHere: beganHere === true },
    ...withoutUndefined({ state, attributes, redirectUri: callback, earlierSessions }),
  };
}
