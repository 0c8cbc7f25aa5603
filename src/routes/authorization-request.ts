import { nextSignInOptions } from '../auth/login-url.js';
import type { ParameterSet } from '../config/authorization-parameters.js';
import type { Config } from '../config/index.js';
import type { SignInOptions, SignInUrlOptions } from '../config/options.js';
import { AuthKitError } from '../errors.js';
import { log } from '../events.js';
import { type Cookies, MAX_TRANSACTION } from '../http/cookies.js';
import type { Request, Response } from '../http/middleware.js';
import { isPageLoad } from '../http/request.js';
import { safeReturnTo } from '../http/return-to.js';
import {
  codeChallenge,
  isJson,
  newTransaction,
  returnRules,
  sealTransaction,
  type Transaction,
} from './transaction.js';

/**
 * Goes on at AuthKit with a sign-in that WorkOS did not finish, once: a second time would be a circle.
 *
 * @returns Where to, or `undefined` if it ends here.
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
    const { returnTo, from = 'link', state, attributes, callback, issuedAt } = transaction;
    const flow = {
      ...{ returnTo, from, restartOf: issuedAt },
      ...(state === undefined ? {} : { state }),
      ...(attributes === undefined ? {} : { attributes }),
      ...(callback === undefined ? {} : { redirectUri: callback }),
    };
    log('login', { restart: error.code });
    try {
      return await signIn(req, res, options, flow);
    } catch (problem) {
      // What the application pinned may not go with it.
      if (problem instanceof AuthKitError) return undefined;
      throw problem;
    }
  };
}

/** The application's own `state` in bytes: it travels in a URL and in a cookie. */
const MAX_STATE = 2048;

/** RFC 7636 section 4.2: a SHA-256 in base64url. */
const CHALLENGE = /^[\w-]{43}$/;

/** What one sign-in carries beside what is asked of WorkOS; attributes are checked before they come here. */
export type SignInFlow = Pick<
  SignInUrlOptions,
  'returnTo' | 'state' | 'redirectUri' | 'codeChallenge' | 'attributes'
> &
  Pick<Transaction, 'restartOf'> &
  Required<Pick<Transaction, 'from'>>;

/**
 * Starts a sign-in: a fresh transaction in a cookie of its own, and the URL that carries it to WorkOS.
 *
 * @throws {AuthKitError} `invalid_request` or `invalid_provider` for options that WorkOS would refuse or that no
 * cookie can hold.
 */
export type StartSignIn<Options extends object> = (
  req: Request,
  res: Response,
  options: Options,
  flow: SignInFlow,
) => Promise<string>;

export interface AuthorizationRequestDependencies<Options extends object> {
  config: Config & { readonly signIn: Options };
  cookies: Cookies;
  /** Tells a browser that has just lost a session. */
  redirectLoop: { readonly isLooping: (req: Request, res: Response) => Promise<boolean> };
  parameters: ParameterSet<Options>;
  /** The address of the endpoint that a query is for. */
  authorizationUrl: (query: URLSearchParams) => string;
}

/** What makes a sign-in count as a fresh authentication. */
interface Freshness {
  maxAge?: number;
  prompt?: string;
}

export function createAuthorizationRequest<Options extends object>(
  parts: AuthorizationRequestDependencies<Options>,
): StartSignIn<Options> {
  const { config, cookies, redirectLoop, parameters, authorizationUrl } = parts;
  return async (req, res, options, flow) => {
    const signIn = parameters.withPinned(options, config.signIn);
    const { maxAge, prompt } = signIn as Freshness;
    const isFresh = maxAge !== undefined || prompt === 'login';
    const isRepeat = await redirectLoop.isLooping(req, res);
    const fields = {
      ...fieldsOf(flow, config),
      ...(isFresh ? { isFresh } : {}),
      ...(isRepeat ? { isRepeat } : {}),
    };
    const { transaction, sealed } = await sealToFitCookie(newTransaction(fields, config.now()), config);
    cookies.setTransaction(req, res, sealed);
    const query = parameters.query(signIn, {
      client_id: config.clientId,
      redirect_uri: transaction.callback ?? config.redirectUri,
      state: sealed,
      code_challenge: codeChallenge(transaction.codeVerifier),
      code_challenge_method: 'S256',
    });
    return authorizationUrl(query);
  };
}

function fieldsOf(
  flow: SignInFlow,
  config: Config,
): Omit<Transaction, 'nonce' | 'codeVerifier' | 'issuedAt'> {
  const { from, state, attributes, redirectUri, codeChallenge: clientChallenge, restartOf } = flow;
  const callback = redirectUri === undefined ? undefined : checkedCallback(redirectUri);
  return {
    from,
    returnTo:
      clientChallenge === undefined
        ? ownReturnTo(flow.returnTo, config, callback)
        : clientReturnTo(flow, config),
    ...(state === undefined ? {} : { state: checkedState(state) }),
    ...(attributes === undefined ? {} : { attributes }),
    ...(callback === undefined ? {} : { callback }),
    ...(clientChallenge === undefined ? {} : { clientChallenge }),
    ...(restartOf === undefined ? {} : { restartOf }),
  };
}

function ownReturnTo(asked: unknown, config: Config, callback: string | undefined): string {
  if (asked === undefined) return config.returnTo;
  const safe = safeReturnTo(asked, returnRules(config, callback));
  if (safe === undefined) log('login', { refused: 'returnTo' });
  return safe ?? config.returnTo;
}

/**
 * Where a client's code is sent. Exact entries only (RFC 9700 section 4.1.3): whoever starts a flow with a challenge
 * of their own could redeem a code that leaks from any other page.
 */
function clientReturnTo({ returnTo, codeChallenge }: SignInFlow, { routes, login }: Config): string {
  if (!routes.token)
    throw new AuthKitError('invalid_request', 'codeChallenge needs a token route: name it in routes.token');
  if (typeof codeChallenge !== 'string' || !CHALLENGE.test(codeChallenge))
    throw new AuthKitError('invalid_request', 'codeChallenge must be an S256 challenge of 43 characters');
  if (returnTo === undefined || !login.clientRedirectUris.includes(returnTo))
    throw new AuthKitError('invalid_request', 'redirectTo is none of clientRedirectUris');
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

function checkedCallback(value: unknown): string {
  const isUrl = typeof value === 'string' && /^https?:\/\/[^/\\]/i.test(value) && URL.canParse(value);
  const url = isUrl ? new URL(value) : undefined;
  if (url && !url.href.includes('#') && url.username === '' && url.password === '') return url.href;
  throw new AuthKitError('invalid_request', 'redirectUri must be an absolute http(s) URL without fragment');
}

/** A transaction has to fit a cookie: where to go afterwards yields first, the application's own value never. */
async function sealToFitCookie(
  transaction: Transaction,
  config: Config,
): Promise<{ transaction: Transaction; sealed: string }> {
  const shorter =
    transaction.clientChallenge === undefined ? [{ ...transaction, returnTo: config.returnTo }] : [];
  for (const candidate of [transaction, ...shorter]) {
    const sealed = await sealTransaction(candidate, config, config.cookiePasswords[0]);
    if (sealed.length <= MAX_TRANSACTION) return { transaction: candidate, sealed };
  }
  throw new AuthKitError('invalid_request', 'this sign-in carries more than a cookie holds');
}
