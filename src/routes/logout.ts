import { type BearerVerifiers, bearerTokenOf } from '../auth/bearer-token.js';
import { bearerChallenge } from '../auth/deny.js';
import type { AuthenticateRequest } from '../auth/request-auth.js';
import type { Config } from '../config/index.js';
import { AuthKitError } from '../errors.js';
import { publish } from '../diagnostics.js';
import type { Cookies } from '../http/cookies.js';
import { createErrorResponder, refusePrefetch } from '../http/error-response.js';
import type { Handler, Request, Response } from '../http/handler-to-middleware.js';
import { sendPage } from '../http/pages.js';
import {
  header,
  isCrossSite,
  isNavigation,
  isOfUnknownOrigin,
  isScripted,
  isSpeculative,
  query,
  single,
  target,
} from '../http/request.js';
import { json, noStore, redirect } from '../http/response.js';
import { safeReturnTo } from '../http/return-to.js';
import { ownProperties } from '../plain-objects.js';
import { sessionIdIn, type Sessions } from '../session/create-and-end.js';
import { isNotRead } from '../session/sessions-in-store.js';

/** A session that has just been ended. */
export interface EndedSession {
  readonly sessionId: string | undefined;
  /** The session's user, or `undefined` if only the session ID is known because the store was unavailable. */
  readonly user: { readonly id: string; readonly organizationId: string | undefined } | undefined;
}

/**
 * Ends the sessions in all given cookie values, including expired sessions. Returns the first session, or `undefined`
 * if the values contain none.
 */
export type EndSessions = (values: readonly string[]) => Promise<EndedSession | undefined>;

/**
 * Creates the {@link EndSessions} function of `authkit()`. A session can be ended even if the store is unavailable,
 * because its cookie contains the session ID.
 */
export function createEndSessions({ find, end }: Pick<Sessions, 'find' | 'end'>): EndSessions {
  return async (values) => {
    const found = await Promise.all(values.map(find));
    const sessions = found.filter((session) => session !== undefined);
    await Promise.all(sessions.map(end));
    const [first] = sessions;
    if (!first) return undefined;
    const sessionId = sessionIdIn(first);
    if (isNotRead(first)) return { sessionId, user: undefined };
    return { sessionId, user: { id: first.user.id, organizationId: first.organizationId } };
  };
}

export interface EndSessionDependencies {
  config: Config;
  cookies: Cookies;
  endSessions: EndSessions;
  authenticateRequest: AuthenticateRequest;
  /** Returns the URL that ends a session at WorkOS, or `undefined` if there is no session at WorkOS. */
  logoutUrl: (sessionId: string, returnTo: string | undefined) => string | undefined;
}

/**
 * Ends the session of a request in this application. Also clears the session cookie and the cookies of pending
 * sign-ins.
 *
 * @returns The absolute URL to send the browser to. If there is a session at WorkOS, this URL ends it.
 */
export type EndSession = (req: Request, res: Response, returnTo: string | undefined) => Promise<string>;

export function createEndSession({
  config,
  cookies,
  endSessions,
  authenticateRequest,
  logoutUrl,
}: EndSessionDependencies): EndSession {
  return async (req, res, requestedReturnTo) => {
    const ended = await endSessions(cookies.sessionValues(req));
    (await authenticateRequest(req, res)).setAuthentication({ kind: 'anonymous', reason: 'ended' });
    cookies.clearSession(req, res);
    // A sign-in soon after a deliberate sign-out is not part of a redirect loop.
    cookies.clearSignInMarker(req, res);
    cookies.clearTransactions(req, res);
    if (ended?.user) {
      const { sessionId, user } = ended;
      const { id: userId, organizationId } = user;
      publish('sign-out', { clientId: config.clientId, userId, sessionId, organizationId });
    }
    const returnTo = returnUrl(requestedReturnTo, config);
    const url = ended?.sessionId === undefined ? undefined : logoutUrl(ended.sessionId, returnTo);
    return url ?? returnTo ?? new URL(config.returnTo, config.redirectUri).href;
  };
}

/**
 * Returns the absolute URL of the page that the user is sent to after the sign-out, or `undefined` if no page was
 * requested or configured. In that case, WorkOS uses the URL that is set in the WorkOS dashboard.
 */
function returnUrl(
  requested: string | undefined,
  { returnToRules, postLogoutReturnTo, redirectUri }: Config,
): string | undefined {
  const safe = requested === undefined ? undefined : safeReturnTo(requested, returnToRules);
  const returnTo = safe ?? postLogoutReturnTo;
  return returnTo === undefined ? undefined : new URL(returnTo, redirectUri).href;
}

/**
 * Ends the session that an access token belongs to, both in this application and at WorkOS. Returns the WorkOS logout
 * URL, which the client opens in the browser to sign the user out there too.
 *
 * @throws {AuthKitError} `unauthenticated` if the token is not accepted or does not belong to a session;
 * `upstream_unavailable` if the token cannot be verified, or if WorkOS or the store is unavailable.
 */
