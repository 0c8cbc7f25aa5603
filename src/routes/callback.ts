import type { AuthenticateRequest } from '../auth/request-auth.js';
import { type Config, requestTimeoutOf } from '../config/index.js';
import { Deadline } from '../deadline.js';
import { AuthKitError } from '../errors.js';
import { log, publish } from '../diagnostics.js';
import type { Cookies } from '../http/cookies.js';
import type { RespondWithError } from '../http/error-response.js';
import type { Handler, Request, Response } from '../http/handler-to-middleware.js';
import { invalidStateText } from '../http/page-texts.js';
import { sendPage } from '../http/pages.js';
import { isPageLoad, query, single } from '../http/request.js';
import { noStore, redirect } from '../http/response.js';
import { safeReturnTo } from '../http/return-to.js';
import type { Completed, ExchangeOnce } from './exchange-code-once.js';
import type { RedirectLoopGuard } from './redirect-loop.js';
import { codeVerifierOf } from './pkce.js';
import { endsSilently } from './silent-sign-in.js';
import { isSecretOf, openTransaction, returnRules, type Transaction } from './sign-in-transaction.js';

/**
 * Matches an authorization code, which may contain the characters of RFC 6749 appendix A.11 except for the space. Codes
 * from WorkOS have about 26 characters.
 */
const CODE = /^[\u0021-\u007e]{1,1024}$/;

/** Matches the `error` parameter of an authorization response (RFC 6749 appendix A.7). */
const ERROR = /^[\u0020-\u0021\u0023-\u005b\u005d-\u007e]{1,128}$/;

export interface CallbackDependencies {
  config: Config;
  cookies: Cookies;
  authenticateRequest: AuthenticateRequest;
  exchangeOnce: ExchangeOnce;
  respondWithError: RespondWithError;
  redirectLoop: Pick<RedirectLoopGuard, 'markSignIn' | 'toError'>;
  /**
   * Handles a callback that has a code but no `state`. Resolves to the completed sign-in, to the URL to which the
   * browser is redirected instead, or to `answered` if the response has been sent. If this function is not set, the
   * browser is redirected to the login route, and the code is not used.
   */
  unsolicited?: (
    code: string,
    req: Request,
    res: Response,
  ) => Promise<Completed | RedirectInstead | 'answered'>;
  /**
   * Returns the redirect URI of a native or single-page client, with a code for the client or an error in its query.
   */
  clientUrl?: (codeOrError: string | AuthKitError, transaction: Transaction) => Promise<string>;
  /**
   * Returns the authorization URL for retrying a sign-in that WorkOS did not finish, or `undefined` if the sign-in is
   * not retried.
   */
  retrySignIn?: (
    error: AuthKitError,
    transaction: Transaction,
    req: Request,
    res: Response,
  ) => Promise<string | undefined>;
}

/** The result of a callback that redirects the browser without creating a session. */
export interface RedirectInstead {
  readonly location: string;
}

/** Creates the handler of `GET /callback`, to which WorkOS redirects the browser with a code or an error. */
export function createCallback(dependencies: CallbackDependencies): Handler {
  return async (req, res) => {
    if (req.method === 'HEAD') return noStore(res, '');
    let returnTo: string | undefined;
    try {
      const params = query(req);
      const state = single(params, 'state');
      if (state === undefined) return await unsolicitedCallback(params, req, res, dependencies);
      const found = consumeTransaction(state, req, res, dependencies);
      returnTo = found.returnTo;
      if (found.kind === 'invalid') return await refuseState(found, req, res, dependencies);
      return await handleResponse({ ...found, state, params }, req, res, dependencies);
    } catch (error) {
      if (!(error instanceof AuthKitError)) throw error;
      return failSignIn(error, returnTo, req, res, dependencies);
    }
  };
}

function failSignIn(
  error: AuthKitError,
  returnTo: string | undefined,
  req: Request,
  res: Response,
  { config, respondWithError }: CallbackDependencies,
): ReturnType<RespondWithError> {
  publish('sign-in-failed', { clientId: config.clientId, code: error.code });
  // The event contains only the error code. The log also contains the message, which may say, for example, why
  // `onSuccess` rejected the sign-in.
  log('sign-in-failed', { message: error.message });
  return respondWithError(error, req, res, {}, returnTo);
}

/** The transaction of a sign-in that this browser began. */
interface OwnTransaction {
  readonly kind: 'ok';
  readonly transaction: Transaction;
  /** The secret from the transaction cookie. */
  readonly secret: string;
  readonly returnTo: string | undefined;
}

