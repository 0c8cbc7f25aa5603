import { parseSignIn, single } from './authorization.js';
import type { AnswerError } from './answer.js';
import type { Config } from './config/index.js';
import { AuthKitError } from './errors.js';
import { isScripted, isSpeculative, noStore, query, redirect, type Handler } from './http.js';
import type { StartSignIn } from './sign-in.js';

/**
 * `GET /login`: off to AuthKit. Also the "initiate login URL" of the WorkOS dashboard.
 *
 * A transaction costs a cookie and a seal, so it is started for a page load only, or for a client that says nothing.
 */
export function createLogin(config: Config, signIn: StartSignIn, answer: AnswerError): Handler {
  return async (req, res) => {
    if (req.method === 'HEAD') return noStore(res, '');
    if (isSpeculative(req)) {
      res.statusCode = 503;
      return noStore(res, '');
    }
    try {
      if (isScripted(req)) throw new AuthKitError('invalid_request', 'open this address as a page');
      const params = query(req);
      const returnTo = single(params, 'returnTo', 'return_to');
      const state = single(params, 'state');
      const options = {
        ...parseSignIn(params, config.signIn),
        ...(returnTo === undefined ? {} : { returnTo }),
        ...(state === undefined ? {} : { state }),
      };
      return redirect(res, await signIn(req, res, options, 'link'));
    } catch (error) {
      if (error instanceof AuthKitError) return answer(error, req, res);
      throw error;
    }
  };
}
