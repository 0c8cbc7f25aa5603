import type { AuthenticateRequest } from '../auth/request-auth.js';
import type { Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import { publish } from '../events.js';
import type { Cookies } from '../http/cookies.js';
import type { RespondWithError } from '../http/error-response.js';
import type { Handler, Request, Response } from '../http/middleware.js';
import { sendPage } from '../http/pages.js';
import { isPageLoad, query, single } from '../http/request.js';
import { noStore, redirect } from '../http/response.js';
import type { Completed, ExchangeOnce } from './code-exchange.js';
import type { RedirectLoopGuard } from './redirect-loop.js';
import { isSame, openTransaction, type Transaction } from './transaction.js';

/** RFC 6749 appendix A.11, less the space, and shorter than any URL: what WorkOS sends is some 26 characters. */
const CODE = /^[\u0021-\u007e]{1,1024}$/;

/** RFC 6749 appendix A.7 and A.8. */
const ERROR = /^[\u0020-\u0021\u0023-\u005b\u005d-\u007e]{1,128}$/;

export interface CallbackDependencies {
  config: Config;
  cookies: Cookies;
  authenticateRequest: AuthenticateRequest;
  exchangeOnce: ExchangeOnce;
  answer: RespondWithError;
  redirectLoop: Pick<RedirectLoopGuard, 'markSignIn' | 'toError'>;
  /** What becomes of a code that nobody here asked for; default: the login route, without looking at the code. */
  unsolicited?: (
    code: string,
    req: Request,
    res: Response,
  ) => Promise<Completed | RedirectInstead | 'answered'>;
  /** Where the code of a client's own flow goes, or the error in its place. */
  issueClientCode?: (reply: string | AuthKitError, transaction: Transaction) => Promise<string>;
  /** Where a sign-in goes on that WorkOS did not finish, if anywhere. */
  retrySignIn?: Restart;
}

/** A redirect in place of a session. */
export interface RedirectInstead {
  readonly location: string;
}

type Restart = (
  error: AuthKitError,
  transaction: Transaction,
  req: Request,
  res: Response,
) => Promise<string | undefined>;

/** `GET /callback`: WorkOS sends the browser back with a code, or with an error. Always ends in a redirect or a page. */
export function createCallback(parts: CallbackDependencies): Handler {
  const { config, answer, issueClientCode: handOver, redirectLoop: redirectLoop } = parts;
  return async (req, res) => {
    if (req.method === 'HEAD') return noStore(res, '');
    let transaction: Transaction | undefined;
    try {
      const params = query(req);
      const state = single(params, 'state');
      if (state === undefined) return await unsolicitedCallback(params, req, res, parts);
      transaction = consumeTransaction(state, req, res, parts);
      if (!transaction) return await unknownTransaction(req, res, parts);
      const code = codeOf(params, config);
      if (isClients(transaction) && handOver) return redirect(res, await handOver(code, transaction));
      if (transaction.isRepeat) throw redirectLoop.toError(req, res);
      const done = await parts.exchangeOnce({ state, code, transaction, req, res });
      return done === 'spent'
        ? await unknownTransaction(req, res, parts)
        : await completeSignIn(done, req, res, parts);
    } catch (error) {
      if (!(error instanceof AuthKitError)) throw error;
      publish('sign-in-failed', { clientId: config.clientId, code: error.code });
      if (transaction && isClients(transaction) && handOver)
        return redirect(res, await handOver(error, transaction));
      const location = transaction && (await parts.retrySignIn?.(error, transaction, req, res));
      return location === undefined ? answer(error, req, res) : redirect(res, location);
    }
  };
}

/** Begun by a client that is going to fetch the tokens itself. */
function isClients({ clientChallenge }: Transaction): boolean {
  return clientChallenge !== undefined;
}

async function completeSignIn(
  done: Completed | RedirectInstead | 'answered',
  req: Request,
  res: Response,
  { cookies, config, redirectLoop: redirectLoop }: CallbackDependencies,
): Promise<'sent'> {
  if (done === 'answered') return 'sent';
  if ('location' in done) return redirect(res, done.location);
  cookies.setSession(req, res, done.sealed, () => true);
  await redirectLoop.markSignIn(res);
  return redirectAfterSignIn(res, done.returnTo, config);
}

/** A state that is there, but empty or in another spelling: a malformed answer, and not one that nobody asked for. */
function isMisspeltState([name, value]: [name: string, value: string]): boolean {
  return /^state\b/i.test(name) || /;state=/i.test(value);
}

/** A code that nobody here asked for never makes a session by itself (impersonation from the dashboard, IdP-initiated sign-in). */
async function unsolicitedCallback(
  params: URLSearchParams,
  req: Request,
  res: Response,
  parts: CallbackDependencies,
): Promise<'sent'> {
  const { routes } = parts.config;
  if ([...params].some(isMisspeltState)) throw new AuthKitError('invalid_request', 'the state is malformed');
  if (parts.unsolicited && isPageLoad(req)) {
    return completeSignIn(await parts.unsolicited(codeOf(params, parts.config), req, res), req, res, parts);
  }
  const error = single(params, 'error');
  if (error !== undefined) throw authorizationError(error, params);
  if (single(params, 'code') === undefined || !routes.login) {
    throw new AuthKitError('invalid_request', 'the callback needs a code and a state');
  }
  return redirect(res, routes.login.public);
}

/** The transaction of this browser that the state names. It is spent by this callback, whatever comes of it. */
function consumeTransaction(
  state: string,
  req: Request,
  res: Response,
  { config, cookies }: CallbackDependencies,
): Transaction | undefined {
  const values = cookies.transactionValues(req, state);
  if (values.length === 0) return undefined;
  cookies.clearTransaction(res, state);
  if (!values.some((value) => isSame(value, state))) return undefined;
  return openTransaction(state, config, config.cookiePasswords, config.now());
}

/** For a browser that sent no cookie at all. */
const NO_COOKIES =
  'Your browser did not send the cookie of this sign-in. It may block cookies: please allow cookies for this site and ' +
  'sign in again.';

/** The back button, another browser, a sign-in that took too long: never a new one by itself, which could go in circles. */
async function unknownTransaction(
  req: Request,
  res: Response,
  { config, authenticateRequest }: CallbackDependencies,
): Promise<'sent'> {
  const requestAuth = await authenticateRequest(req, res);
  await requestAuth.whenAuthenticated();
  if (requestAuth.auth().type !== null) return redirect(res, config.returnTo);
  const hasCookies = req.headers.cookie !== undefined;
  throw new AuthKitError(
    'invalid_state',
    'this browser has no sign-in under way that belongs to the answer',
    hasCookies ? {} : { publicMessage: NO_COOKIES },
  );
}

/** @throws {AuthKitError} for an answer that is an error, or is not from this WorkOS (RFC 9207), or is malformed. */
function codeOf(params: URLSearchParams, config: Config): string {
  const error = single(params, 'error');
  if (error !== undefined) throw authorizationError(error, params);
  const issuer = single(params, 'iss');
  if (issuer !== undefined && !config.issuers.includes(issuer)) {
    throw new AuthKitError('invalid_state', 'the answer is of another issuer');
  }
  const code = single(params, 'code');
  if (code === undefined || !CODE.test(code))
    throw new AuthKitError('invalid_request', 'the answer has no usable code');
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

/** A `strict` cookie is not sent where a chain of redirects began at another site, so a page of ours breaks the chain. */
function redirectAfterSignIn(res: Response, returnTo: string, { cookie }: Config): 'sent' {
  if (cookie.sameSite !== 'strict') return redirect(res, returnTo);
  return sendPage(res, 200, {
    title: 'You are signed in',
    text: 'You are being taken back to the application.',
    refresh: returnTo,
    link: { href: returnTo, label: 'Continue' },
  });
}