export type EndBearerSession = (token: string, returnTo: string | undefined) => Promise<string>;

export interface EndBearerSessionDependencies {
  config: Config;
  bearerVerifiers: BearerVerifiers;
  /** Ends a session in this application and at WorkOS. */
  revokeSession: (sessionId: string) => Promise<void>;
  logoutUrl: (sessionId: string, returnTo: string | undefined) => string;
}

export function createEndBearerSession({
  config,
  bearerVerifiers,
  revokeSession,
  logoutUrl,
}: EndBearerSessionDependencies): EndBearerSession {
  return async (token, requestedReturnTo) => {
    const result = await bearerVerifiers.forSignOut(token, new Set(['bearer']));
    if (result.kind === 'unavailable') throw result.error;
    if (result.kind === 'refused') throw invalidToken(result.reason);
    const { principal } = result;
    if (principal.type !== 'bearer' || principal.sessionId === undefined)
      throw invalidToken('the token belongs to no session');
    const { sessionId, user, organizationId } = principal;
    await revokeSession(sessionId);
    publish('sign-out', { clientId: config.clientId, userId: user.id, sessionId, organizationId });
    return logoutUrl(sessionId, returnUrl(requestedReturnTo, config));
  };
}

function invalidToken(reason: string): AuthKitError {
  const headers = bearerChallenge({ error: 'invalid_token', error_description: reason });
  return new AuthKitError('unauthenticated', 'the access token was not accepted', { headers });
}

export interface LogoutDependencies {
  config: Config;
  cookies: Cookies;
  endSession: EndSession;
  /** Ends the session that an access token belongs to. If this function is not set, access tokens are ignored. */
  endBearerSession?: EndBearerSession;
}

/**
 * Creates the handler of the logout route: `POST /logout`, and `GET /logout`, which asks the user for confirmation
 * unless the user clicked a link in this application.
 */
export function createLogout(dependencies: LogoutDependencies): Handler {
  const { config, cookies, endBearerSession } = dependencies;
  return async (req, res) => {
    const returnTo = single(query(req), 'returnTo', 'return_to');
    const token = bearerTokenOf(req);
    // If there is a session cookie, the token is ignored, because a gateway may have added the token to a browser's
    // request.
    if (endBearerSession && token !== undefined && req.method === 'POST' && !hasSession(req, cookies)) {
      return json(res, 200, { logoutUrl: await endBearerSession(token, returnTo) });
    }
    if (isClearPages(req, cookies)) return clearPages(res);
    return performLogout(checkLogout(req, config, cookies), req, res, returnTo, dependencies);
  };
}

function hasSession(req: Request, cookies: Cookies): boolean {
  return cookies.sessionValues(req).length > 0;
}

type LogoutPermission = 'allowed' | 'confirm' | 'prefetch' | 'nothing';

/**
 * Decides whether a request may sign the user out without asking for confirmation. This prevents other sites from
 * signing the user out (CSRF). The result depends on the request:
 *
 * - `allowed`: a POST request from this application, or a click on a link in this application.
 * - `confirm`: any other page load, or a form submission that has no session cookie and may come from another site. The
 *   user must confirm the sign-out.
 * - `prefetch`: a request that the browser made in advance.
 * - `nothing`: a HEAD request.
 *
 * @throws {AuthKitError} `forbidden` for any other request.
 */
function checkLogout(req: Request, config: Config, cookies: Cookies): LogoutPermission {
  if (req.method === 'HEAD') return 'nothing';
  if (req.method !== 'GET') {
    if (isCrossSite(req, config)) throw foreignLogout();
    // If the session cookie is `SameSite=None`, `isCrossSite` has already refused requests of unknown origin.
    // Otherwise, browsers do not send the cookie with a POST request from another site, so a request that has the
    // cookie does not come from one. A request without the cookie may come from another site, and the response would
    // still clear the cookie.
    if (hasSession(req, cookies) || !isOfUnknownOrigin(req)) return 'allowed';
    if (isNavigation(req)) return 'confirm';
    throw foreignLogout();
  }
  if (isSpeculative(req)) return 'prefetch';
  if (isLinkOfThisOrigin(req)) return 'allowed';
  if (isNavigation(req)) return 'confirm';
  throw new AuthKitError('forbidden', 'sign out with a POST request from this application');
}

/** Ends the session if `permission` is `allowed`. Sends the response that the permission requires. */
async function performLogout(
  permission: LogoutPermission,
  req: Request,
  res: Response,
  returnTo: string | undefined,
  { config, endSession }: LogoutDependencies,
): Promise<'sent'> {
  if (permission === 'prefetch') return refusePrefetch(res);
  if (permission === 'nothing') return noStore(res, '');
  if (permission === 'confirm') return sendConfirmation(req, res, returnTo, config);
  return redirectToLogout(req, res, await endSession(req, res, returnTo), config);
}