interface InvalidTransaction {
  readonly kind: 'invalid';
  readonly reason: InvalidStateReason;
  /** The host at which the sign-in began, if `reason` is `other_host`. */
  readonly host?: string | undefined;
  readonly returnTo?: string | undefined;
}

/**
 * Opens the transaction in `state`, and finds the secret that proves that this browser began the sign-in. Whatever the
 * result, the transaction cookie is cleared, so that a later callback cannot use the transaction again.
 */
function consumeTransaction(
  state: string,
  req: Request,
  res: Response,
  { config, cookies, exchangeOnce }: CallbackDependencies,
): OwnTransaction | InvalidTransaction {
  const secrets = cookies.transactionValues(req, state);
  if (secrets.length > 0) cookies.clearTransaction(res, state);
  const opened = openTransaction(state, config);
  if (opened.kind === 'invalid') return { kind: 'invalid', reason: 'seal' };
  const { transaction } = opened;
  const returnTo = linkTarget(transaction, config);
  if (opened.kind === 'expired') return { kind: 'invalid', reason: 'expired', returnTo };
  const secret = secrets.find((value) => isSecretOf(value, transaction));
  if (secret !== undefined) return { kind: 'ok', transaction, secret, returnTo };
  if (exchangeOnce.isSpent(state)) return { kind: 'invalid', reason: 'spent', returnTo };
  const { host } = transaction;
  // `host` may be wrong, because a proxy may rewrite the `Host` header. If the `Host` of this request is the host of
  // the redirect URI, no proxy has rewritten it, and the sign-in did begin at `host`.
  const callbackHost = new URL(transaction.callback ?? config.redirectUri).host;
  if (host !== undefined && req.headers.host === callbackHost)
    return { kind: 'invalid', reason: 'other_host', host, returnTo };
  return { kind: 'invalid', reason: 'no_cookie', returnTo };
}

/**
 * Returns the page that the user is sent to after signing in again through the link on an error page. Returns
 * `undefined` if that page is not safe, or if a native or single-page client began the sign-in.
 */
function linkTarget(
  { returnTo, callback, clientChallenge }: Transaction,
  config: Config,
): string | undefined {
  return clientChallenge === undefined ? safeReturnTo(returnTo, returnRules(config, callback)) : undefined;
}

/**
 * Responds to a callback whose `state` is not valid, for example, because the user pressed the back button, switched to
 * a different browser, or took too long to sign in. A user who is signed in is redirected to the default page. Any
 * other user gets an error response. A new sign-in is not started automatically, because that could cause a redirect
 * loop.
 */
async function refuseState(
  { reason, host, returnTo }: InvalidTransaction,
  req: Request,
  res: Response,
  dependencies: CallbackDependencies,
): ReturnType<RespondWithError> {
  const { config, authenticateRequest } = dependencies;
  const requestAuth = await authenticateRequest(req, res);
  await requestAuth.whenAuthenticated();
  if (requestAuth.auth().type !== null) return redirect(res, config.returnTo);
  const error = invalidState(reason, config, host);
  log('sign-in-failed', { reason });
  return failSignIn(error, returnTo, req, res, dependencies);
}

interface SignInCallback extends OwnTransaction {
  readonly state: string;
  readonly params: URLSearchParams;
}

/**
 * Handles the callback of a sign-in that this browser began. The callback's query contains a code or an error from
 * WorkOS.
 */
