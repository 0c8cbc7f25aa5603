import type { IncomingMessage, ServerResponse } from 'node:http';
import { AuthKitError } from '../errors.js';
import { ownProperties } from '../plain-objects.js';
import {
  type Handler,
  isRealError,
  type Next,
  type Outcome,
  type Request,
  type Response,
} from './handler-to-middleware.js';
import { type ButtonName, DEFAULT_TEXTS, pageNameOf } from './page-texts.js';
import { type Page, type PagesFor, sendPage } from './pages.js';
import { header, isNavigation, isScripted, isSpeculative, query, target } from './request.js';
import { json, noStore } from './response.js';
import { type ReturnToRules, safeReturnTo } from './return-to.js';

/** The names of this package's routes, as `onError` receives them in `route`. For a guard, `route` is `undefined`. */
export type RouteName =
  'login' | 'callback' | 'logout' | 'signUp' | 'token' | 'connect' | 'switchOrganization' | 'webhooks';

/** Fields that a JSON error response contains in addition to the error itself. */
export interface ErrorFields {
  /**
   * The URL at which the user can sign in. The link on an error page leads to the same URL, with a `returnTo` parameter
   * for the page that the user wanted.
   */
  loginUrl?: string;
}

/**
 * Sends an error response. If the application has an `onError` function, that function is called first. If `onError`
 * neither responds nor calls `next`, JSON or a page is sent.
 */
export type RespondWithError = (
  error: AuthKitError,
  req: Request,
  res: Response,
  fields?: ErrorFields,
  /**
   * The URL to which the user returns after signing in through the link on the error page. An unsafe URL is ignored.
   * Default: the result of {@link pageOf}.
   */
  returnTo?: string,
) => Promise<Outcome>;

/** The part of the configuration that determines error responses. */
export interface ErrorResponseConfig {
  readonly hooks: { readonly onError?: OnError };
  readonly routes: { readonly login: { readonly public: string } | undefined };
  readonly redirectUri: string;
  readonly returnTo: string;
  readonly returnToRules: ReturnToRules;
  readonly pages: PagesFor;
}

type OnError = (context: ErrorContext) => unknown;

/** The argument of `onError`. */
export interface ErrorContext {
  error: AuthKitError;
  req: IncomingMessage;
  res: ServerResponse;
  /** Passes `error` to the Express error handler. If `next` is called with an error, that error is passed instead. */
  next: Next;
  /** The route of this package in which the error occurred, or `undefined` if it occurred in a guard. */
  route: RouteName | undefined;
}

/**
 * Creates the function that responds to the errors of a route or of guards.
 *
 * @param route The name of the route, or `undefined` for guards.
 */
export function createErrorResponder(config: ErrorResponseConfig, route?: RouteName): RespondWithError {
  const { onError } = config.hooks;
  return async (error, req, res, fields = {}, back = pageOf(req, route)) => {
    const handled =
      onError && !isOAuthError(error, route) && (await callOnError(onError, error, req, res, route));
    if (handled) return handled;
    for (const [name, value] of Object.entries(error.headers)) res.setHeader(name, value);
    if (route === 'token' || !isNavigation(req)) {
      const { status, code, message } = error;
      const description = route === 'token' ? { error_description: message } : {};
      return json(res, status, { status, error: code, message, ...description, ...fields });
    }
    const link = linkOf(error, back, config, ownProperties(fields));
    return sendPage(req, res, { ...errorPage(error), link }, config);
  };
}

/**
 * Returns the page for an error. If the application has set a `publicMessage`, that text is shown unchanged. Otherwise,
 * the page shows the text for the error code in the language of the page.
 */
function errorPage(error: AuthKitError): Page {
  const name = pageNameOf(error);
  const { status, publicMessage } = error;
  return { name, status, ...(publicMessage === DEFAULT_TEXTS[name].text ? {} : { text: publicMessage }) };
}

/**
 * Whether an error occurred in the token route and RFC 6749 section 5.2 defines the response to it. `onError` is not
 * called for such an error.
 */
