import { withPinned } from './authorization.js';
import type { Config } from './config/index.js';
import { MAX_TRANSACTION, type Cookies } from './cookies.js';
import { AuthKitError } from './errors.js';
import type { Request, Response } from './http.js';
import { log } from './log.js';
import type { SignInUrlOptions } from './options.js';
import { safeReturnTo } from './return-to.js';
import { codeChallenge, newTransaction, sealTransaction, type Transaction } from './transaction.js';
import type { WorkOSDoor } from './workos.js';

/** The application's own `state` in bytes: it travels in a URL and in a cookie. */
const MAX_STATE = 2048;

/**
 * Starts a sign-in: a fresh transaction in a cookie of its own, and the URL that carries it to WorkOS.
 *
 * @param stateFrom Whose word `state` is: the application's, or that of whoever wrote a link.
 * @throws {AuthKitError} `invalid_request` for options that WorkOS would refuse or that no cookie can hold.
 */
export type StartSignIn = (
  req: Request,
  res: Response,
  options: SignInUrlOptions,
  stateFrom: 'app' | 'link',
) => Promise<string>;

export function createSignIn(config: Config, cookies: Cookies, door: WorkOSDoor): StartSignIn {
  return async (req, res, { returnTo: asked, state, ...options }, stateFrom) => {
    const signIn = withPinned(options, config.signIn);
    const returnTo = asked === undefined ? config.returnTo : safeReturnTo(asked, config.returnToRules);
    if (returnTo === undefined) log('login', { refused: 'returnTo' });
    const isFresh = signIn.maxAge !== undefined || signIn.prompt === 'login';
    const fields = {
      returnTo: returnTo ?? config.returnTo,
      ...(state === undefined ? {} : { state: checked(state), stateFrom }),
      ...(isFresh ? { isFresh } : {}),
    };
    const { transaction, sealed } = await fitting(newTransaction(fields, config.now()), config);
    cookies.setTransaction(req, res, sealed);
    return door.authorizationUrl(signIn, {
      redirect_uri: config.redirectUri,
      state: sealed,
      code_challenge: codeChallenge(transaction.codeVerifier),
      code_challenge_method: 'S256',
    });
  };
}

function checked(state: unknown): string {
  if (typeof state === 'string' && Buffer.byteLength(state) <= MAX_STATE) return state;
  throw new AuthKitError('invalid_request', `state must be a string of at most ${MAX_STATE} bytes`);
}

/** A transaction has to fit a cookie: where to go afterwards yields first, the application's own value never. */
async function fitting(
  transaction: Transaction,
  config: Config,
): Promise<{ transaction: Transaction; sealed: string }> {
  for (const candidate of [transaction, { ...transaction, returnTo: config.returnTo }]) {
    const sealed = await sealTransaction(candidate, config, config.cookiePasswords[0]);
    if (sealed.length <= MAX_TRANSACTION) return { transaction: candidate, sealed };
  }
  throw new AuthKitError('invalid_request', 'this sign-in carries more than a cookie holds');
}