async function handleResponse(
  callback: SignInCallback,
  req: Request,
  res: Response,
  dependencies: CallbackDependencies,
): ReturnType<RespondWithError> {
  const { transaction, secret, state, params, returnTo } = callback;
  const { config, retrySignIn, redirectLoop, exchangeOnce } = dependencies;
  const clientUrl = transaction.clientChallenge === undefined ? undefined : dependencies.clientUrl;
  const refuseSpent = () =>
    refuseState({ kind: 'invalid', reason: 'spent', returnTo }, req, res, dependencies);
  try {
    const code = codeOrError(params, config);
    const isExchanged = typeof code === 'string' && !clientUrl && !transaction.isRepeat;
    if (!isExchanged && !exchangeOnce.spend({ state, secret, answer: params.toString() }))
      return await refuseSpent();
    if (typeof code !== 'string') throw code;
    if (clientUrl) return redirect(res, await clientUrl(code, transaction));
    if (transaction.isRepeat) throw redirectLoop.toError(req, res);
    const codeVerifier = codeVerifierOf(secret);
    const deadline = new Deadline(requestTimeoutOf(config));
    const exchangeRequest = { state, secret, code, codeVerifier, transaction, req, res, deadline };
    const done = await exchangeOnce.exchange(exchangeRequest);
    if (done === 'spent') return await refuseSpent();
    return await completeSignIn(done, transaction, req, res, dependencies);
  } catch (error) {
    if (!(error instanceof AuthKitError)) throw error;
    if (clientUrl) {
      publish('sign-in-failed', { clientId: config.clientId, code: error.code });
      return redirect(res, await clientUrl(error, transaction));
    }
    if (endsSilently(error, transaction)) {
      if (await isStepUp(transaction, req, res, dependencies)) throw error;
      return await returnSignedOut(returnTo ?? config.returnTo, transaction, res, dependencies);
    }
    const location = await retrySignIn?.(error, transaction, req, res);
    if (location === undefined) throw error;
    return redirect(res, location);
  }
}

/**
 * Whether a guard started this silent sign-in because a signed-in user must authenticate again. If the user continued
 * with the same session, the guard would immediately start another sign-in.
 */
async function isStepUp(
  { silent, maxAge, earlierSessions = [] }: Transaction,
  req: Request,
  res: Response,
  { authenticateRequest }: CallbackDependencies,
): Promise<boolean> {
  if (silent !== 'always' || maxAge === undefined) return false;
  // The callback does not receive `strict` cookies.
  if (earlierSessions.length > 0) return true;
  const requestAuth = await authenticateRequest(req, res);
  await requestAuth.whenAuthenticated();
  return requestAuth.auth().type !== null;
}

/** Ends a silent sign-in that WorkOS could not complete without showing a page. The user continues signed out. */
async function returnSignedOut(
  returnTo: string,
  { silent }: Transaction,
  res: Response,
  { redirectLoop }: CallbackDependencies,
): Promise<'sent'> {
  log('login', { silent: 'signed out' });
  // The page may require a session and start the next silent sign-in at once. The marker detects this loop.
  if (silent === 'always') await redirectLoop.markSignIn(res);
  return redirect(res, returnTo);
}

async function completeSignIn(
  done: Completed | RedirectInstead | 'answered',
  { beganHere }: Pick<Transaction, 'beganHere'>,
  req: Request,
  res: Response,
  { cookies, config, redirectLoop }: CallbackDependencies,
): Promise<'sent'> {
  if (done === 'answered') return 'sent';
  if (isRedirect(done)) return redirect(res, done.location);
  cookies.setSession(req, res, done.sealed, () => true);
  await redirectLoop.markSignIn(res);
  if (config.cookie.sameSite !== 'strict') return redirect(res, done.returnTo);
  return sendLandingPage(req, res, done.returnTo, beganHere === true, config);
}

/**
 * Whether the callback only redirects the browser. An inherited `location` does not count, so a polluted
 * `Object.prototype` cannot redirect a sign-in.
 */
function isRedirect(done: Completed | RedirectInstead): done is RedirectInstead {
  return Object.hasOwn(done, 'location');
}

/**
 * Sends a page that ends the chain of redirects, because a browser does not send a `SameSite=Strict` cookie if another
 * site is in that chain. If the sign-in began on this site, the page redirects automatically. If the sign-in began on
 * another site, the user must click a link on the page. Without this click, a link on the other site could open any
 * page of this site with the cookie.
 */
function sendLandingPage(
  req: Request,
  res: Response,
  returnTo: string,
  beganHere: boolean,
  config: Config,
): Promise<'sent'> {
  const link = { href: returnTo, label: 'continue' } as const;
  const page = beganHere
    ? ({ name: 'signedIn', refresh: returnTo, link } as const)
    : ({ name: 'continueSignIn', link } as const);
  return sendPage(req, res, page, config);
}

/**
 * Whether a parameter is an empty or misspelt `state`. A callback that contains such a parameter is malformed, not
 * unsolicited.
 */
function isMisspeltState([name, value]: [name: string, value: string]): boolean {
  return /^state\b/i.test(name) || /;state=/i.test(value);
}

/**
 * Handles a callback without `state`, which WorkOS sends for an impersonation from the dashboard and for an
 * IdP-initiated sign-in. By default, the browser is redirected to a new sign-in, and the code creates no session,
 * because an attacker may have sent it.
 */