function isOAuthError({ code }: AuthKitError, route: RouteName | undefined): boolean {
  return route === 'token' && ['invalid_request', 'invalid_grant', 'unsupported_grant_type'].includes(code);
}

/**
 * Calls `onError`.
 *
 * @returns The outcome if `onError` responded, called `next` or threw an error. Otherwise `undefined`, in which case
 * the caller sends the default response.
 */
async function callOnError(
  onError: OnError,
  error: AuthKitError,
  req: Request,
  res: Response,
  route: RouteName | undefined,
): Promise<Outcome | undefined> {
  let passed: Outcome | undefined;
  const next = (value?: unknown) => {
    passed ??= { error: isRealError(value) ? value : error };
  };
  try {
    await onError({ error, req, res, next, route });
  } catch (thrown) {
    passed ??= { error: thrown };
  }
  return res.headersSent || res.writableEnded ? 'sent' : passed;
}

/**
 * Returns the link on an error page. It leads to sign-in or, if the user would get the same error after signing in
 * again, to the start page. Returns `undefined` if the link would lead to sign-in but there is no login URL.
 */
function linkOf(
  { code }: AuthKitError,
  back: string | undefined,
  { routes, redirectUri, returnTo, returnToRules }: ErrorResponseConfig,
  { loginUrl = routes.login?.public }: ErrorFields,
): { href: string; label: ButtonName } | undefined {
  // The URL is absolute, so a user who opened the application under a different host name is taken to the right host.
  if (code === 'forbidden' || code === 'unknown_user')
    return { href: new URL(returnTo, redirectUri).href, label: 'start' };
  if (loginUrl === undefined) return undefined;
  const url = new URL(loginUrl, redirectUri);
  const safe = url.searchParams.has('returnTo') ? undefined : safeReturnTo(back, returnToRules);
  if (safe !== undefined && safe !== returnTo) url.searchParams.set('returnTo', safe);
  return { href: url.href, label: 'signIn' };
}

/**
 * Returns the URL of the page to which the user returns after signing in. For a route, it is the `returnTo` query
 * parameter. For a guard, it is the requested page. Returns `undefined` for the callback and logout routes.
 */
function pageOf(req: Request, route: RouteName | undefined): string | undefined {
  if (route === 'callback' || route === 'logout') return undefined;
  if (route !== undefined) return query(req).get('returnTo') ?? undefined;
  // The URL to which a form is submitted cannot be opened as a page, so the user returns to the page with the form.
  return req.method === 'GET' || req.method === 'HEAD' ? target(req) : header(req, 'referer');
}

/**
 * Wraps the handler of a route. If the handler throws an `AuthKitError`, an error response is sent. Every other error
 * goes to the application's error handler.
 */
export function answerErrors(respondWithError: RespondWithError, handler: Handler): Handler {
  return async (req, res) => {
    try {
      return await handler(req, res);
    } catch (error) {
      if (!(error instanceof AuthKitError)) throw error;
      return respondWithError(error, req, res);
    }
  };
}

/**
 * Wraps the handler of a route that redirects a user. The handler runs for page loads, and for requests whose headers
 * do not show what sent them. A HEAD request gets an empty response, a prefetch gets 503, and a request from a script
 * causes the error `invalid_request`.
 */
export function navigationOnly(handler: (req: Request, res: Response) => Promise<'sent'>): Handler {
  return (req, res) => {
    if (req.method === 'HEAD') return noStore(res, '');
    if (isSpeculative(req)) return refusePrefetch(res);
    if (isScripted(req)) throw new AuthKitError('invalid_request', 'open this address as a page');
    return handler(req, res);
  };
}

/**
 * Responds to a prefetch with 503. A browser discards a failed prefetch and sends the request again when the user
 * clicks the link.
 */
export function refusePrefetch(res: Response): 'sent' {
  res.statusCode = 503;
  return noStore(res, '');
}
