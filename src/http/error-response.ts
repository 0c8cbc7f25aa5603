import { AuthKitError } from '../errors.js';
import {
  type Handler,
  isRealError,
  type Next,
  type Outcome,
  type Request,
  type Response,
} from './middleware.js';
import { describe, sendPage } from './pages.js';
import { isNavigation, isScripted, isSpeculative } from './request.js';
import { json, noStore } from './response.js';

/** Answers a request with an error: in the application's way if it has one, else in ours. */
export type RespondWithError = (
  error: AuthKitError,
  req: Request,
  res: Response,
  extra?: object,
) => Promise<Outcome>;

/** What error responses need to know of the configuration. */
export interface ErrorResponseConfig {
  readonly hooks: { readonly onError?: OnError };
  readonly routes: { readonly login: { readonly public: string } | undefined };
  readonly redirectUri: string;
  readonly returnTo: string;
}

type OnError = (context: { error: AuthKitError; req: Request; res: Response; next: Next }) => unknown;

export function createErrorResponder({
  hooks,
  routes,
  redirectUri,
  returnTo,
}: ErrorResponseConfig): RespondWithError {
  // Absolute: a person who opened the application under another name of its host is led to the right one.
  const absolute = (path: string) => new URL(path, redirectUri).href;
  const signIn = routes.login && { href: absolute(routes.login.public), label: 'Sign in' };
  // Who is signed in already would only be sent around in a circle.
  const home = { href: absolute(returnTo), label: 'Back to the start' };

  return async (error, req, res, extra) => {
    const handled = hooks.onError && (await callHook(hooks.onError, error, req, res));
    if (handled) return handled;
    for (const [name, value] of Object.entries(error.headers)) res.setHeader(name, value);
    if (!isNavigation(req)) {
      return json(res, error.status, {
        status: error.status,
        error: error.code,
        message: error.message,
        ...extra,
      });
    }
    const link = error.code === 'forbidden' || error.code === 'unknown_user' ? home : signIn;
    return sendPage(res, error.status, { ...describe(error.code), ...(link ? { link } : {}) });
  };
}

/** The outcome, if the hook answered or passed an error on; a hook that does neither gets the default. */
async function callHook(
  hook: OnError,
  error: AuthKitError,
  req: Request,
  res: Response,
): Promise<Outcome | undefined> {
  let passed: Outcome | undefined;
  try {
    await hook({
      error,
      req,
      res,
      next: (next) => {
        passed ??= { error: isRealError(next) ? next : error };
      },
    });
  } catch (thrown) {
    passed ??= { error: thrown };
  }
  return res.headersSent || res.writableEnded ? 'sent' : passed;
}

/**
 * A route that sends a person away, and so is for page loads alone, or for a client that says nothing: a HEAD, a
 * prefetch or a script starts nothing. What goes wrong is answered.
 */
export function navigationOnly(
  answer: RespondWithError,
  open: (req: Request, res: Response) => Promise<'sent'>,
): Handler {
  return async (req, res) => {
    if (req.method === 'HEAD') return noStore(res, '');
    if (isSpeculative(req)) {
      res.statusCode = 503;
      return noStore(res, '');
    }
    try {
      if (isScripted(req)) throw new AuthKitError('invalid_request', 'open this address as a page');
      return await open(req, res);
    } catch (error) {
      if (error instanceof AuthKitError) return answer(error, req, res);
      throw error;
    }
  };
}