async function unsolicitedCallback(
  params: URLSearchParams,
  req: Request,
  res: Response,
  dependencies: CallbackDependencies,
): Promise<'sent'> {
  const { config, unsolicited } = dependencies;
  const { login } = config.routes;
  if ([...params].some(isMisspeltState))
    throw new AuthKitError('invalid_request', 'the callback needs the state that WorkOS sent, unchanged');
  if (unsolicited && isPageLoad(req))
    return completeSignIn(await unsolicited(codeOf(params, config), req, res), {}, req, res, dependencies);
  const error = single(params, 'error');
  if (error !== undefined) throw authorizationError(error, params);
  if (single(params, 'code') === undefined || !login) {
    throw new AuthKitError('invalid_request', 'the callback needs a code and a state');
  }
  return redirect(res, login.public);
}

/** Returns the code in the callback's query, or the error that `codeOf` would throw. */
function codeOrError(params: URLSearchParams, config: Config): string | AuthKitError {
  try {
    return codeOf(params, config);
  } catch (error) {
    if (error instanceof AuthKitError) return error;
    throw error;
  }
}

/**
 * Returns the code in the callback's query.
 *
 * @throws {AuthKitError} if the query contains an error, names a different issuer (RFC 9207), or is malformed.
 */
function codeOf(params: URLSearchParams, config: Config): string {
  const error = single(params, 'error');
  if (error !== undefined) throw authorizationError(error, params);
  const issuer = single(params, 'iss');
  if (issuer !== undefined && !config.issuers.includes(issuer)) {
    throw new AuthKitError('invalid_state', 'the response comes from another issuer: iss is not this WorkOS');
  }
  const code = single(params, 'code');
  if (code === undefined || !CODE.test(code))
    throw new AuthKitError('invalid_request', 'the response has no usable code');
  return code;
}

function authorizationError(error: string, params: URLSearchParams): AuthKitError {
  const description = single(params, 'error_description')?.slice(0, 1024);
  const code = error === 'access_denied' ? 'access_denied' : 'authorization_failed';
  return new AuthKitError(code, 'WorkOS answered the sign-in with an error', {
    details: {
      error: ERROR.test(error) ? error : 'malformed',
      error_uri: params.get('error_uri') ?? undefined,
    },
    ...(description === undefined ? {} : { description }),
  });
}

/**
 * The reason why a callback's `state` is not accepted. The `invalid_state` error contains it as `details.reason`.
 *
 * - `no_cookie`: the browser did not send the transaction cookie of the sign-in.
 * - `other_host`: the browser did not send the transaction cookie, because the sign-in began at a host other than the
 *   host of the redirect URI.
 * - `seal`: `state` was not created by this application, or was modified.
 * - `expired`: the sign-in took longer than `signInLifetime`.
 * - `spent`: a callback with this `state` has been handled before.
 */
type InvalidStateReason = 'no_cookie' | 'other_host' | 'seal' | 'expired' | 'spent';

/**
 * Creates an `invalid_state` error.
 *
 * @param host The host at which the sign-in began, if `reason` is `other_host`.
 */
function invalidState(reason: InvalidStateReason, config: Config, host = ''): AuthKitError {
  const publicMessage = invalidStateText(reason);
  return new AuthKitError('invalid_state', messageOf(reason, config, host), {
    details: { reason },
    ...(publicMessage === undefined ? {} : { publicMessage }),
  });
}

function messageOf(reason: InvalidStateReason, config: Config, host: string): string {
  const { origin } = new URL(config.redirectUri);
  switch (reason) {
    case 'no_cookie':
      return (
        'the browser did not send the cookie of this sign-in. Usual causes: the sign-in began under another name of ' +
        'this host (127.0.0.1 is not localhost for a cookie); it began over http although redirectUri is https, so ' +
        'the browser dropped the Secure cookie; it began in another browser; or cookies are blocked. ' +
        `Open the app at ${origin}`
      );
    case 'other_host':
      return (
        `the sign-in began at ${host}, but redirectUri is at ${origin}, and a browser does not send cookies of one ` +
        `host to another. Open the app at ${origin}, change redirectUri, or set cookie.domain`
      );
    case 'seal':
      return (
        'state was not made by this application, or was changed on the way. If it was made by another process of it, ' +
        'clientId, redirectUri or cookiePassword differ'
      );
    case 'expired':
      return `the sign-in took longer than signInLifetime, ${config.signInLifetime} seconds`;
    case 'spent':
      return 'a callback with this state has been handled before';
  }
}