function foreignLogout(): AuthKitError {
  return new AuthKitError('forbidden', 'a sign-out must be requested by a page of this application');
}

/** Whether the request comes from a link on a same-origin page, according to its Fetch Metadata headers. */
function isLinkOfThisOrigin(req: Request): boolean {
  return (
    header(req, 'sec-fetch-site') === 'same-origin' &&
    header(req, 'sec-fetch-mode') === 'navigate' &&
    header(req, 'sec-fetch-dest') === 'document'
  );
}

/** The query parameter in the URL of the hidden image on the page that is shown after a sign-out. */
const CLEAR_PAGES = 'forget';

/** Whether this is a request for the hidden image, from a page of this application in a browser that has no session. */
function isClearPages(req: Request, cookies: Cookies): boolean {
  return (
    req.method === 'GET' &&
    query(req).has(CLEAR_PAGES) &&
    header(req, 'sec-fetch-site') === 'same-origin' &&
    header(req, 'sec-fetch-dest') === 'image' &&
    !hasSession(req, cookies)
  );
}

/**
 * Makes the browser discard the pages of the user who has signed out, so that the back button does not show them (W3C
 * Clear Site Data). The response that ends the session comes too early for this: the page that requested the sign-out
 * enters the back/forward cache only when the next page is shown. Therefore, the next page requests this response as a
 * hidden image.
 */
function clearPages(res: Response): 'sent' {
  res.statusCode = 204;
  setClearSiteData(res);
  return noStore(res, '');
}

function setClearSiteData(res: Response): void {
  res.setHeader('Clear-Site-Data', '"cache"');
}

/**
 * Sends the browser to the URL that ends the session at WorkOS. The response to a navigation is a page that leads to
 * this URL, because helmet's `form-action 'self'` policy would block a redirect to WorkOS after a form submission. The
 * response to a script's request contains the URL as JSON. Any other request is redirected.
 */
async function redirectToLogout(
  req: Request,
  res: Response,
  logoutUrl: string,
  config: Config,
): Promise<'sent'> {
  if (isScripted(req)) {
    // The script's own page is still open, so it is not discarded. The script must leave it with `location.replace()`.
    setClearSiteData(res);
    return json(res, 200, { logoutUrl });
  }
  if (!isNavigation(req)) return redirect(res, logoutUrl, 303);
  const { logout } = config.routes;
  const image = logout ? `${logout.public}?${CLEAR_PAGES}=pages` : undefined;
  const link = { href: logoutUrl, label: 'continue' } as const;
  return sendPage(req, res, { name: 'signingOut', refresh: logoutUrl, link, image }, config);
}

/** Sends a page with a button that signs the user out. After the sign-out, the user is sent to `returnTo`. */
function sendConfirmation(
  req: Request,
  res: Response,
  returnTo: string | undefined,
  config: Config,
): Promise<'sent'> {
  const [path = ''] = target(req).split('?', 1);
  const search = returnTo === undefined ? '' : `?returnTo=${encodeURIComponent(returnTo)}`;
  const action = (config.routes.logout?.public ?? path) + search;
  return sendPage(req, res, { name: 'signOut', button: { action, label: 'signOut' } }, config);
}

/** Options of `auth.signOut()`. */
export interface SignOutOptions {
  /** The page that the user is sent to after the sign-out. The default is `postLogoutReturnTo`. */
  returnTo?: string;
  /**
   * Whether to sign the user out without the checks that the logout route makes. The default is `false`. Set this
   * option only if the handler itself has checked that the request comes from the application, for example, with a CSRF
   * token.
   */
  trusted?: boolean;
}

/**
 * Creates `auth.signOut()`, which an application calls in a handler to end a request's session. Unless `trusted` is
 * set, it makes the same checks as the logout route. A request that fails these checks gets the response that the
 * logout route would send.
 */
export function createSignOut(dependencies: LogoutDependencies) {
  const { config, cookies } = dependencies;
  const respondWithError = createErrorResponder(config, 'logout');
  const respondByDefault = createErrorResponder({ ...config, hooks: {} }, 'logout');
  return async (req: Request, res: Response, options: SignOutOptions = {}): Promise<void> => {
    const { returnTo, trusted = false } = ownProperties(options);
    try {
      const permission = trusted ? 'allowed' : checkLogout(req, config, cookies);
      await performLogout(permission, req, res, returnTo, dependencies);
    } catch (error) {
      if (!(error instanceof AuthKitError)) throw error;
      const outcome = await respondWithError(error, req, res);
      // If `onError` passes the error to `next`, the default error response is sent, because `signOut()` has no `next`.
      if (outcome !== 'sent') await respondByDefault(error, req, res);
    }
  };
}
