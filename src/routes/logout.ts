import type { AuthenticateRequest } from '../auth/request-auth.js';
import type { Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import { publish } from '../events.js';
import type { Cookies } from '../http/cookies.js';
import type { RespondWithError } from '../http/error-response.js';
import type { Handler, Request, Response } from '../http/middleware.js';
import { sendPage } from '../http/pages.js';
import {
  header,
  isCrossSite,
  isNavigation,
  isScripted,
  isSpeculative,
  query,
  single,
} from '../http/request.js';
import { json, noStore, redirect } from '../http/response.js';
import { safeReturnTo } from '../http/return-to.js';
import { sessionIdIn, type Sessions } from '../session/lifecycle.js';
import { isNotStored } from '../session/stored-sessions.js';
import type { WorkOSClient } from '../workos/client.js';

export interface LogoutDependencies {
  config: Config;
  cookies: Cookies;
  sessions: Pick<Sessions, 'peek' | 'end'>;
  authenticateRequest: AuthenticateRequest;
  workos: WorkOSClient;
  answer: RespondWithError;
}

/**
 * Ends the session here: cookie, chunks, transactions, and what this process remembers. Works with an expired or
 * unverifiable token, since the session's id comes out of the seal.
 *
 * @returns Where the browser has to go so that it ends at WorkOS too; absolute.
 */
export type EndSession = (req: Request, res: Response, returnTo: string | undefined) => Promise<string>;

export function createEndSession({
  config,
  cookies,
  sessions,
  authenticateRequest,
  workos,
}: LogoutDependencies): EndSession {
  return async (req, res, asked) => {
    const session = await sessions.peek(cookies.sessionValues(req));
    const safe = asked === undefined ? undefined : safeReturnTo(asked, config.returnToRules);
    const returnTo = safe === undefined ? undefined : new URL(safe, config.redirectUri).href;
    const told = session && sessions.end(session);
    (await authenticateRequest(req, res)).setAuthentication({ kind: 'anonymous', reason: 'ended' });
    cookies.clearSession(req, res);
    cookies.clearTransactions(req, res);
    await told;
    const sessionId = session && sessionIdIn(session);
    if (session && !isNotStored(session)) {
      const { user, organizationId } = session;
      publish('sign-out', { clientId: config.clientId, userId: user.id, sessionId, organizationId });
    }
    return sessionId !== undefined
      ? workos.logoutUrl(sessionId, returnTo)
      : (returnTo ?? new URL(config.returnTo, config.redirectUri).href);
  };
}

/** `POST /logout`, and `GET` for what is plainly a click on this application's own link. */
export function createLogout(parts: LogoutDependencies, end: EndSession): Handler {
  const { config, answer } = parts;
  return async (req, res) => {
    if (req.method === 'HEAD') return noStore(res, '');
    try {
      const returnTo = single(query(req), 'returnTo', 'return_to');
      if (req.method === 'POST') {
        if (isCrossSite(req, config))
          throw new AuthKitError('forbidden', 'a sign-out has to come from this application');
        return redirectToLogout(req, res, await end(req, res, returnTo), config);
      }
      if (isOwnLink(req)) return redirectToLogout(req, res, await end(req, res, returnTo), config);
      if (isForgetting(req, parts)) return forget(res);
      if (!isNavigation(req))
        throw new AuthKitError('forbidden', 'sign out with a POST from this application');
      return confirm(res, config);
    } catch (error) {
      if (error instanceof AuthKitError) return answer(error, req, res);
      throw error;
    }
  };
}

/** Chromium, Firefox and Safari say so of a link that a person clicked on a page of the same origin. */
function isOwnLink(req: Request): boolean {
  return (
    header(req, 'sec-fetch-site') === 'same-origin' &&
    header(req, 'sec-fetch-mode') === 'navigate' &&
    header(req, 'sec-fetch-dest') === 'document' &&
    !isSpeculative(req)
  );
}

/** In the query of what the page of a sign-out fetches. */
const FORGET = 'forget';

/** From a page of this application, in a browser that has no session any more: anything else would be a nuisance. */
function isForgetting(req: Request, { cookies }: Pick<LogoutDependencies, 'cookies'>): boolean {
  return (
    query(req).has(FORGET) &&
    header(req, 'sec-fetch-site') === 'same-origin' &&
    header(req, 'sec-fetch-dest') === 'image' &&
    cookies.sessionValues(req).length === 0
  );
}

/**
 * Pages of who was signed in are not shown again, by the back button for one (W3C Clear Site Data). A page enters the
 * back/forward cache as the next one is shown, so the answer that ends a session is too early for the page it was
 * ended from, and this one is asked for by the page after it.
 */
function forget(res: Response): 'sent' {
  res.statusCode = 204;
  forgetPages(res);
  return noStore(res, '');
}

function forgetPages(res: Response): void {
  res.setHeader('Clear-Site-Data', '"cache"');
}

/**
 * A form's answer is a page that goes on by itself: a redirect to WorkOS would be blocked where the form's page has
 * `form-action 'self'`, as helmet sets it. A script gets the address, and any other client a redirect.
 */
export function redirectToLogout(req: Request, res: Response, logoutUrl: string, { routes }: Config): 'sent' {
  if (isScripted(req)) {
    // The script's own page is still shown; it is for the script to replace it.
    forgetPages(res);
    return json(res, 200, { logoutUrl });
  }
  if (!isNavigation(req)) return redirect(res, logoutUrl, 303);
  return sendPage(res, 200, {
    title: 'Signing you out',
    text: 'You are signed out of this application.',
    refresh: logoutUrl,
    link: { href: logoutUrl, label: 'Continue' },
    ...(routes.logout ? { image: `${routes.logout.public}?${FORGET}=pages` } : {}),
  });
}

function confirm(res: Response, { routes }: Config): 'sent' {
  return sendPage(res, 200, {
    title: 'Sign out?',
    text: 'Press the button to sign out of this application.',
    button: { action: routes.logout?.public ?? '', label: 'Sign out' },
  });
}

/** `auth.signOut()`: ends the session of a request in a handler of the application. */
export function createSignOut(config: Config, end: EndSession) {
  return async (req: Request, res: Response, { returnTo }: { returnTo?: string } = {}): Promise<void> => {
    redirectToLogout(req, res, await end(req, res, returnTo), config);
  };
}
