import type { Config } from '../config/index.js';
import type { SignInOptions } from '../config/authkit-options.js';
import type { AuthKitError } from '../errors.js';
import { isUnfinished } from '../errors.js';
import { log } from '../diagnostics.js';
import { headerRoom } from '../http/cookies.js';
import type { Request } from '../http/handler-to-middleware.js';
import { isFromAnotherOrigin, query, target } from '../http/request.js';
import { safeReturnTo } from '../http/return-to.js';

type LoginParameters = Readonly<Record<string, string>>;

/**
 * Returns the URL of the login route, or the `returnTo` option if there is no login route. If there is a page that the
 * user can return to after the sign-in, the URL's `returnTo` parameter names that page.
 */
export function loginUrl(
  req: Request,
  { routes, returnTo, returnToRules }: Config,
  parameters: LoginParameters = {},
): string {
  if (!routes.login) return returnTo;
  const back = returnPath(req, returnToRules);
  return withQuery(routes.login.public, { ...(back === undefined ? {} : { returnTo: back }), ...parameters });
}

/**
 * Returns the page that the user returns to after a sign-in. This is normally the requested page. If users cannot be
 * sent back to that page (such as `/connect/:slug`), it is the page that the request's `returnTo` parameter names.
 * Returns `undefined` if the method is neither GET nor HEAD, if users cannot be sent to either of these pages, or if
 * the page's address would not fit in the headers of the next request.
 */
function returnPath(req: Request, rules: Config['returnToRules']): string | undefined {
  if (req.method !== 'GET' && req.method !== 'HEAD') return undefined;
  const pages = [target(req), query(req).get('returnTo')];
  const back = pages.map((page) => safeReturnTo(page, rules)).find((safe) => safe !== undefined);
  if (back !== undefined && encodeURIComponent(back).length <= headerRoom(req)) return back;
  log('login', { dropped: 'returnTo', bytes: target(req).length });
  return undefined;
}

/**
 * Returns an object with the `loginUrl` property of a JSON response, or an empty object if there is no login route. The
 * URL has the same parameters as the one that a page load is redirected to, except for `returnTo`: a script knows which
 * page it runs on, and can add that parameter itself. The URL is absolute if the script's page has a different origin.
 */
export function loginUrlForScript(
  req: Request,
  config: Config,
  parameters: LoginParameters = {},
): { loginUrl?: string } {
  const { routes, redirectUri } = config;
  if (!routes.login) return {};
  const path = withQuery(routes.login.public, parameters);
  return { loginUrl: isFromAnotherOrigin(req, config) ? new URL(path, redirectUri).href : path };
}

function withQuery(path: string, parameters: LoginParameters): string {
  const pairs = Object.entries(parameters).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
}

/**
 * Returns options for a new sign-in in which the user can complete the step that WorkOS requires. The options contain
 * the organization or the connection that the error names. Returns `undefined` if a new sign-in would not help, for
 * example if the application itself must complete the step with the error's `details`.
 *
 * @param organizationId The requested organization, if any.
 * @see https://workos.com/docs/reference/authkit/authentication-errors
 */
export function nextSignInOptions(error: AuthKitError, organizationId?: string): SignInOptions | undefined {
  if (!isUnfinished(error.code)) return undefined;
  const { email, organizations, connection_ids, sso_connection_ids } = error.details ?? {};
  const hint = typeof email === 'string' ? { loginHint: email } : {};
  switch (error.code) {
    case 'sso_required': {
      const [connectionId, ...others] = texts(connection_ids ?? sso_connection_ids);
      if (connectionId !== undefined && others.length === 0) return { connectionId };
      return unlessEmpty({ ...hint, ...(organizationId === undefined ? {} : { organizationId }) });
    }
    case 'organization_selection_required': {
      const ids = texts(Array.isArray(organizations) ? organizations.map(idOf) : []);
      if (ids.length === 0) return undefined;
      const wanted = ids.length === 1 ? ids[0] : ids.find((id) => id === organizationId);
      // If the user has several organizations and none of them was requested, the user chooses one in AuthKit.
      return wanted === undefined ? hint : { organizationId: wanted };
    }
    case 'email_verification_required':
    case 'mfa_enrollment':
    case 'mfa_challenge':
      return undefined;
  }
}

/**
 * Like {@link nextSignInOptions}, but for a session that ended with `error`. Returns query parameters for the login
 * route, or an empty object if WorkOS does not require a step. If the error names neither a connection nor an
 * organization, the parameters contain the session's organization, so the user returns to it.
 */
export function nextLoginParameters(
  error: AuthKitError,
  organizationId: string | undefined,
): Record<string, string> {
  if (!isUnfinished(error.code)) return {};
  const { connectionId, loginHint, ...others } = nextSignInOptions(error, organizationId) ?? {};
  const organization = others.organizationId ?? organizationId;
  if (connectionId !== undefined) return { connectionId };
  return {
    ...(organization === undefined ? {} : { organizationId: organization }),
    ...(loginHint === undefined ? {} : { loginHint }),
  };
}

/** Returns the options, or `undefined` if there are none: a sign-in without options would fail with the same error. */
function unlessEmpty(options: SignInOptions): SignInOptions | undefined {
  return Object.keys(options).length === 0 ? undefined : options;
}

function idOf(organization: unknown): unknown {
  return (organization as { id?: unknown } | null)?.id;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
