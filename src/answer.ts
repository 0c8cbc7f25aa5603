import type { Config } from './config/index.js';
import type { AuthKitError } from './errors.js';
import { isNavigation, isRealError, json, type Outcome, type Request, type Response } from './http.js';
import { describe, sendPage } from './pages.js';

/** Answers a request with an error: in the application's way if it has one, else in ours. */
export type RespondWithError = (
  error: AuthKitError,
  req: Request,
  res: Response,
  extra?: object,
) => Promise<Outcome>;

export function createErrorResponder({ hooks, routes, redirectUri, returnTo }: Config): RespondWithError {
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
    const link = error.code === 'forbidden' ? home : signIn;
    return sendPage(res, error.status, { ...describe(error.code), ...(link ? { link } : {}) });
  };
}

/** The outcome, if the hook answered or passed an error on; a hook that does neither gets the default. */
async function callHook(
  hook: NonNullable<Config['hooks']['onError']>,
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
